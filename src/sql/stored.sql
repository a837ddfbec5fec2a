-- stored policies

-- Named policies with the day from which each version holds, so that a team can freeze its thresholds: stored_policy(name,
-- on_day) answers today what it answered then. The past is what stored_policy() says for days before today; nothing that
-- is done to the table may change it:
--   * a version ends where the next one of its name begins, it is never edited;
--   * a row that is or was in force can be neither changed (but for its note) nor deleted;
--   * a row that would begin before today is refused if that cuts an older version short. A name's first version may begin
--     on any day: that day had no answer before.
-- Days are days of the session's time zone. The owner of the table can disable its triggers to correct what was wrong.

CREATE TABLE segment_policies (
    name text NOT NULL CONSTRAINT segment_policies_name_is_not_empty CHECK (name <> ''),
    policy segment_policy NOT NULL,
    valid_from date NOT NULL CONSTRAINT segment_policies_valid_from_is_finite CHECK (isfinite(valid_from)),
    note text,
    CONSTRAINT segment_policies_pkey PRIMARY KEY (name, valid_from)
);

COMMENT ON TABLE segment_policies IS
    'Named policies; a version holds from valid_from until the next one of its name. Read with stored_policy(name, on_day).';
COMMENT ON COLUMN segment_policies.name IS 'What the policy is called.';
COMMENT ON COLUMN segment_policies.policy IS
    'The policy as written; what it leaves out is the default''s. effective_policy(policy)::segment_policy freezes that too.';
COMMENT ON COLUMN segment_policies.valid_from IS 'The first day on which this version holds.';
COMMENT ON COLUMN segment_policies.note IS 'Why it was changed, by whom; the only column that may be edited later.';

-- Newest first: while a dump is loaded no row cuts an older one short. pg_dump puts this text behind FROM as it is.
SELECT pg_catalog.pg_extension_config_dump('segment_policies', 'WHERE true ORDER BY name, valid_from DESC');

-- Everybody who may use the schema may read: policies hold thresholds, no customers, and views call stored_policy() with
-- the rights of whoever reads them. Only the owner writes, who is whoever created the extension (of a trusted extension the
-- superuser would be otherwise), until that right is granted.
ALTER TABLE segment_policies OWNER TO @extowner@;
GRANT SELECT ON segment_policies TO PUBLIC;

CREATE FUNCTION _keep_policies() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $keep$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        IF EXISTS (SELECT FROM @extschema@.segment_policies AS p WHERE p.valid_from <= CURRENT_DATE) THEN
            RAISE EXCEPTION 'segment_policies cannot be truncated: it holds policies that are or were in force'
                USING ERRCODE = 'restrict_violation',
                      HINT = 'Rows with a valid_from after today can be deleted.';
        END IF;
        RETURN NULL;
    END IF;

    IF TG_OP IN ('UPDATE', 'DELETE') AND OLD.valid_from <= CURRENT_DATE THEN
        IF TG_OP = 'UPDATE' AND NEW.name = OLD.name AND NEW.valid_from = OLD.valid_from
            AND NEW.policy OPERATOR(@extschema@.=) OLD.policy THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'stored policy "%" of % is or was in force and cannot be %', OLD.name,
            to_char(OLD.valid_from, 'YYYY-MM-DD'), CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Insert a new row with a later valid_from: the old one ends where the new one begins.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;

    IF NEW.valid_from < CURRENT_DATE AND EXISTS (
        SELECT FROM @extschema@.segment_policies AS p WHERE p.name = NEW.name AND p.valid_from < NEW.valid_from
    ) THEN
        RAISE EXCEPTION 'stored policy "%" cannot change from % on: that day is past', NEW.name,
            to_char(NEW.valid_from, 'YYYY-MM-DD')
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Insert it with a valid_from of today or later.';
    END IF;
    -- Laying a policy over another one checks that it does not contradict itself.
    PERFORM @extschema@.default_policy() OPERATOR(@extschema@.||) NEW.policy;
    RETURN NEW;
