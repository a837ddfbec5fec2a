-- segmentation: KPIs by month, with targets and costs

-- The month of a column of days as its first day; NULL where it is none of the years 1 to 9999.
CREATE FUNCTION _month(s segmentation_settings, relation regclass, alias text, column_name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $month$
    SELECT format(
$sql$CASE WHEN %1$s BETWEEN '0001-01-01' AND '9999-12-31'
     THEN date_trunc('month', (%1$s)::pg_catalog.timestamp)::pg_catalog.date END$sql$,
        @extschema@._day(s, relation, alias, column_name))
$month$;
COMMENT ON FUNCTION _month(segmentation_settings, regclass, text, text) IS
    'Part of segmentations: the first day of the calendar month of a column.';

-- A number of any type as a numeric; NULL where it is not finite. Infinity less infinity is no number.
CREATE FUNCTION _finite(alias text, column_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $finite$
    SELECT format('CASE WHEN %1$s.%2$I - %1$s.%2$I = 0 THEN %1$s.%2$I::pg_catalog.numeric END', alias, column_name)
$finite$;
COMMENT ON FUNCTION _finite(text, text) IS 'Part of segmentations: a column as a numeric, NULL where it is not finite.';

-- A word of the shop's, in the collation that ours are in.
CREATE FUNCTION _in_default_collation(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $collation$ SELECT format('(%s) COLLATE pg_catalog."default"', word) $collation$;
COMMENT ON FUNCTION _in_default_collation(text) IS 'Part of segmentations: a text, as SQL, in the default collation.';

-- The rows of a source without customers, with the tenant named as in the orders where there is one.
CREATE FUNCTION _rows_by_month_sql(s segmentation_settings, source text, word text, word_column text, number text,
                                   number_column text, period_column text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $rows$
    SELECT format('SELECT %s%s AS %I, %s AS period, %s AS %I FROM %s AS r',
                  @extschema@._keys_as_in_orders(s, source, 'r') || ', ',
                  @extschema@._in_default_collation(@extschema@._text('r', word_column)), word,
                  @extschema@._month(s, relation, 'r', period_column), @extschema@._finite('r', number_column), number,
                  relation)
        || coalesce(' WHERE ' || @extschema@._has_key(s, source, 'r'), '')
    FROM @extschema@._source_table(s, source) AS relation
$rows$;
COMMENT ON FUNCTION _rows_by_month_sql(segmentation_settings, text, text, text, text, text, text) IS
    'Part of segmentations: the rows of the table of targets or costs, by month.';

CREATE FUNCTION _target_rows_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $targets$
    SELECT @extschema@._rows_by_month_sql(s, 'targets', 'kpi', s.targets_kpi, 'target', s.targets_target,
                                          s.targets_period)
$targets$;
COMMENT ON FUNCTION _target_rows_sql(segmentation_settings) IS 'Part of segmentations: the rows of the targets.';

CREATE FUNCTION _targets_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $targets$
    SELECT format('SELECT * FROM (%s) AS r WHERE r.kpi IS NOT NULL AND r.period IS NOT NULL AND r.target IS NOT NULL',
                  @extschema@._target_rows_sql(s))
$targets$;
COMMENT ON FUNCTION _targets_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of the targets, one row a KPI and month.';

CREATE FUNCTION _cost_rows_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $costs$
    SELECT @extschema@._rows_by_month_sql(s, 'costs', 'purpose', s.costs_purpose, 'amount', s.costs_amount,
                                          s.costs_period)
$costs$;
COMMENT ON FUNCTION _cost_rows_sql(segmentation_settings) IS 'Part of segmentations: the rows of the costs.';

CREATE FUNCTION _costs_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $costs$
    SELECT format(
$sql$SELECT %1$sr.purpose, r.period, sum(r.amount) AS amount FROM (%2$s) AS r
WHERE r.purpose IS NOT NULL AND r.period IS NOT NULL AND r.amount IS NOT NULL
GROUP BY %1$sr.purpose, r.period$sql$, @extschema@._tenant_column(s, 'r'), @extschema@._cost_rows_sql(s))
$costs$;
COMMENT ON FUNCTION _costs_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of the costs, one row a purpose and month.';

-- Two targets of one KPI and month contradict each other.
CREATE FUNCTION _refuse_double_targets(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $double$
DECLARE
    keys text := @extschema@._tenant_column(s, 'r') || 'r.kpi, r.period';
    example text;
BEGIN
    IF s.targets IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT concat_ws('', '', %1$s) FROM (%2$s) AS r '
                   'GROUP BY %1$s HAVING count(*) > 1 ORDER BY %1$s LIMIT 1', keys, @extschema@._targets_sql(s))
        INTO example;
    IF example IS NOT NULL THEN
        RAISE EXCEPTION '% has several targets of %', @extschema@._source_table(s, 'targets'), example
            USING ERRCODE = 'unique_violation',
                  HINT = 'It must have one row a KPI and month; any day of a month stands for it.';
    END IF;
END
$double$;
COMMENT ON FUNCTION _refuse_double_targets(segmentation_settings) IS
    'Part of segmentations: an error where a KPI has two targets in one month.';

-- Joins the costs of a purpose to the months, where costs are given.
CREATE FUNCTION _join_costs(s segmentation_settings, purpose text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $join$
    SELECT format(E'\n    LEFT JOIN %s AS %I ON %2$I.purpose = %2$L AND %2$I.period = m.month%s',
                  @extschema@._relation(s, 'costs'), purpose,
                  coalesce(' AND ' || @extschema@._same_columns(s, ARRAY[s.tenant], purpose, 'm'), ''))
$join$;
COMMENT ON FUNCTION _join_costs(segmentation_settings, text) IS
    'Part of segmentations: the join of the costs of a purpose to the months of the KPIs.';

-- What is counted in each month, for the month of as_of and the twelve before it.
CREATE FUNCTION _counted_months_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $months$
    SELECT format(
$sql$SELECT %1$sm.month, m.to_day,
       sum(m.orders)::bigint AS orders,
       sum(m.revenue) AS revenue,
       count(*) FILTER (WHERE m.orders > 0) AS buyers,
       count(*) FILTER (WHERE m.months_after = 0) AS acquired,
       %2$s,
       %3$s,
       count(*) FILTER (WHERE m.state_before = 'dormant') AS were_dormant,
       count(*) FILTER (WHERE m.state_before = 'dormant' AND m.orders > 0) AS reactivated,
       count(*) FILTER (WHERE m.state_before = 'at_risk') AS were_at_risk,
       count(*) FILTER (WHERE m.state_before = 'at_risk' AND m.orders > 0) AS saved,
       count(*) FILTER (WHERE m.state_before NOT IN ('prospect', 'dormant')) AS were_awake,
       count(*) FILTER (WHERE m.state_before NOT IN ('prospect', 'dormant')
                              AND m.state_after = 'dormant') AS fell_asleep,
       count(*) FILTER (WHERE m.state_after <> 'prospect') AS customers,
       count(*) FILTER (WHERE m.state_after = 'dormant') AS dormant,
       count(*) FILTER (WHERE m.state_after = 'vip') AS vips
FROM %4$s AS f
CROSS JOIN LATERAL @extschema@.customer_months(
    f.history, 12, f.as_of, f.policy, f.engagement, f.membership, f.memberships
) AS m
GROUP BY %1$sm.month, m.to_day$sql$,
        @extschema@._tenant_column(s, 'f'),
        (SELECT string_agg(format('count(*) FILTER (WHERE m.months_after = 0 AND %2$s) AS again_%1$s, '
                                  'count(*) FILTER (WHERE m.months_after = 0 AND %2$s IS NOT NULL) AS judged_%1$s', d,
                                  format('@extschema@.reached_purchase_within(f.history, 2, %s, f.as_of)', d)),
                           E',\n       ' ORDER BY d)
         FROM unnest(ARRAY[30, 60, 90]) AS d),
        (SELECT string_agg(format('count(*) FILTER (WHERE m.months_after = %1$s) AS first_%1$s, '
                                  'count(*) FILTER (WHERE m.months_after = %1$s AND m.orders > 0) AS retained_%1$s', n),
                           E',\n       ' ORDER BY n)
         FROM unnest(ARRAY[1, 3, 6, 12]) AS n),
        @extschema@._relation(s, 'facts'))
$months$;
COMMENT ON FUNCTION _counted_months_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of what is counted in each month for the KPIs.';

-- One row a KPI and month: numerator and denominator. Counts and sums have no denominator.
CREATE FUNCTION _counted_kpis_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $counted$
    SELECT format(
$sql$SELECT %1$sm.month, m.to_day, v.kpi, v.numerator, v.denominator
    FROM (%2$s) AS m%3$s
    CROSS JOIN LATERAL (VALUES
        ('revenue', m.revenue, NULL::bigint),
        ('orders', m.orders, NULL),
        ('average_order_value', m.revenue, m.orders),
        ('buyers', m.buyers, NULL),
        ('acquired', m.acquired, NULL),
        ('f2_within_30_days', m.again_30, m.judged_30),
        ('f2_within_60_days', m.again_60, m.judged_60),
        ('f2_within_90_days', m.again_90, m.judged_90),
        ('retained_month_1', m.retained_1, m.first_1),
        ('retained_month_3', m.retained_3, m.first_3),
        ('retained_month_6', m.retained_6, m.first_6),
        ('retained_month_12', m.retained_12, m.first_12),
        ('reactivated', m.reactivated, NULL),
        ('reactivation_rate', m.reactivated, m.were_dormant),
        ('at_risk_saved', m.saved, m.were_at_risk),
        ('became_dormant', m.fell_asleep, m.were_awake),
        ('dormant_share', m.dormant, m.customers),
        ('vip_share', m.vips, m.customers)%4$s
    ) AS v (kpi, numerator, denominator)$sql$,
        @extschema@._tenant_column(s, 'm'), @extschema@._counted_months_sql(s),
        CASE WHEN s.costs IS NULL THEN ''
             ELSE @extschema@._join_costs(s, 'acquisition') || @extschema@._join_costs(s, 'reactivation') END,
        CASE WHEN s.costs IS NULL THEN ''
             ELSE E',\n        (''acquisition_cost'', acquisition.amount, m.acquired),\n'
                  '        (''reactivation_cost'', reactivation.amount, m.reactivated)' END)
$counted$;
COMMENT ON FUNCTION _counted_kpis_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of numerator and denominator of each KPI and month.';

-- Every KPI of a month and every target: one without an actual, of a month to come for example, keeps its row. What
-- grows in the course of a month is held against as much of the target as the month has days behind it.
CREATE FUNCTION _kpis_sql(s segmentation_settings) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $kpis$
    SELECT format(
$sql$WITH counted AS (
    %1$s
), compared AS (
    SELECT %2$s, c.to_day, c.numerator, c.denominator,
           CASE WHEN c.denominator IS NULL THEN c.numerator
                ELSE round(c.numerator / nullif(c.denominator, 0), 6) END AS actual,
           %3$s
)
SELECT %4$sc.kpi, c.period, CASE p.lang WHEN 'ja' THEN k.label_ja ELSE k.label_en END AS kpi_label,
       k.sort_order AS kpi_order, k.unit, c.numerator, c.denominator,
       c.actual, i.rate_low AS actual_low, i.rate_high AS actual_high, e.final_on, e.final_on > p.as_of AS is_interim,
       c.target, a.target_so_far,
       CASE WHEN k.lower_is_better THEN c.actual <= a.target_so_far ELSE c.actual >= a.target_so_far END AS on_track
FROM compared AS c
CROSS JOIN %5$s
LEFT JOIN @extschema@.kpis() AS k ON k.kpi = c.kpi
CROSS JOIN LATERAL (SELECT (c.period + interval '1 month')::date - 1 AS month_end) AS d
CROSS JOIN LATERAL (SELECT d.month_end + coalesce(k.settles_after_days, 0) AS final_on) AS e
CROSS JOIN LATERAL (
    SELECT CASE WHEN k.builds_up AND c.to_day < d.month_end
                THEN round(c.target * (c.to_day - c.period + 1) / (d.month_end - c.period + 1), 6)
                ELSE c.target END AS target_so_far
) AS a
CROSS JOIN LATERAL @extschema@.wilson_interval(
    CASE k.unit WHEN 'rate' THEN c.numerator::bigint END, c.denominator
) AS i$sql$,
        @extschema@._counted_kpis_sql(s),
        CASE WHEN s.targets IS NULL THEN @extschema@._tenant_column(s, 'c') || 'c.kpi, c.month AS period'
             ELSE CASE WHEN s.tenant IS NULL THEN '' ELSE format('coalesce(c.%1$I, t.%1$I) AS %1$I, ', s.tenant) END
                  || 'coalesce(c.kpi, t.kpi) AS kpi, coalesce(c.month, t.period) AS period' END,
        CASE WHEN s.targets IS NULL THEN E'NULL::numeric AS target\n    FROM counted AS c'
             ELSE format(E't.target\n    FROM counted AS c\n'
                         '    FULL JOIN %s AS t ON t.kpi = c.kpi AND t.period = c.month%s',
                         @extschema@._relation(s, 'targets'),
                         coalesce(' AND ' || @extschema@._same_columns(s, ARRAY[s.tenant], 't', 'c'), '')) END,
        @extschema@._tenant_column(s, 'c'), @extschema@._status_row(s, 'as_of', 'lang'))
$kpis$;
COMMENT ON FUNCTION _kpis_sql(segmentation_settings) IS
    'Part of segmentations: the SELECT of one row a KPI and month, beside its target.';

-- What the tables of targets and costs hold that no KPI takes or can reach; words that are not known are judged one by
-- one elsewhere.
CREATE FUNCTION _audit_kpis(s segmentation_settings) RETURNS TABLE (
    finding text, rows bigint, share numeric, example text, effect text
)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $audit$
DECLARE
    counted text :=
        'SELECT %1$L, count(*) FILTER (WHERE %2$s), round(count(*) FILTER (WHERE %2$s)::numeric / count(*), 6), '
        'left(min(%3$s) FILTER (WHERE %2$s), 120), ''ignored'' FROM (%4$s) AS r '
        'HAVING count(*) FILTER (WHERE %2$s) > 0';
BEGIN
    IF s.targets IS NOT NULL THEN
        RETURN QUERY EXECUTE format(counted, 'target without a KPI, month or finite value',
            'r.kpi IS NULL OR r.period IS NULL OR r.target IS NULL', 'concat_ws('', '', r.kpi, r.period, r.target)',
            @extschema@._target_rows_sql(s));
        RETURN QUERY EXECUTE format(
$sql$SELECT 'rate target above 1', count(*) FILTER (WHERE r.is_odd),
       round(count(*) FILTER (WHERE r.is_odd)::numeric / count(*), 6),
       (array_agg(concat_ws(', ', r.kpi, r.period, r.target) ORDER BY r.target, r.kpi, r.period)
            FILTER (WHERE r.is_odd))[1],
       format('a rate of 1 is 100 %%%%: %%s = %%s %%%%; if percent are meant, write: %%s',
              trim_scale(min(r.target) FILTER (WHERE r.is_odd)),
              trim_scale(100 * min(r.target) FILTER (WHERE r.is_odd)),
              trim_scale(min(r.target) FILTER (WHERE r.is_odd) * 0.01))
FROM (
    SELECT t.*, t.target > 1
               AND t.kpi IN (SELECT k.kpi FROM @extschema@.kpis() AS k WHERE k.unit = 'rate') AS is_odd
    FROM (%s) AS t
) AS r
HAVING bool_or(r.is_odd)$sql$, @extschema@._target_rows_sql(s));
    END IF;
    IF s.costs IS NOT NULL THEN
        RETURN QUERY EXECUTE format(counted, 'costs without a purpose, month or finite amount',
            'r.purpose IS NULL OR r.period IS NULL OR r.amount IS NULL',
            'concat_ws('', '', r.purpose, r.period, r.amount)', @extschema@._cost_rows_sql(s));
    END IF;
END
$audit$;
COMMENT ON FUNCTION _audit_kpis(segmentation_settings) IS
    'Part of segmentations: what in the targets and costs no KPI takes, and targets that no KPI can reach.';
