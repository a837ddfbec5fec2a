-- Every function of the extension that people can call: name, kind, columns of facts as its arguments, their types.
SELECT p.proname, p.prokind,
       array_to_string(ARRAY(SELECT coalesce(quote_ident(c.attname), 'no value for ' || format_type(t.oid, NULL))
                             FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                             JOIN pg_type AS t ON t.oid = a.type
                             -- Two arguments of one name are two things.
                             CROSS JOIN LATERAL (
                                 SELECT CASE WHEN p.proname = 'preset_scenario' THEN 'preset'
                                             WHEN p.proname = 'contact_history' AND p.proargnames[position] = 'scenario'
                                             THEN 'scenario_name'
                                             WHEN p.proname LIKE 'label%' AND p.proargnames[position] = 'name' THEN 'channel'
                                             ELSE p.proargnames[position] END AS argument) AS w
                             LEFT JOIN LATERAL (
                                 SELECT attname FROM pg_attribute
                                 WHERE attrelid = 'public.facts'::regclass AND attnum > 0 AND atttypid = a.type
                                       AND attname IN (w.argument, t.typname, format_type(t.oid, NULL))
                                 ORDER BY attname = w.argument DESC NULLS LAST LIMIT 1) AS c ON true
                             ORDER BY position), ', '),
       array_to_string(ARRAY(SELECT t.typname FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, position)
                             JOIN pg_type AS t ON t.oid = a.type ORDER BY position), ', ')
FROM pg_depend AS d JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm')
      -- What takes or gives PostgreSQL's internal values cannot be called by hand.
      AND NOT 'internal'::regtype = ANY (p.proargtypes::oid[]) AND NOT 'cstring'::regtype = ANY (p.proargtypes::oid[])
      AND p.prorettype NOT IN ('internal'::regtype, 'cstring'::regtype)
      -- Nor is a part of an aggregate meant to be, or a trigger.
      AND p.proname !~ '^_'
      -- Segmentations have tests of their own.
      AND (p.proname IN ('stored_policy', 'stored_model')
           OR p.prolang NOT IN (SELECT l.oid FROM pg_language AS l WHERE l.lanname IN ('sql', 'plpgsql')))
ORDER BY 1, 4;
