-- segmentation: reports kept by difference

-- Reports that are sums over customers. Where few customers changed, such a report is what it was, less what they
-- contributed before, plus what they contribute now. Each is made in two steps: the parts, sums by the columns that
-- they are grouped by, and the report, which adds what follows from the sums. The parts have the names of the report's
-- columns, so that the report itself is a set of parts.
--
--   suffix      the report is NAME_suffix
--   sums        what is summed; the first column is the number of customers: without any there is no row
--   derived     the columns that the report adds
--   month_end   where it is of months that are over: the last day of a row's month, in terms of the parts p; NULL: it is
--               of NAME_customers, and what its rows contribute is told while they are written
--   months      of how many months it is; NULL: of all
CREATE FUNCTION _sums() RETURNS TABLE (suffix text, sums text[], derived text[], month_end text, months integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8 SET search_path = pg_catalog, pg_temp
AS $sums$
    SELECT r.suffix || b.suffix, r.sums, r.derived, r.month_end, r.months
    FROM (VALUES ('segments', '{customers,orders,revenue,vips}'::text[], '{customer_share,revenue_share}'::text[],
                  NULL, NULL::integer, true),
                 ('actions', '{customers,revenue}', '{wait_until}', NULL, NULL, false),
                 ('transitions', '{customers,revenue_before,revenue_after}', '{}', 'p.to_day', 12, false),
                 ('movement', '{customers,revenue_before,revenue_after}', '{}', 'p.to_day', 12, true),
                 ('cohorts', '{customers,active_customers,revenue}', '{active_share}',
                  '(p.first_month + make_interval(months => p.months_after + 1))::date - 1', NULL, true)
    ) AS r (suffix, sums, derived, month_end, months, has_attributes)
    JOIN (VALUES (''), ('_by')) AS b (suffix) ON r.has_attributes OR b.suffix = ''
$sums$;
COMMENT ON FUNCTION _sums() IS 'Part of segmentations: the reports that are sums over customers, and their columns.';

-- The last day of the last month that is over on a day.
CREATE FUNCTION _last_month_end(day date) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $end$ SELECT date_trunc('month', (day + 1)::timestamp)::date - 1 $end$;
COMMENT ON FUNCTION _last_month_end(date) IS
    'Part of segmentations: the last day of the last month that is over on a day.';

-- The parts of a report of customers; `customers` is what stands in the place of NAME_customers.
CREATE FUNCTION _customer_parts_sql(s segmentation_settings, suffix text, customers text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
    SELECT CASE suffix
        WHEN 'segments' THEN @extschema@._segment_parts_sql(s, false, customers)
        WHEN 'segments_by' THEN @extschema@._segment_parts_sql(s, true, customers)
        WHEN 'actions' THEN @extschema@._action_parts_sql(s, customers) END
$parts$;
COMMENT ON FUNCTION _customer_parts_sql(segmentation_settings, text, text) IS
    'Part of segmentations: the SELECT of the sums that a report of customers is made of.';

-- The parts of a report, of all customers or of those noted. With `since`, the end of a month, months before it may be
-- left out.
CREATE FUNCTION _parts_sql(
    s segmentation_settings, suffix text, noted boolean DEFAULT false, since date DEFAULT NULL
) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
    SELECT CASE suffix
        WHEN 'transitions' THEN @extschema@._transitions_sql(s, noted, since)
        WHEN 'movement' THEN @extschema@._movement_sql(s, false, noted, since)
        WHEN 'movement_by' THEN @extschema@._movement_sql(s, true, noted, since)
        WHEN 'cohorts' THEN @extschema@._cohort_parts_sql(s, false, noted, since)
        WHEN 'cohorts_by' THEN @extschema@._cohort_parts_sql(s, true, noted, since)
        ELSE @extschema@._customer_parts_sql(s, suffix, CASE WHEN noted THEN format(
            '(SELECT c.* FROM %s AS c WHERE %s)', c.customers, @extschema@._is_noted(s, 'c', false))
            ELSE c.customers END) END
    FROM (SELECT @extschema@._relation(s, 'customers') AS customers) AS c
$parts$;
COMMENT ON FUNCTION _parts_sql(segmentation_settings, text, boolean, date) IS
    'Part of segmentations: the SELECT of the sums that a report is made of, of all customers or of those noted.';

CREATE FUNCTION _report_sql(s segmentation_settings, suffix text, parts text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $report$
    SELECT CASE suffix
        WHEN 'segments' THEN @extschema@._segments_sql(s, false, parts)
        WHEN 'segments_by' THEN @extschema@._segments_sql(s, true, parts)
        WHEN 'actions' THEN @extschema@._actions_sql(s, parts)
        WHEN 'cohorts' THEN @extschema@._cohorts_sql(s, false, parts)
        WHEN 'cohorts_by' THEN @extschema@._cohorts_sql(s, true, parts)
        ELSE parts END
$report$;
COMMENT ON FUNCTION _report_sql(segmentation_settings, text, text) IS
    'Part of segmentations: the SELECT of a report over the SELECT of its parts.';

CREATE FUNCTION _report_of_all(s segmentation_settings, suffix text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $report$
    SELECT @extschema@._report_sql(s, suffix, @extschema@._parts_sql(s, suffix, false, NULL::date))
$report$;
COMMENT ON FUNCTION _report_of_all(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of a report that is a sum over customers.';

-- The end of the last month before the first day on which rows of the noted customers changed: what they contribute to
-- the months until then stays. NULL: any month can change. Attributes of a first order may hang on its later lines.
CREATE FUNCTION _unchanged_until(s segmentation_settings, suffix text) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $unchanged$
DECLARE
    changed_from date;
BEGIN
    IF suffix LIKE '%\_by' AND s.first_order IS NOT NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT CASE WHEN count(*) = count(changed_from) THEN min(changed_from) END FROM %s WHERE taken',
                   @extschema@._relation(s, 'noted')) INTO changed_from;
    RETURN @extschema@._last_month_end(changed_from - 1);
END
$unchanged$;
COMMENT ON FUNCTION _unchanged_until(segmentation_settings, text) IS
    'Part of segmentations: until which end of a month what the noted customers contribute to a report stays.';

-- The SELECT of what the noted customers contribute to a report; of one of months, to those that were over on a day and
-- can change.
CREATE FUNCTION _noted_parts_sql(s segmentation_settings, suffix text, day date) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
DECLARE
    month_end text := (SELECT r.month_end FROM @extschema@._sums() AS r WHERE r.suffix = _noted_parts_sql.suffix);
    unchanged_until date;
BEGIN
    IF month_end IS NULL THEN
        RETURN @extschema@._parts_sql(s, suffix, true, NULL::date);
    END IF;
    unchanged_until := @extschema@._unchanged_until(s, suffix);
    IF unchanged_until >= @extschema@._last_month_end(day) THEN
        RETURN format('SELECT p.* FROM %s AS p WHERE false', @extschema@._relation(s, suffix));
    END IF;
    RETURN format('SELECT p.* FROM (%s) AS p WHERE %s <= %L', @extschema@._parts_sql(s, suffix, true, unchanged_until),
                  month_end, @extschema@._last_month_end(day))
        || CASE WHEN unchanged_until IS NULL THEN '' ELSE format(' AND %s > %L', month_end, unchanged_until) END;
END
$parts$;
COMMENT ON FUNCTION _noted_parts_sql(segmentation_settings, text, date) IS
    'Part of segmentations: the SELECT of what the noted customers contribute to a report.';

-- Parts as JSON, which is exact and takes no table.
CREATE FUNCTION _as_json(parts text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $json$ SELECT format('SELECT coalesce(jsonb_agg(to_jsonb(p)), ''[]'') FROM (%s) AS p', parts) $json$;
COMMENT ON FUNCTION _as_json(text) IS 'Part of segmentations: the SELECT of the rows of a SELECT as JSON.';

CREATE FUNCTION _noted_parts(s segmentation_settings, suffix text, day date) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $noted$
DECLARE
    parts jsonb;
BEGIN
    EXECUTE @extschema@._as_json(@extschema@._noted_parts_sql(s, suffix, day)) INTO parts;
    RETURN parts;
END
$noted$;
COMMENT ON FUNCTION _noted_parts(segmentation_settings, text, date) IS
    'Part of segmentations: what the noted customers contribute to a report.';

-- The reports that can be kept by difference, and whether what they are made of is told while the rows of
-- NAME_customers are written: on shards nobody sees the rows before.
CREATE FUNCTION _reports_by_difference(s segmentation_settings) RETURNS TABLE (suffix text, told_by_customers boolean)
LANGUAGE sql STABLE ROWS 8 SET search_path = pg_catalog, pg_temp
AS $reports$
    SELECT r.suffix, m.month_end IS NULL AND NOT @extschema@._is_distributed(s)
    FROM @extschema@._relations(s) AS r
    JOIN @extschema@._sums() AS m ON m.suffix = r.suffix
    JOIN pg_class AS c ON c.oid = @extschema@._relation(s, r.suffix)::regclass AND c.relispopulated
    WHERE r.is_wanted
        AND NOT (r.suffix = 'segments' AND @extschema@._predictions_are_summed(s, false))
        -- It is a part of another one then.
        AND NOT (r.suffix = 'movement' AND 'transitions' = ANY (s.views) IS NOT FALSE)
$reports$;
COMMENT ON FUNCTION _reports_by_difference(segmentation_settings) IS
    'Part of segmentations: the reports that can be kept by difference.';

-- What customers contributed to the reports before, and contribute now, is a JSON object for each report.

-- Before a refresh changes anything: what the noted customers, if there are any, contribute on a day.
CREATE FUNCTION _contributed_before(s segmentation_settings, day date, are_any boolean) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $before$
    SELECT coalesce(jsonb_object_agg(r.suffix, CASE
               WHEN are_any THEN jsonb_build_object('before', @extschema@._noted_parts(s, r.suffix, day))
               ELSE '{"before": [], "after": []}' END), '{}')
    FROM @extschema@._reports_by_difference(s) AS r
    WHERE NOT (are_any AND r.told_by_customers)
$before$;
COMMENT ON FUNCTION _contributed_before(segmentation_settings, date, boolean) IS
    'Part of segmentations: what the noted customers contribute to the reports that are kept by difference.';

-- The SELECT of what rows of NAME_customers contributed as they were, and contribute as they are, for
-- _write_watched_rows; NULL: to nothing.
CREATE FUNCTION _contributed_by_rows_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $rows$
    SELECT 'SELECT jsonb_build_object(' || string_agg(
        format('%L, jsonb_build_object(''before'', (%s), ''after'', (%s))', r.suffix,
               @extschema@._as_json(@extschema@._customer_parts_sql(s, r.suffix, 'old_rows')),
               @extschema@._as_json(@extschema@._customer_parts_sql(s, r.suffix, 'new_rows'))), ', ') || ')::text'
    FROM @extschema@._reports_by_difference(s) AS r
    WHERE r.told_by_customers
$rows$;
COMMENT ON FUNCTION _contributed_by_rows_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of what the rows of customers that are written contribute to reports.';

-- Writes what customers contribute now, by default those noted, in the place of what they contributed before. A sum has
-- one text: both here and in the definition its zeros at the end go. Where months ended since the day before, everybody
-- contributes to these, and months that no longer count go.
CREATE FUNCTION _write_report(
    s segmentation_settings, suffix text, keys text[], contributed jsonb, day_before date, day date
) RETURNS written_rows
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $report$
DECLARE
    view regclass := @extschema@._relation(s, suffix)::regclass;
    report record;
    grouped text;
    sums text;
    signs text;
    totals text;
    known_until date := @extschema@._last_month_end(day_before);
    is_kept text := 'true'; -- whether the month of what is there still counts
    of_all text := ''; -- what everybody contributes to the new months
    after jsonb := coalesce(contributed -> 'after', @extschema@._noted_parts(s, suffix, day_before));
    parts text;
    written @extschema@.written_rows;
BEGIN
    SELECT * INTO report FROM @extschema@._sums() AS r WHERE r.suffix = _write_report.suffix;
    SELECT string_agg(format('p.%I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname <> ALL (report.sums)),
           string_agg(format('p.%I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname = ANY (report.sums)),
           string_agg(format('-p.%I', a.attname), ', ' ORDER BY a.attnum) FILTER (WHERE a.attname = ANY (report.sums)),
           string_agg(format(CASE a.atttypid WHEN 'numeric'::regtype THEN 'trim_scale(sum(p.%1$I)) AS %1$I'
                             ELSE 'sum(p.%1$I)::pg_catalog.int8 AS %1$I' END, a.attname), ', ' ORDER BY a.attnum)
               FILTER (WHERE a.attname = ANY (report.sums))
    INTO grouped, sums, signs, totals
    FROM pg_attribute AS a
    WHERE a.attrelid = view AND a.attnum > 0 AND a.attname <> ALL (report.derived);
    IF report.month_end IS NOT NULL AND known_until < @extschema@._last_month_end(day) THEN
        of_all := format(E'\n    UNION ALL\n    SELECT %s, %s FROM (%s) AS p WHERE %s > %L', grouped, sums,
                         @extschema@._parts_sql(s, suffix, false, known_until), report.month_end, known_until);
        IF report.months IS NOT NULL THEN
            is_kept := format('%s >= %L', report.month_end,
                              (@extschema@._last_month_end(day) + 1 - make_interval(months => report.months))::date);
        END IF;
    END IF;
    parts := format(
$sql$SELECT %1$s, %2$s
FROM (
    SELECT %1$s, %3$s FROM %4$s AS p WHERE %9$s
    UNION ALL
    SELECT %1$s, %5$s FROM jsonb_populate_recordset(NULL::%4$s, %6$L) AS p WHERE %9$s
    UNION ALL
    SELECT %1$s, %3$s FROM jsonb_populate_recordset(NULL::%4$s, %7$L) AS p%10$s
) AS p
GROUP BY %1$s
HAVING sum(p.%8$I) <> 0$sql$,
        grouped, totals, sums, view, signs, contributed -> 'before', after,
        report.sums[1], is_kept, of_all);
    SELECT w.* INTO written FROM @extschema@._write_view_rows(
        view, @extschema@._changes_sql(view, keys, NULL::text, @extschema@._report_sql(s, suffix, parts)),
        NULL::text) AS w;
    RETURN written;
END
$report$;
COMMENT ON FUNCTION _write_report(segmentation_settings, text, text[], jsonb, date, date) IS
    'Part of segmentations: brings a report up to date by what the noted customers contributed before and contribute '
    'now.';
