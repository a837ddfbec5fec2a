-- stored policies and models

-- Named policies and models with the day from which each version holds, so that a team can freeze its thresholds and
-- what it predicts with: stored_policy(name, on_day) and stored_model(name, on_day) answer today what they answered
-- then. The past is what they say for days before today; nothing that is done to the tables may change it:
--   * a version ends where the next one of its name begins, it is never edited;
--   * a row that is or was in force can be neither changed (but for its note) nor deleted;
--   * a row that would begin before today is refused if that cuts an older version short. A name's first version may
--     begin on any day: that day had no answer before.
-- Days are days of the session's time zone. The owner of a table can disable its triggers to correct what was wrong.

CREATE TABLE segment_policies (
    name text NOT NULL CONSTRAINT segment_policies_name_is_not_empty CHECK (name <> ''),
    policy segment_policy NOT NULL,
    valid_from date NOT NULL CONSTRAINT segment_policies_valid_from_is_finite CHECK (isfinite(valid_from)),
    note text,
    CONSTRAINT segment_policies_pkey PRIMARY KEY (name, valid_from)
);

COMMENT ON TABLE segment_policies IS
    'Named policies; each version holds from valid_from until the next of its name. For stored_policy(name, on_day).';
COMMENT ON COLUMN segment_policies.name IS 'What the policy is called.';
COMMENT ON COLUMN segment_policies.policy IS
    'The policy as written; what it leaves out is the default''s: effective_policy(policy)::segment_policy freezes it.';

CREATE TABLE purchase_models (
    name text NOT NULL CONSTRAINT purchase_models_name_is_not_empty CHECK (name <> ''),
    model purchase_model NOT NULL,
    valid_from date NOT NULL CONSTRAINT purchase_models_valid_from_is_finite CHECK (isfinite(valid_from)),
    note text,
    CONSTRAINT purchase_models_pkey PRIMARY KEY (name, valid_from)
);

COMMENT ON TABLE purchase_models IS
    'Named models; each version holds from valid_from until the next of its name. For stored_model(name, on_day).';
COMMENT ON COLUMN purchase_models.name IS 'What the model is called.';
COMMENT ON COLUMN purchase_models.model IS 'The model; one that is refused cannot be stored.';

-- What both tables have in common. Written once: %1$s is the table, %2$s what a row holds, %3$s its type, %4$s many of
-- them, %5$s the trigger, %6$s what it refuses, %7$s the check that does, %8$s the function that reads the table, and
-- %9$s what to do about a NULL.
DO $both$
DECLARE
    stored record;
    template text;
