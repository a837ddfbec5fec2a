-- The table facts: a column for each type of argument, and one for each argument whose value must be a word of a list.
-- The schema of the extension is in search_path.
CREATE TABLE public.facts AS
SELECT n AS customer, n AS "integer", n::bigint AS "bigint", n * 2.25 AS "numeric", n * 0.37::float8 AS "double precision",
       111 * (1 + n % 5) AS score, 2 + n % 3 AS nth, 6 * n AS recency_days, n % 2 = 0 AS "boolean", '2025-06-30'::date - n * 17 % 90 AS "date", '2025-06-30'::date AS as_of,
       n * 0.01::float8 AS base_rate, 0.05::float8 AS lift, 0.8::float8 AS power, 0.05::float8 AS alpha, 'k' || n AS customer_key, 'spring' AS test,
       '[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.5}]'::jsonb AS groups, md5(n::text)::uuid AS "uuid",
       format('(1000,%s,,,,5000,,%s)', n, n + 1000000)::ab_result AS "ab_result",
       '2025-01-01'::date AS from_day, '2025-06-30'::date AS to_day, '2025-01-31'::date AS ending_after, '1 month'::interval AS "interval",
       '2025-06-01 12:00'::timestamp - make_interval(days => n) AS "timestamp without time zone",
       '2025-06-01 12:00+00'::timestamptz - make_interval(days => n) AS "timestamp with time zone",
       (ARRAY['continuing', 'paused', '03', 'ad_hoc'])[1 + n % 4] AS membership,
       (ARRAY['dormant', 'at_risk', 'vip', 'active', 'prospect'])[1 + n % 5] AS lifecycle_state,
       (ARRAY['drifted', 'overstocked', 'competitor'])[1 + n % 3] AS dormancy_reason,
       (ARRAY['review', 'referral', 'complaint'])[1 + n % 3] AS kind, 'annual_365' AS name,
       'aki@example.jp' AS email, '090-1234-' || 5000 + n AS phone, '港区芝1-1-' || n AS postal_address, 'aki' || n AS line_id,
       (ARRAY['JP', 'US', 'GB'])[1 + n % 3] AS region, 'JP' AS country, format('〒123-%s', 4500 + n) AS postal_code,
       'channel' AS list, (ARRAY['en', 'ja'])[1 + n % 2] AS lang,
       jsonb_build_object('email', n % 2 = 0, 'sms', true, 'postal', n % 3 = 0) AS consents,
       ARRAY['email', 'postal'] AS "text[]",
       ARRAY['drifted', 'overstocked'] AS reasons, ARRAY[1, 1 + n % 3] AS years, ARRAY[50, 40]::bigint[] AS contacted,
       ARRAY[n, 9]::bigint[] AS answered, '{"frequency": "purchase_days"}'::jsonb AS "jsonb",
       '{"min_customers": 1}'::jsonb AS options, '2025-05-31'::date AS fit_on, '2025-06-30'::date AS until,
       3 AS purchase_days, 60 + n AS span_days, 120 + n AS tenure_days, 90 AS days, 365 AS value_days,
       0.1::float8 AS annual_discount_rate, 0.4::float8 AS probability, 0.3::float8 AS threshold, 0.9::float8 AS level,
       0.4 AS purchase_probability,
       format('%s', '{"model": "mbgnbd", "purchases": {"r": 0.5, "alpha": 43, "a": 0.9, "b": 1.6}, "spend": {"p": 9, "q": 3.4, "v": 8},
                      "findings": [{"severity": "warning", "code": "weak", "message": "not known well"}]}')::purchase_model AS purchase_model,
       ARRAY(SELECT b FROM (SELECT backtest_purchase_model('{"2025-01-01": {"orders": 1, "amount": 5}}', '2025-03-31', '2025-04-30') AS b) AS q)
           AS _model_backtest,
       format('{"2024-%s-03": {"orders": 2, "discounted": 1, "amount": %s.50}, "2025-05-01": {"orders": 1, "amount": 7}}',
              lpad((1 + n % 12)::text, 2, '0'), n * 100)::purchase_history AS purchase_history,
       format('{"review": {"2025-01-%s": 2}}', lpad((1 + n % 28)::text, 2, '0'))::engagement_history
           AS engagement_history,
       contact_history('email', '2025-06-01'::date - n, 'at_risk_check_in', 'check_in', NULL) AS contact_history,
       membership_history((ARRAY['01', 'paused', '03'])[1 + n % 3], '2025-03-01'::date + n)
           + '{"2024-06-01": "continuing"}' AS membership_history,
       (ARRAY['email', 'postal', NULL])[1 + n % 3] AS channel, 'at_risk_check_in' AS scenario_name, 'check_in' AS step,
       (ARRAY['a', 'holdout', NULL])[1 + n % 3] AS "group", 'vip_advocacy' AS preset,
       (preset_scenario('at_risk_check_in')::jsonb || '{"enter_when": {"rfm_segment": "kings"}}')::scenario AS scenario,
       ARRAY[preset_scenario('at_risk_check_in'), preset_scenario('reactivation_drifted')] AS _scenario,
       format('{"vip": {"min_span_days": 10, "monetary_cut": 100}}')::segment_policy AS segment_policy
FROM generate_series(1, 40) AS n GROUP BY n;
INSERT INTO segment_policies (name, policy, valid_from) VALUES ('annual_365', '{"frequency": "purchase_days"}', '1990-01-01');
INSERT INTO purchase_models (name, model, valid_from)
VALUES ('annual_365', '{"model": "mbgnbd", "purchases": {"r": 0.5, "alpha": 43, "a": 0.9, "b": 1.6}, "spend": {"p": 9, "q": 3.4, "v": 8}}',
        '1990-01-01');
