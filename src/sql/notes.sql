-- notes

CREATE FUNCTION _lock_and_check_notes(notes oid, owner oid) RETURNS boolean
    AS 'MODULE_PATHNAME', 'lock_and_check_notes_wrapper' LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION _lock_and_check_notes(oid, oid) IS
    'Part of segmentations: locks the table of notes; false where it is not there or not a plain table of the owner, who must be the current user.';

CREATE FUNCTION _has_columns(relation oid, names text[], types text[]) RETURNS boolean
    AS 'MODULE_PATHNAME', 'has_columns_wrapper' LANGUAGE c STABLE STRICT;
COMMENT ON FUNCTION _has_columns(oid, text[], text[]) IS
    'Part of segmentations: whether a table has columns of these names and types.';

CREATE FUNCTION _note_everybody(notes oid, changed_source text) RETURNS void
    AS 'MODULE_PATHNAME', 'note_everybody_wrapper' LANGUAGE c VOLATILE STRICT;
COMMENT ON FUNCTION _note_everybody(oid, text) IS
    'Part of segmentations: notes everybody of a source in a table that _lock_and_check_notes has locked.';

CREATE FUNCTION _few(customers bigint) RETURNS bigint
    AS 'MODULE_PATHNAME', 'few_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _few(bigint) IS
    'Part of segmentations: up to how many of so many customers are evaluated by themselves.';

CREATE FUNCTION _note_customer(
    internal, notes oid, customers oid, changed_source text, changed_from date, VARIADIC keys "any"
)
    RETURNS internal AS 'MODULE_PATHNAME', 'note_customer_wrapper' LANGUAGE c VOLATILE;
COMMENT ON FUNCTION _note_customer(internal, oid, oid, text, date, "any") IS
    'Part of segmentations: the collecting function of _note_customers.';

CREATE FUNCTION _write_notes(internal) RETURNS void
    AS 'MODULE_PATHNAME', 'write_notes_wrapper' LANGUAGE c VOLATILE;
COMMENT ON FUNCTION _write_notes(internal) IS 'Part of segmentations: the last function of _note_customers.';

-- An aggregate, because each customer is noted once and all of them are written together. Where they are more than a few of
-- the rows of customers, a table, a row for everybody is written instead.
CREATE AGGREGATE _note_customers(notes oid, customers oid, changed_source text, changed_from date, VARIADIC keys "any") (
    SFUNC = _note_customer, STYPE = internal, FINALFUNC = _write_notes, FINALFUNC_MODIFY = READ_WRITE
);
COMMENT ON AGGREGATE _note_customers(oid, oid, text, date, "any") IS
    'Part of segmentations: notes customers in a table that _lock_and_check_notes has locked.';
