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
COMMENT ON COLUMN segment_policies.valid_from IS 'The first day on which this version holds.';
COMMENT ON COLUMN segment_policies.note IS 'Why it was changed, by whom; the only column that may be edited later.';
COMMENT ON COLUMN purchase_models.valid_from IS 'The first day on which this version holds.';
COMMENT ON COLUMN purchase_models.note IS 'Why it was changed, by whom; the only column that may be edited later.';

-- Newest first: while a dump is loaded no row cuts an older one short. pg_dump puts this text behind FROM as it is.
SELECT pg_catalog.pg_extension_config_dump('segment_policies', 'WHERE true ORDER BY name, valid_from DESC');
SELECT pg_catalog.pg_extension_config_dump('purchase_models', 'WHERE true ORDER BY name, valid_from DESC');

-- Everybody who may use the schema may read: both hold numbers of the shop and no customers, and views call the functions
-- below with the rights of whoever reads them. Only the owner writes, who is whoever created the extension (of a trusted
-- extension the superuser would be otherwise), until that right is granted.
ALTER TABLE segment_policies OWNER TO @extowner@;
ALTER TABLE purchase_models OWNER TO @extowner@;
GRANT SELECT ON segment_policies, purchase_models TO PUBLIC;

-- The argument of the trigger says what a row holds: a policy or a model.
CREATE FUNCTION _keep_versions() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $keep$
DECLARE
    kind text := TG_ARGV[0];
    others text := format('SELECT EXISTS (SELECT FROM %s AS s WHERE ', TG_RELID::regclass);
    has_others boolean;
    but_for_note record;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        EXECUTE others || 's.valid_from <= CURRENT_DATE)' INTO has_others;
        IF has_others THEN
            RAISE EXCEPTION '% cannot be truncated: it holds % that are or were in force', TG_TABLE_NAME,
                CASE kind WHEN 'policy' THEN 'policies' ELSE 'models' END
                USING ERRCODE = 'restrict_violation',
                      HINT = 'Rows with a valid_from after today can be deleted.';
        END IF;
        RETURN NULL;
    END IF;

    IF TG_OP IN ('UPDATE', 'DELETE') AND OLD.valid_from <= CURRENT_DATE THEN
        IF TG_OP = 'UPDATE' THEN
            but_for_note := NEW;
            but_for_note.note := OLD.note;
            IF but_for_note = OLD THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'stored % "%" of % is or was in force and cannot be %', kind, OLD.name,
            to_char(OLD.valid_from, 'YYYY-MM-DD'), CASE TG_OP WHEN 'UPDATE' THEN 'changed' ELSE 'deleted' END
            USING ERRCODE = 'restrict_violation',
                  HINT = 'Insert a new row with a later valid_from: the old one ends where the new one begins.';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;

    IF NEW.valid_from < CURRENT_DATE THEN
        EXECUTE others || 's.name = $1 AND s.valid_from < $2)' INTO has_others USING NEW.name, NEW.valid_from;
        IF has_others THEN
            RAISE EXCEPTION 'stored % "%" cannot change from % on: that day is past', kind, NEW.name,
                to_char(NEW.valid_from, 'YYYY-MM-DD')
                USING ERRCODE = 'restrict_violation',
                      HINT = 'Insert it with a valid_from of today or later.';
        END IF;
    END IF;
    IF kind = 'policy' THEN
        -- Laying a policy over another one checks that it does not contradict itself.
        PERFORM @extschema@.default_policy() OPERATOR(@extschema@.||) NEW.policy;
    ELSE
        -- A refused model would answer NULL to everything.
        PERFORM @extschema@.require_model(NEW.model);
    END IF;
    RETURN NEW;
END
$keep$;
COMMENT ON FUNCTION _keep_versions() IS
    'Trigger of segment_policies and purchase_models: refuses what would change the past, policies that contradict '
    'themselves, and models that are refused.';

CREATE TRIGGER keep_policies BEFORE INSERT OR UPDATE OR DELETE ON segment_policies
    FOR EACH ROW EXECUTE FUNCTION _keep_versions('policy');
CREATE TRIGGER keep_policies_truncate BEFORE TRUNCATE ON segment_policies
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_versions('policy');
CREATE TRIGGER keep_models BEFORE INSERT OR UPDATE OR DELETE ON purchase_models
    FOR EACH ROW EXECUTE FUNCTION _keep_versions('model');
CREATE TRIGGER keep_models_truncate BEFORE TRUNCATE ON purchase_models
    FOR EACH STATEMENT EXECUTE FUNCTION _keep_versions('model');
COMMENT ON TRIGGER keep_policies ON segment_policies IS
    'Refuses what would change the past, and policies that contradict themselves.';
COMMENT ON TRIGGER keep_policies_truncate ON segment_policies IS
    'Refuses to empty the table while it holds policies that are or were in force.';
