-- segmentation: reports kept by difference

-- Reports that are sums over customers. Where few customers changed, such a report is what it was, less what they
-- contributed before, plus what they contribute now. Each is made in two steps: the parts, sums by the columns that
-- they are grouped by, and the report, which adds what follows from the sums. The parts have the names of the report's
-- columns, so that the report itself is a set of parts.
--
--   suffix      the report is NAME_suffix
--   sums        what is summed; the first column is the number of customers: without any there is no row
--   derived     the columns that the report adds
--   is_monthly  whether it is of months that are over, and another one when a month turns
CREATE FUNCTION _sums() RETURNS TABLE (suffix text, sums text[], derived text[], is_monthly boolean)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 8 SET search_path = pg_catalog, pg_temp
AS $sums$
    SELECT r.suffix || b.suffix, r.sums, r.derived, r.is_monthly
    FROM (VALUES ('segments', '{customers,orders,revenue,vips}'::text[], '{customer_share,revenue_share}'::text[],
                  false, true),
                 ('actions', '{customers,revenue}', '{wait_until}', false, false),
                 ('transitions', '{customers,revenue_before,revenue_after}', '{}', true, false),
                 ('movement', '{customers,revenue_before,revenue_after}', '{}', true, true),
                 ('cohorts', '{customers,active_customers,revenue}', '{active_share}', true, true)
    ) AS r (suffix, sums, derived, is_monthly, has_attributes)
    JOIN (VALUES (''), ('_by')) AS b (suffix) ON r.has_attributes OR b.suffix = ''
$sums$;
COMMENT ON FUNCTION _sums() IS 'Part of segmentations: the reports that are sums over customers, and their columns.';

-- The parts of a report, of all customers or of those noted.
CREATE FUNCTION _parts_sql(s segmentation_settings, suffix text, noted boolean DEFAULT false) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $parts$
    SELECT CASE suffix
        WHEN 'segments' THEN @extschema@._segment_parts_sql(s, false, noted)
        WHEN 'segments_by' THEN @extschema@._segment_parts_sql(s, true, noted)
        WHEN 'actions' THEN @extschema@._action_parts_sql(s, noted)
        WHEN 'transitions' THEN @extschema@._transitions_sql(s, noted)
        WHEN 'movement' THEN @extschema@._movement_sql(s, false, noted)
        WHEN 'movement_by' THEN @extschema@._movement_sql(s, true, noted)
        WHEN 'cohorts' THEN @extschema@._cohort_parts_sql(s, false, noted)
        WHEN 'cohorts_by' THEN @extschema@._cohort_parts_sql(s, true, noted) END
$parts$;
COMMENT ON FUNCTION _parts_sql(segmentation_settings, text, boolean) IS
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
AS $report$ SELECT @extschema@._report_sql(s, suffix, @extschema@._parts_sql(s, suffix)) $report$;
COMMENT ON FUNCTION _report_of_all(segmentation_settings, text) IS
    'Part of segmentations: the SELECT of a report that is a sum over customers.';

-- What the noted customers contribute to a report now, as JSON, which is exact and takes no table.
CREATE FUNCTION _noted_parts(s segmentation_settings, suffix text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $noted$
DECLARE
    parts jsonb;
BEGIN
    EXECUTE format('SELECT jsonb_agg(to_jsonb(p)) FROM (%s) AS p', @extschema@._parts_sql(s, suffix, true)) INTO parts;
    RETURN coalesce(parts, '[]');
END
$noted$;
COMMENT ON FUNCTION _noted_parts(segmentation_settings, text) IS
    'Part of segmentations: what the noted customers contribute to a report.';

-- Writes what the noted customers contribute now in the place of what they contributed before. A sum has one text:
-- both here and in the definition its zeros at the end go.
CREATE FUNCTION _write_report(s segmentation_settings, suffix text, keys text[], before jsonb) RETURNS written_rows
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $report$
DECLARE
    view regclass := @extschema@._relation(s, suffix)::regclass;
    report record;
    grouped text;
    sums text;
    signs text;
    totals text;
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
    parts := format(
$sql$SELECT %1$s, %2$s
FROM (
    SELECT %1$s, %3$s FROM %4$s AS p
    UNION ALL
    SELECT %1$s, %5$s FROM jsonb_populate_recordset(NULL::%4$s, %6$L) AS p
    UNION ALL
    SELECT %1$s, %3$s FROM (%7$s) AS p
) AS p
GROUP BY %1$s
HAVING sum(p.%8$I) <> 0$sql$,
        grouped, totals, sums, view, signs, before, @extschema@._parts_sql(s, suffix, true), report.sums[1]);
    SELECT w.* INTO written FROM @extschema@._write_view_rows(
        view, @extschema@._changes_sql(view, keys, NULL::text, @extschema@._report_sql(s, suffix, parts)),
        NULL::text) AS w;
    RETURN written;
END
$report$;
COMMENT ON FUNCTION _write_report(segmentation_settings, text, text[], jsonb) IS
    'Part of segmentations: brings a report up to date by what the noted customers contributed before and contribute '
    'now.';
