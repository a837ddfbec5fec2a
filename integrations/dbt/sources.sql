-- Prints models/sources.yml: the relations that dashboards read with their comments, and what their columns may hold by the
-- extension's own lists. In any database with pg_rfm in schema rfm, where it leaves nothing behind:
--   psql -X -qAt -f integrations/dbt/sources.sql >integrations/dbt/models/sources.yml

BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_temp, rfm;

-- A segmentation that has every relation, over tables of one row.
CREATE SCHEMA sources_of_dbt;
CREATE TABLE sources_of_dbt.orders AS
    SELECT 1 AS customer_id, date '2026-06-01' AS ordered_on, 100 AS amount, ''::text AS an_attribute_of_orders;
CREATE TABLE sources_of_dbt.customers AS SELECT 1 AS customer_id, NULL::text AS email, ''::text AS an_attribute_of_customers;
CREATE TABLE sources_of_dbt.contacts AS
    SELECT 1 AS customer_id, 'email'::text AS channel, date '2026-06-02' AS contacted_on, ''::text AS campaign WHERE false;
CREATE TABLE sources_of_dbt.targets AS SELECT 'revenue'::text AS kpi, date '2026-06-01' AS month, 1 AS target;
SELECT rfm.create_segmentation('sources_of_dbt', orders => 'sources_of_dbt.orders', customers => 'sources_of_dbt.customers',
    contacts => 'sources_of_dbt.contacts', targets => 'sources_of_dbt.targets', model => '{}', as_of => '2026-06-30',
    attributes => '{an_attribute_of_customers}', first_order => '{an_attribute_of_orders}', schema => 'sources_of_dbt') \g /dev/null

-- Columns whose values are a list of the extension's, whatever the policy and the shop's own words.
CREATE TEMPORARY TABLE closed AS
SELECT c.name, l.values
FROM (VALUES ('lifecycle_state', 'lifecycle_state'), ('previous_state', 'lifecycle_state'), ('from_state', 'lifecycle_state'),
             ('to_state', 'lifecycle_state'), ('purchase_stage', 'purchase_stage'), ('vip_tier', 'vip_tier'),
             ('last_tier', 'vip_tier'), ('dormancy_category', 'dormancy_category'), ('dormancy_reason', 'dormancy_reason'),
             ('action_behavior', 'behavior'), ('verdict', 'ab_verdict'), ('churn_band', 'churn_band'), ('kpi', 'kpi')) AS c (name, list)
JOIN (
    SELECT list, string_agg(name, ', ' ORDER BY sort_order) AS values FROM rfm.labels() GROUP BY list
    UNION ALL
    SELECT 'kpi', string_agg(kpi, ', ' ORDER BY sort_order) FROM rfm.kpis()
) AS l USING (list);

SELECT $$# Written by integrations/dbt/sources.sql: do not edit.
version: 2

sources:
  - name: pg_rfm
    description: The views of a segmentation of pg_rfm, brought up to date by refresh_segmentation.
    schema: "{{ var('pg_rfm_schema') }}"
    tables:$$;

-- The keys of customers and the attributes are called as the shop calls them, and stand in no list.
SELECT format($$      - name: %1$s
        identifier: "{{ var('pg_rfm_segmentation') }}_%1$s"
        description: %2$s$$, r.suffix, to_json(r.comment))
    || CASE WHEN r.suffix = 'status' THEN $$
        config:
          loaded_at_field: refreshed_at
          freshness:
            warn_after: {count: 26, period: hour}
            error_after: {count: 50, period: hour}$$
       WHEN NOT r.is_always_there THEN format($$
        config:
          enabled: %s$$, r.is_enabled) ELSE '' END
    || $$
        columns:$$
    || string_agg(format($$
          - name: %s
            description: %s$$, a.attname, to_json(col_description(a.attrelid, a.attnum)))
        || CASE WHEN closed.values IS NULL THEN '' ELSE format($$
            data_tests:
              - accepted_values:
                  arguments:
                    values: [%s]$$, closed.values)
               || CASE WHEN r.is_always_there THEN '' ELSE format($$
                  config:
                    enabled: %s$$, r.is_enabled) END END, '' ORDER BY a.attnum)
FROM (
    SELECT row_number() OVER () AS place, s.suffix, r.comment,
           format($$"{{ '%s' in var('pg_rfm_relations') }}"$$, s.suffix) AS is_enabled,
           reason IN ('every segmentation has it', 'made unless views leaves it out')
               AND relation !~ '_(channels|dormant_response|campaigns|kpis|forecast)$' AS is_always_there,
           format('sources_of_dbt.%I', relation)::regclass AS oid
    FROM rfm.segmentation_relations AS r
    CROSS JOIN LATERAL CAST(substr(r.relation, length('sources_of_dbt_') + 1) AS text) AS s (suffix)
    WHERE segmentation = 'sources_of_dbt' AND (kind LIKE '%view' OR relation = 'sources_of_dbt_status')
) AS r
JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
                          AND a.attname NOT IN ('customer_id', 'an_attribute_of_customers', 'an_attribute_of_orders')
LEFT JOIN closed ON closed.name = a.attname AND r.suffix <> 'forecast' -- where an empty state is all customers
                    AND (r.suffix, a.attname) <> ('customers_today', 'churn_band') -- which it has only with a model
GROUP BY r.place, r.suffix, r.comment, r.is_always_there, r.is_enabled
ORDER BY r.place;
ROLLBACK;