COMMENT ON TRIGGER keep_models ON purchase_models IS
    'Refuses what would change the past, and models that are refused.';
COMMENT ON TRIGGER keep_models_truncate ON purchase_models IS
    'Refuses to empty the table while it holds models that are or were in force.';

-- Says why a table has no version of a name for a day.
CREATE FUNCTION _refuse_version(kind text, relation regclass, version_name text, on_day date) RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $refuse$
DECLARE
    first_day date;
    known text;
BEGIN
    -- A NULL in the place of a policy or model would be taken for something else.
    IF version_name IS NULL OR on_day IS NULL THEN
        RAISE EXCEPTION 'stored_%: % is NULL', kind, CASE WHEN on_day IS NULL THEN 'on_day' ELSE 'name' END
            USING ERRCODE = 'null_value_not_allowed',
                  HINT = CASE kind WHEN 'policy' THEN 'NULL as a policy means the default: write NULL instead of the call.'
                         ELSE 'NULL as a model predicts nothing: write NULL instead of the call.' END;
    ELSIF NOT isfinite(on_day) THEN
        RAISE EXCEPTION 'day must be finite, not %', on_day
            USING ERRCODE = 'datetime_field_overflow', HINT = 'Ask for a day such as CURRENT_DATE.';
    END IF;

    EXECUTE format('SELECT min(s.valid_from) FROM %s AS s WHERE s.name = $1', relation)
        INTO first_day USING version_name;
    EXECUTE format(
$sql$SELECT string_agg(format('%%s (from %%s)', n.name, to_char(n.first_day, 'YYYY-MM-DD')), ', ' ORDER BY n.name)
FROM (SELECT s.name, min(s.valid_from) AS first_day FROM %s AS s GROUP BY s.name ORDER BY s.name LIMIT 50) AS n$sql$,
        relation) INTO known;
    RAISE EXCEPTION '%', CASE
            WHEN first_day IS NULL THEN format('unknown stored %s: "%s"', kind, version_name)
            ELSE format('stored %s "%s" begins on %s, there is none for %s', kind, version_name,
                        to_char(first_day, 'YYYY-MM-DD'), to_char(on_day, 'YYYY-MM-DD'))
        END
        USING ERRCODE = 'invalid_parameter_value',
              HINT = coalesce('Known are: ' || known || '.', format(
                  '%s is empty: insert a row (name, %s, valid_from). Where the query runs on several servers, each looks '
                  'into its own table: write (SELECT stored_%2$s(...)) instead.',
                  (SELECT c.relname FROM pg_class AS c WHERE c.oid = relation), kind));
END
$refuse$;
COMMENT ON FUNCTION _refuse_version(text, regclass, text, date) IS
    'Part of stored_policy and stored_model: says why there is no version of a name for a day.';

CREATE FUNCTION stored_policy(name text, on_day date) RETURNS segment_policy
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
AS $stored$
DECLARE
    version @extschema@.segment_policy;
BEGIN
    SELECT p.policy INTO version
    FROM @extschema@.segment_policies AS p
    WHERE p.name = stored_policy.name AND p.valid_from <= on_day AND isfinite(on_day)
    ORDER BY p.valid_from DESC
    LIMIT 1;
    IF NOT FOUND THEN
        PERFORM @extschema@._refuse_version('policy', '@extschema@.segment_policies'::regclass, stored_policy.name, on_day);
    END IF;
    RETURN version;
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

CREATE FUNCTION stored_model(name text, on_day date) RETURNS purchase_model
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 SET search_path = pg_catalog, pg_temp
AS $stored$
DECLARE
    version @extschema@.purchase_model;
BEGIN
    SELECT m.model INTO version
    FROM @extschema@.purchase_models AS m
    WHERE m.name = stored_model.name AND m.valid_from <= on_day AND isfinite(on_day)
    ORDER BY m.valid_from DESC
    LIMIT 1;
    IF NOT FOUND THEN
        PERFORM @extschema@._refuse_version('model', '@extschema@.purchase_models'::regclass, stored_model.name, on_day);
    END IF;
    RETURN version;
END
$stored$;
COMMENT ON FUNCTION stored_model(text, date) IS
    'The model of that name in purchase_models that holds on a day: the version with the latest valid_from up to it.';

-- Today's: CURRENT_DATE in the session's TimeZone.
CREATE FUNCTION stored_model(name text) RETURNS purchase_model
LANGUAGE sql STABLE PARALLEL SAFE COST 1000
AS $stored$ SELECT @extschema@.stored_model($1, CURRENT_DATE) $stored$;
COMMENT ON FUNCTION stored_model(text) IS
    'The model of that name in purchase_models that holds today, by CURRENT_DATE in the session''s TimeZone.';