BEGIN
    FOR stored IN
        SELECT *
        FROM (VALUES
            ('segment_policies', 'policy', 'segment_policy', 'policies', 'keep_policies',
             'policies that contradict themselves',
             -- Laying a policy over another one checks that it does not contradict itself.
             '@extschema@.default_policy() OPERATOR(@extschema@.||) NEW.policy', 'stored_policy',
             'NULL as a policy means the default: write NULL instead of the call.'),
            -- A refused model would answer NULL to everything.
            ('purchase_models', 'model', 'purchase_model', 'models', 'keep_models', 'models that are refused',
             '@extschema@.require_model(NEW.model)', 'stored_model',
             'NULL as a model predicts nothing: write NULL instead of the call.')
        ) AS s(relation, kind, type, kinds, keep, bad, checked, read, about_null)
    LOOP
        -- Newest first: while a dump is loaded no row cuts an older one short. pg_dump puts this text behind FROM.
        PERFORM pg_catalog.pg_extension_config_dump(
            stored.relation::pg_catalog.regclass, 'WHERE true ORDER BY name, valid_from DESC');

        FOREACH template IN ARRAY ARRAY[
            $sql$ COMMENT ON COLUMN %1$s.valid_from IS 'The first day on which this version holds.' $sql$,
            $sql$ COMMENT ON COLUMN %1$s.note IS
                'Why it was changed, by whom; the only column that may be edited later.' $sql$,

            -- Everybody who may use the schema may read: both hold numbers of the shop and no customers, and views call
            -- the functions below with the rights of whoever reads them. Only the owner writes, who is whoever created
            -- the extension (of a trusted extension the superuser would be otherwise), until that right is granted.
            $sql$ ALTER TABLE %1$s OWNER TO @extowner@ $sql$,
            $sql$ GRANT SELECT ON %1$s TO PUBLIC $sql$,

            $sql$
CREATE FUNCTION _%5$s() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $keep$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        IF EXISTS (SELECT FROM @extschema@.%1$s AS s WHERE s.valid_from <= CURRENT_DATE) THEN
            RAISE EXCEPTION '%1$s cannot be truncated: it holds %4$s that are or were in force'
                USING ERRCODE = 'restrict_violation',
                      HINT = 'Rows with a valid_from after today can be deleted.';
        END IF;
        RETURN NULL;
    END IF;

    IF TG_OP IN ('UPDATE', 'DELETE') AND OLD.valid_from <= CURRENT_DATE THEN
        IF TG_OP = 'UPDATE' AND NEW.name = OLD.name AND NEW.valid_from = OLD.valid_from
            AND NEW.%2$s OPERATOR(@extschema@.=) OLD.%2$s THEN
            RETURN NEW;
        END IF;
        RAISE EXCEPTION 'stored %2$s "%%" of %% is or was in force and cannot be %%', OLD.name,
            to_char(OLD.valid_from, 'YYYY-MM-DD'), CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Insert a new row with a later valid_from: the old one ends where the new one begins.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;

    IF NEW.valid_from < CURRENT_DATE AND EXISTS (
        SELECT FROM @extschema@.%1$s AS s WHERE s.name = NEW.name AND s.valid_from < NEW.valid_from
    ) THEN
        RAISE EXCEPTION 'stored %2$s "%%" cannot change from %% on: that day is past', NEW.name,
            to_char(NEW.valid_from, 'YYYY-MM-DD')
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Insert it with a valid_from of today or later.';
    END IF;
    PERFORM %7$s;
    RETURN NEW;
END
$keep$
            $sql$,
            $sql$ COMMENT ON FUNCTION _%5$s() IS
                'Trigger of %1$s: refuses what would change the past, and %6$s.' $sql$,
            $sql$ CREATE TRIGGER %5$s BEFORE INSERT OR UPDATE OR DELETE ON %1$s
                FOR EACH ROW EXECUTE FUNCTION _%5$s() $sql$,
            $sql$ CREATE TRIGGER %5$s_truncate BEFORE TRUNCATE ON %1$s
                FOR EACH STATEMENT EXECUTE FUNCTION _%5$s() $sql$,
            $sql$ COMMENT ON TRIGGER %5$s ON %1$s IS 'Refuses what would change the past, and %6$s.' $sql$,
            $sql$ COMMENT ON TRIGGER %5$s_truncate ON %1$s IS
                'Refuses to empty the table while it holds %4$s that are or were in force.' $sql$,

            -- An argument of NULL is an error: a NULL in its place would be taken for something else.
            $sql$
CREATE FUNCTION %8$s(name text, on_day date) RETURNS %3$s
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
AS $stored$
DECLARE
    version @extschema@.%3$s;
    first_day date;
    known text;
BEGIN
    IF %8$s.name IS NULL OR on_day IS NULL THEN
        RAISE EXCEPTION '%8$s: %% is NULL', CASE WHEN on_day IS NULL THEN 'on_day' ELSE 'name' END
            USING ERRCODE = 'null_value_not_allowed', HINT = '%9$s';
    ELSIF NOT isfinite(on_day) THEN
        RAISE EXCEPTION 'day must be finite, not %%', on_day
            USING ERRCODE = 'datetime_field_overflow', HINT = 'Ask for a day such as CURRENT_DATE.';
    END IF;

    SELECT s.%2$s INTO version
    FROM @extschema@.%1$s AS s
    WHERE s.name = %8$s.name AND s.valid_from <= on_day
    ORDER BY s.valid_from DESC
    LIMIT 1;
    IF FOUND THEN
        RETURN version;
    END IF;

    SELECT min(s.valid_from) FILTER (WHERE s.name = %8$s.name) INTO first_day
    FROM @extschema@.%1$s AS s;
    SELECT string_agg(format('%%s (from %%s)', n.name, to_char(n.first_day, 'YYYY-MM-DD')), ', ' ORDER BY n.name)
    INTO known
    FROM (SELECT s.name, min(s.valid_from) AS first_day
          FROM @extschema@.%1$s AS s GROUP BY s.name ORDER BY s.name LIMIT 50) AS n;
    RAISE EXCEPTION '%%', CASE
            WHEN first_day IS NULL THEN format('unknown stored %2$s: "%%s"', %8$s.name)
            ELSE format('stored %2$s "%%s" begins on %%s, there is none for %%s', %8$s.name,
                        to_char(first_day, 'YYYY-MM-DD'), to_char(on_day, 'YYYY-MM-DD'))
        END
        USING ERRCODE = 'invalid_parameter_value',
              HINT = coalesce('Known are: ' || known || '.',
                              '%1$s is empty: insert a row (name, %2$s, valid_from). Where the query runs on several servers, '
                              'each looks into its own table: write (SELECT %8$s(...)) instead.');
END
$stored$
            $sql$,
            $sql$ COMMENT ON FUNCTION %8$s(text, date) IS
                'The %2$s of that name in %1$s that holds on a day: the version with the latest valid_from up to it.'
            $sql$,

            -- Today's: CURRENT_DATE in the session's TimeZone.
            $sql$
CREATE FUNCTION %8$s(name text) RETURNS %3$s
LANGUAGE sql STABLE PARALLEL SAFE COST 1000
AS $stored$ SELECT @extschema@.%8$s($1, CURRENT_DATE) $stored$
            $sql$,
            $sql$ COMMENT ON FUNCTION %8$s(text) IS
                'The %2$s of that name in %1$s that holds today, by CURRENT_DATE in the session''s TimeZone.' $sql$
        ] LOOP
            EXECUTE pg_catalog.format(
                template, stored.relation, stored.kind, stored.type, stored.kinds, stored.keep, stored.bad,
                stored.checked, stored.read, stored.about_null);
        END LOOP;
    END LOOP;
END
$both$;
