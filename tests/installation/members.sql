-- What the catalog says of each member of the extension, in words without oids: one row each.
WITH members AS (
    SELECT d.classid, d.objid
    FROM pg_depend AS d
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
          AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm')
), relations AS (
    SELECT c.* FROM pg_class AS c
    WHERE c.oid IN (SELECT objid FROM members WHERE classid = 'pg_class'::regclass)
          OR c.reltype IN (SELECT objid FROM members WHERE classid = 'pg_type'::regclass) AND c.relkind = 'c'
), said AS (
    SELECT pg_describe_object(classid, objid, 0) AS member, 'is commented' AS what,
           obj_description(objid, classid::regclass::text::name) AS value
    FROM members
    UNION ALL
    SELECT pg_describe_object(m.classid, m.objid, 0), 'is installed with rights', i.initprivs::text
    FROM members AS m JOIN pg_init_privs AS i ON (i.classoid, i.objoid) = (m.classid, m.objid)
    UNION ALL
    SELECT p.oid::regprocedure::text, 'is declared',
           CASE WHEN p.prokind = 'a'
                THEN (SELECT jsonb_build_array(a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                               a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn, a.aggfinalextra, a.aggfinalmodify,
                                               a.aggtranstype::regtype, a.aggtransspace, a.agginitval, p.proparallel,
                                               pg_get_function_arguments(p.oid))::text
                      FROM pg_aggregate AS a WHERE a.aggfnoid = p.oid)
                ELSE pg_get_functiondef(p.oid) END
    FROM pg_proc AS p WHERE p.oid IN (SELECT objid FROM members WHERE classid = 'pg_proc'::regclass)
    UNION ALL
    SELECT p.oid::regprocedure::text, 'may be called by', p.proacl::text
    FROM pg_proc AS p WHERE p.oid IN (SELECT objid FROM members WHERE classid = 'pg_proc'::regclass)
    UNION ALL
    SELECT t.oid::regtype::text, 'is a type',
           jsonb_build_array(t.typlen, t.typbyval, t.typtype, t.typcategory, t.typinput, t.typoutput, t.typreceive, t.typsend,
                             t.typalign, t.typstorage, t.typacl)::text
    FROM pg_type AS t WHERE t.oid IN (SELECT objid FROM members WHERE classid = 'pg_type'::regclass)
    UNION ALL
    SELECT r.oid::regclass::text, 'has column ' || row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum),
           concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                     pg_get_expr(f.adbin, f.adrelid), a.attacl::text, col_description(r.oid, a.attnum))
    FROM relations AS r
    JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS f ON (f.adrelid, f.adnum) = (a.attrelid, a.attnum)
    UNION ALL
    SELECT r.oid::regclass::text, 'is a relation',
           concat_ws(' ', r.relkind, r.relacl::text, r.reloptions::text, CASE WHEN r.relkind = 'v' THEN pg_get_viewdef(r.oid) END)
    FROM relations AS r
    UNION ALL
    SELECT c.conrelid::regclass::text, 'has constraint ' || c.conname, pg_get_constraintdef(c.oid)
    FROM pg_constraint AS c WHERE c.conrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT t.tgrelid::regclass::text, 'has trigger ' || t.tgname, pg_get_triggerdef(t.oid)
    FROM pg_trigger AS t WHERE t.tgrelid IN (SELECT oid FROM relations) AND NOT t.tgisinternal
    UNION ALL
    SELECT i.indrelid::regclass::text, 'has index', pg_get_indexdef(i.indexrelid)
    FROM pg_index AS i WHERE i.indrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT o.oid::regoperator::text, 'is an operator',
           jsonb_build_array(o.oprcode, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest, o.oprjoin, o.oprcanmerge,
                             o.oprcanhash)::text
    FROM pg_operator AS o WHERE o.oid IN (SELECT objid FROM members WHERE classid = 'pg_operator'::regclass)
    UNION ALL
    SELECT f.opfname, 'has operator ' || a.amopstrategy, a.amopopr::regoperator::text
    FROM pg_amop AS a JOIN pg_opfamily AS f ON f.oid = a.amopfamily
    WHERE f.oid IN (SELECT objid FROM members WHERE classid = 'pg_opfamily'::regclass)
    UNION ALL
    SELECT f.opfname, 'has function ' || a.amprocnum, a.amproc::regprocedure::text
    FROM pg_amproc AS a JOIN pg_opfamily AS f ON f.oid = a.amprocfamily
    WHERE f.oid IN (SELECT objid FROM members WHERE classid = 'pg_opfamily'::regclass)
    UNION ALL
    SELECT c.castsource::regtype || ' to ' || c.casttarget::regtype, 'is cast',
           jsonb_build_array(c.castfunc::regprocedure, c.castcontext, c.castmethod)::text
    FROM pg_cast AS c WHERE c.oid IN (SELECT objid FROM members WHERE classid = 'pg_cast'::regclass)
    UNION ALL
    SELECT 'extension', 'is dumped with ' || c.oid::regclass, e.extcondition[n.place]
    FROM pg_extension AS e
    CROSS JOIN LATERAL unnest(e.extconfig) WITH ORDINALITY AS n (relation, place)
    JOIN pg_class AS c ON c.oid = n.relation
    WHERE e.extname = 'pg_rfm'
)
SELECT member, what, value FROM said ORDER BY member COLLATE "C", what COLLATE "C", value COLLATE "C";