END
$keep$;

COMMENT ON FUNCTION _keep_policies() IS
    'Trigger of segment_policies: refuses what would change the past, and policies that contradict themselves.';

CREATE TRIGGER keep_policies BEFORE INSERT OR UPDATE OR DELETE ON segment_policies
    FOR EACH ROW EXECUTE FUNCTION _keep_policies();
CREATE TRIGGER keep_policies_truncate BEFORE TRUNCATE ON segment_policies
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_policies();

COMMENT ON TRIGGER keep_policies ON segment_policies IS
    'Refuses what would change the past, and policies that contradict themselves.';
COMMENT ON TRIGGER keep_policies_truncate ON segment_policies IS
    'Refuses to empty the table while it holds policies that are or were in force.';

-- A policy of NULL would mean the default, so a NULL argument is an error here.
CREATE FUNCTION stored_policy(name text, on_day date) RETURNS segment_policy
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
AS $stored$
DECLARE
    version @extschema@.segment_policy;
    first_day date;
    known text;
BEGIN
    IF stored_policy.name IS NULL OR on_day IS NULL THEN
        RAISE EXCEPTION 'stored_policy: % is NULL', CASE WHEN on_day IS NULL THEN 'on_day' ELSE 'name' END
            USING ERRCODE = 'null_value_not_allowed', HINT = 'NULL as a policy means the default: write NULL instead of the call.';
    ELSIF NOT isfinite(on_day) THEN
        RAISE EXCEPTION 'day must be finite, not %', on_day
            USING ERRCODE = 'datetime_field_overflow', HINT = 'Ask for a day such as CURRENT_DATE.';
    END IF;

    SELECT p.policy INTO version
    FROM @extschema@.segment_policies AS p
    WHERE p.name = stored_policy.name AND p.valid_from <= on_day
    ORDER BY p.valid_from DESC
    LIMIT 1;
    IF FOUND THEN
        RETURN version;
    END IF;

    SELECT min(p.valid_from) FILTER (WHERE p.name = stored_policy.name) INTO first_day
    FROM @extschema@.segment_policies AS p;
    SELECT string_agg(format('%s (from %s)', n.name, to_char(n.first_day, 'YYYY-MM-DD')), ', ' ORDER BY n.name) INTO known
    FROM (SELECT p.name, min(p.valid_from) AS first_day
          FROM @extschema@.segment_policies AS p GROUP BY p.name ORDER BY p.name LIMIT 50) AS n;
    RAISE EXCEPTION '%', CASE
            WHEN first_day IS NULL THEN format('unknown stored policy: "%s"', stored_policy.name)
            ELSE format('stored policy "%s" begins on %s, there is none for %s', stored_policy.name,
                        to_char(first_day, 'YYYY-MM-DD'), to_char(on_day, 'YYYY-MM-DD'))
        END
        USING ERRCODE = 'invalid_parameter_value',
              HINT = coalesce('Known are: ' || known || '.',
                              'segment_policies is empty: insert a row (name, policy, valid_from). Where the query runs on '
                              'several servers, each looks into its own table: write (SELECT stored_policy(...)) instead.');
END
$stored$;

COMMENT ON FUNCTION stored_policy(text, date) IS
    'The policy of that name in segment_policies that holds on a day: the version with the latest valid_from up to it.';

-- Today's: CURRENT_DATE in the session's TimeZone.
CREATE FUNCTION stored_policy(name text) RETURNS segment_policy
LANGUAGE sql STABLE PARALLEL SAFE COST 1000
AS $stored$ SELECT @extschema@.stored_policy($1, CURRENT_DATE) $stored$;

COMMENT ON FUNCTION stored_policy(text) IS
    'The policy of that name in segment_policies that holds today, by CURRENT_DATE in the session''s TimeZone.';
