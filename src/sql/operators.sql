-- operators

-- The bytes of the types are canonical: equal values are equal byte for byte, so PostgreSQL's own comparison and
-- hashing of bytes serve them all. The order means nothing; it is there for DISTINCT, GROUP BY, merge joins and REFRESH.
DO $operators$
DECLARE
    type_name text;
    operator record;
BEGIN
    FOREACH type_name IN ARRAY ARRAY[
        'purchase_history', 'engagement_history', 'contact_history', 'membership_history', 'segment_policy', 'purchase_model',
        'scenario'
    ] LOOP
        FOR operator IN
            SELECT *
            FROM (VALUES
                ('=', 'eq', '=', '<>', 'eqsel', 'eqjoinsel', ', HASHES, MERGES'),
                ('<>', 'ne', '<>', '=', 'neqsel', 'neqjoinsel', ''),
                ('<', 'lt', '>', '>=', 'scalarltsel', 'scalarltjoinsel', ''),
                ('<=', 'le', '>=', '>', 'scalarlesel', 'scalarlejoinsel', ''),
                ('>', 'gt', '<', '<=', 'scalargtsel', 'scalargtjoinsel', ''),
                ('>=', 'ge', '<=', '<', 'scalargesel', 'scalargejoinsel', '')
            ) AS o(sign, name, commutator, negator, restrict_with, join_with, extra)
        LOOP
            EXECUTE pg_catalog.format(
                'CREATE FUNCTION %1$s_%2$s(%1$s, %1$s) RETURNS boolean AS ''bytea%2$s'' LANGUAGE internal '
                'IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE',
                type_name, operator.name);
            EXECUTE pg_catalog.format(
                'CREATE OPERATOR %1$s (FUNCTION = %2$s_%3$s, LEFTARG = %2$s, RIGHTARG = %2$s, '
                'COMMUTATOR = %4$s, NEGATOR = %5$s, RESTRICT = %6$s, JOIN = %7$s%8$s)',
                operator.sign, type_name, operator.name, operator.commutator, operator.negator,
                operator.restrict_with, operator.join_with, operator.extra);
        END LOOP;
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION %1$s_cmp(%1$s, %1$s) RETURNS integer AS ''byteacmp'' LANGUAGE internal '
            'IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE', type_name);
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION %1$s_hash(%1$s) RETURNS integer AS ''hashvarlena'' LANGUAGE internal '
            'IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE', type_name);
        EXECUTE pg_catalog.format(
            'CREATE FUNCTION %1$s_hash_extended(%1$s, bigint) RETURNS bigint AS ''hashvarlenaextended'' LANGUAGE internal '
            'IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE', type_name);
        EXECUTE pg_catalog.format(
            'CREATE OPERATOR CLASS %1$s_ops DEFAULT FOR TYPE %1$s USING btree AS '
            'OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 %1$s_cmp(%1$s, %1$s)',
            type_name);
        EXECUTE pg_catalog.format(
            'CREATE OPERATOR CLASS %1$s_ops DEFAULT FOR TYPE %1$s USING hash AS '
            'OPERATOR 1 =, FUNCTION 1 %1$s_hash(%1$s), FUNCTION 2 %1$s_hash_extended(%1$s, bigint)',
            type_name);
    END LOOP;
END
$operators$;

CREATE OPERATOR + (
    FUNCTION = purchase_history_plus, LEFTARG = purchase_history, RIGHTARG = purchase_history, COMMUTATOR = +
);
CREATE OPERATOR + (
    FUNCTION = engagement_history_plus, LEFTARG = engagement_history, RIGHTARG = engagement_history, COMMUTATOR = +
);
CREATE OPERATOR + (
    FUNCTION = contact_history_plus, LEFTARG = contact_history, RIGHTARG = contact_history, COMMUTATOR = +
);
CREATE OPERATOR + (
    FUNCTION = membership_history_plus, LEFTARG = membership_history, RIGHTARG = membership_history, COMMUTATOR = +
);
CREATE OPERATOR || (FUNCTION = segment_policy_overlay, LEFTARG = segment_policy, RIGHTARG = segment_policy);

-- Explicit, by way of the text.
CREATE CAST (segment_policy AS jsonb) WITH INOUT;
CREATE CAST (jsonb AS segment_policy) WITH INOUT;
CREATE CAST (purchase_model AS jsonb) WITH INOUT;
CREATE CAST (jsonb AS purchase_model) WITH INOUT;
CREATE CAST (scenario AS jsonb) WITH INOUT;
CREATE CAST (jsonb AS scenario) WITH INOUT;
