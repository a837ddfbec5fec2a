-- segmentation: who changed

-- NAME_changes has one row a customer and watched column of NAME_customers that is another since a refresh. It begins
-- empty: together with NAME_customers of any moment, what came since replays to the present. Its identity is drawn
-- while the settings are locked until the commit, so that it grows in the order of commits: who sees one sees all those
-- before it.

-- The columns of NAME_customers of which it tells. The first one is never NULL where there is a customer.
CREATE FUNCTION _watched_columns() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $watched$ SELECT '{lifecycle_state,rfm_segment,vip_tier,next_action}'::text[] $watched$;
COMMENT ON FUNCTION _watched_columns() IS
    'Part of segmentations: the columns of NAME_customers of which NAME_changes tells.';

-- Keys are of the types, lengths and collations that NAME_customers has.
CREATE FUNCTION _create_changes(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $create$
DECLARE
    changes text := @extschema@._relation(s, 'changes');
BEGIN
    EXECUTE format('CREATE TABLE %s AS SELECT NULL::int8 AS change_id, NULL::timestamptz AS changed_at,'
                   ' NULL::date AS as_of, %s, NULL::text AS what, NULL::text AS from_value, NULL::text AS to_value'
                   ' FROM %s WITH NO DATA',
                   changes, @extschema@._key_list(s), @extschema@._relation(s, 'customers'));
    EXECUTE format('ALTER TABLE %s ALTER change_id SET NOT NULL, ADD PRIMARY KEY (change_id),'
                   ' ALTER changed_at SET NOT NULL, ALTER as_of SET NOT NULL, ALTER what SET NOT NULL', changes)
        || (SELECT string_agg(format(', ALTER %I SET NOT NULL', k.name), '')
            FROM unnest(@extschema@._keys(s)) AS k (name));
    EXECUTE format('ALTER TABLE %s ALTER change_id ADD GENERATED ALWAYS AS IDENTITY', changes);
END
$create$;
COMMENT ON FUNCTION _create_changes(segmentation_settings) IS 'Part of segmentations: makes the table of who changed.';

-- The first step of a refresh: makes the table where it is missing, and fills a NAME_customers that was restored
-- without its rows by what its tables hold, so that changes are told from there. Returns the last change where somebody
-- will be told of those after it.
CREATE FUNCTION _begin_changes(s segmentation_settings) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $begin$
DECLARE
    changes text := @extschema@._relation(s, 'changes');
    customers text := @extschema@._relation(s, 'customers');
    last_change bigint;
BEGIN
    IF s.keep_changes = 0 THEN
        RETURN NULL;
    END IF;
    IF to_regclass(changes) IS NULL THEN
        PERFORM @extschema@._create_changes(s);
        PERFORM @extschema@._comment_relations(s);
        PERFORM @extschema@._grant_readers(s, '{}'::text[]);
    END IF;
    IF NOT (SELECT c.relispopulated FROM pg_class AS c WHERE c.oid = customers::regclass) THEN
        EXECUTE format('REFRESH MATERIALIZED VIEW %s', customers);
    END IF;
    IF s.notify IS NOT NULL THEN
        EXECUTE format('SELECT coalesce(max(change_id), 0) FROM %s', changes) INTO last_change;
    END IF;
    RETURN last_change;
END
$begin$;
COMMENT ON FUNCTION _begin_changes(segmentation_settings) IS
    'Part of segmentations: makes the table of who changed where it is missing; the last change, if it will be asked '
    'for.';

-- Writes rows of NAME_customers, as _write_view_rows does, and who changed by them. Returns what is answered about them,
-- too.
CREATE FUNCTION _write_customers(s segmentation_settings, changes text, keys text, asked text) RETURNS _watched_rows
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $customers$
DECLARE
    view regclass := @extschema@._relation(s, 'customers')::regclass;
    who_changed text;
    day date;
    written @extschema@._watched_rows;
BEGIN
    IF s.keep_changes > 0 THEN
        who_changed := @extschema@._lock_and_check(s, 'changes', 'ROW EXCLUSIVE MODE');
    END IF;
    EXECUTE format('SELECT as_of FROM %s', @extschema@._relation(s, 'status')) INTO day;
    SELECT w.* INTO written FROM @extschema@._write_watched_rows(
        view, changes, keys, @extschema@._watched_columns(), who_changed::regclass,
        pg_get_serial_sequence(who_changed, 'change_id')::regclass, day, asked) AS w;
    RETURN written;
END
$customers$;
COMMENT ON FUNCTION _write_customers(segmentation_settings, text, text, text) IS
    'Part of segmentations: writes rows of NAME_customers, and who changed by them; what is answered about them.';

-- The last step of a refresh: says how many changed, and deletes what is too old. Changes are as old as they are far
-- from the end, so that the first one tells whether there is anything to delete.
CREATE FUNCTION _end_changes(s segmentation_settings, last_change bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $end$
DECLARE
    changes text := @extschema@._relation(s, 'changes');
    keep_from timestamptz := clock_timestamp() - make_interval(days => s.keep_changes);
    counts json;
    day date;
    is_too_old boolean;
BEGIN
    IF s.keep_changes = 0 THEN
        RETURN;
    END IF;
    IF s.notify IS NOT NULL THEN
        EXECUTE format('SELECT json_object_agg(c.what, c.changes ORDER BY c.what) FROM ('
                       'SELECT what, count(*) AS changes FROM %s WHERE change_id > $1 GROUP BY what) AS c', changes)
            INTO counts USING last_change;
        IF counts IS NOT NULL THEN
            EXECUTE format('SELECT as_of FROM %s', @extschema@._relation(s, 'status')) INTO day;
            PERFORM pg_notify(
                s.notify, json_build_object('segmentation', s.name, 'as_of', day, 'changes', counts)::text);
        END IF;
    END IF;
    EXECUTE format('SELECT changed_at < $1 FROM %s ORDER BY change_id LIMIT 1', changes)
        INTO is_too_old USING keep_from;
    IF is_too_old THEN
        EXECUTE format('DELETE FROM %1$s WHERE changed_at < $1 AND change_id < coalesce('
                       '(SELECT min(change_id) FROM %1$s WHERE changed_at >= $1), 9223372036854775807)',
                       @extschema@._lock_and_check(s, 'changes', 'ROW EXCLUSIVE MODE')) USING keep_from;
    END IF;
END
$end$;
COMMENT ON FUNCTION _end_changes(segmentation_settings, bigint) IS
    'Part of segmentations: says how many changed on the channel asked for, and deletes old changes.';

-- Before NAME_customers is dropped and made anew: keeps of it what NAME_changes tells of, in a table that lasts until
-- _write_changes_of_held in the same transaction. Returns whether it did.
CREATE FUNCTION _hold_customers(old segmentation_settings, s segmentation_settings) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $hold$
BEGIN
    IF NOT (old.keep_changes > 0 AND s.keep_changes > 0) THEN
        RETURN false;
    END IF;
    PERFORM @extschema@._begin_changes(old);
    -- Building grants to the readers of then what it finds or makes; those of before are not among them any more.
    PERFORM @extschema@._grant_readers(@extschema@._with_changes(old, '{"readers": null}'), old.readers);
    EXECUTE format('CREATE UNLOGGED TABLE %s AS SELECT %s, %s FROM %s', @extschema@._relation(s, 'changes_held'),
                   @extschema@._key_list(old),
                   (SELECT string_agg(quote_ident(w.name), ', ')
                    FROM unnest(@extschema@._watched_columns()) AS w (name)),
                   @extschema@._relation(old, 'customers'));
    RETURN true;
END
$hold$;
COMMENT ON FUNCTION _hold_customers(segmentation_settings, segmentation_settings) IS
    'Part of segmentations: keeps what NAME_changes tells of while NAME_customers is made anew.';

-- After NAME_customers was made anew: writes who changed. Where its key is another one, NAME_changes begins anew too.
CREATE FUNCTION _write_changes_of_held(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $held$
DECLARE
    changes text := @extschema@._relation(s, 'changes');
    held text := @extschema@._relation(s, 'changes_held');
    customers text := @extschema@._relation(s, 'customers');
    last_change bigint;
    is_same_key boolean := NOT EXISTS (
        SELECT FROM (SELECT * FROM pg_attribute AS a
                     WHERE a.attrelid = held::regclass AND a.attnum > 0
                         AND a.attname <> ALL (@extschema@._watched_columns())) AS h
        FULL JOIN (SELECT * FROM pg_attribute AS a
                   WHERE a.attrelid = customers::regclass AND a.attname = ANY (@extschema@._keys(s))) AS c
            USING (attname, atttypid, atttypmod, attcollation)
        WHERE h.attnum IS NULL OR c.attnum IS NULL);
BEGIN
    IF NOT is_same_key THEN
        EXECUTE format('DROP TABLE %s', changes);
    END IF;
    last_change := @extschema@._begin_changes(s);
    IF is_same_key THEN
        EXECUTE format('INSERT INTO %s (changed_at, as_of, %s, what, from_value, to_value) SELECT $1, p.as_of, %s,'
                       ' v.what, v.from_value, v.to_value FROM %s AS h FULL JOIN %s AS c ON %s CROSS JOIN %s AS p',
                       @extschema@._lock_and_check(s, 'changes', 'ROW EXCLUSIVE MODE'), @extschema@._key_list(s),
                       (SELECT string_agg(format('coalesce(h.%1$I, c.%1$I)', k.name), ', ' ORDER BY k.place)
                        FROM unnest(@extschema@._keys(s)) WITH ORDINALITY AS k (name, place)),
                       held, customers, @extschema@._same_key(s, 'h', 'c'), @extschema@._relation(s, 'status'))
            || (SELECT format(' CROSS JOIN LATERAL (VALUES %s) AS v (what, from_value, to_value)',
                              string_agg(format('(%1$L, h.%1$I, c.%1$I)', w.name), ', '))
                FROM unnest(@extschema@._watched_columns()) AS w (name))
            || ' WHERE v.from_value IS DISTINCT FROM v.to_value'
            USING clock_timestamp();
    END IF;
    EXECUTE format('DROP TABLE %s', held);
    PERFORM @extschema@._end_changes(s, last_change);
END
$held$;
COMMENT ON FUNCTION _write_changes_of_held(segmentation_settings) IS
    'Part of segmentations: writes who changed where NAME_customers was made anew.';
