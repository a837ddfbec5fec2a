-- Everything that can be built upon pg_rfm's functions and types.
SET search_path = public, rfm;
CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, discounted boolean);
INSERT INTO orders
SELECT n % 97, '2025-06-30'::date - abs(hashint4(n)) % 700, (abs(hashint4(n + 1)) % 3000000) / 100.0 - 2000,
       CASE n % 3 WHEN 0 THEN true WHEN 1 THEN false END
FROM generate_series(1, 1500) AS n;
CREATE TABLE events (customer_id int, kind text, happened_on date);
INSERT INTO events
SELECT n % 61, (ARRAY['review', 'referral', 'complaint', 'stated_competitor', 'community', 'ünusual "kind"'])
               [1 + abs(hashint4(n)) % 6], '2025-06-30'::date - abs(hashint4(n + 7)) % 400
FROM generate_series(1, 400) AS n;
CREATE TABLE policies (name text PRIMARY KEY, policy segment_policy NOT NULL);
INSERT INTO policies VALUES ('this year', '{"vip": {"monetary_cut": 30000}, "frequency":   "purchase_days"}'),
    ('last year', preset_policy('mail_order_181')), ('plain', default_policy()),
    ('all', effective_policy(preset_policy('occasional'))::segment_policy);

-- The histories of a day, kept in a table: every use of a function that pg_dump writes down.
CREATE TABLE customers (
    customer_id int PRIMARY KEY,
    h purchase_history NOT NULL UNIQUE CHECK (coalesce(last_purchase_on(h, '9999-12-31') <= '2025-12-31', true)),
    e engagement_history,
    c contact_history,
    m membership_history CHECK (membership_on(m, '2025-06-30') IS DISTINCT FROM 'paused'),
    policy segment_policy NOT NULL DEFAULT default_policy(),
    spent numeric GENERATED ALWAYS AS (monetary(h, '9999-12-31')) STORED
);
CREATE TABLE models (name text PRIMARY KEY, model purchase_model UNIQUE, days int CHECK (days > 0));
INSERT INTO models
SELECT name, format('{"model": "%s", "purchases": {"r": 0.5, "alpha": 43.25, "%s": 0.9, "%s": 1.6}}', name,
                    CASE name WHEN 'paretonbd' THEN 's' ELSE 'a' END, CASE name WHEN 'paretonbd' THEN 'beta' ELSE 'b' END)
             ::purchase_model, 90
FROM unnest(ARRAY['mbgnbd', 'bgnbd', 'paretonbd']) AS name;
CREATE TABLE scenarios (name text PRIMARY KEY, scenario scenario UNIQUE DEFAULT preset_scenario('vip_advocacy'));
INSERT INTO scenarios SELECT name, preset_scenario(name) FROM scenario_presets();
INSERT INTO customers (customer_id, h, e, c, m, policy)
SELECT customer_id, h, e,
       CASE WHEN customer_id % 3 > 0
            THEN contact_history('電話 "x"', '2025-06-30'::date - customer_id, 'at_risk_check_in', 'check_in', NULL)
       END,
       CASE WHEN customer_id % 2 > 0 THEN membership_history('03', '2025-06-30'::date - customer_id) END,
       coalesce(policy, default_policy())
FROM (SELECT customer_id, purchase_history(ordered_on, amount, discounted) AS h FROM orders GROUP BY customer_id)
     AS o
LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e FROM events GROUP BY customer_id) AS e
     USING (customer_id)
LEFT JOIN policies ON name = CASE customer_id % 4 WHEN 0 THEN 'this year' WHEN 1 THEN 'all' END
GROUP BY customer_id, h, e, policy;
CREATE MATERIALIZED VIEW predictions AS
SELECT customer_id, name, p.*
FROM customers, models, LATERAL predict_customer(h, '2025-06-30', model, days) AS p
WHERE p_alive(h, '2025-06-30', model) > 0.1;
CREATE MATERIALIZED VIEW due AS
SELECT customer_id, d.*
FROM customers, (SELECT array_agg(scenario) AS all_of_them FROM scenarios) AS s,
     LATERAL due_steps(all_of_them, h, '2025-06-30', policy, e, 'ad_hoc', '{email}', c, m) AS d;
CREATE UNIQUE INDEX ON due (customer_id, scenario);
CREATE INDEX customers_state ON customers (lifecycle_state(h, '2025-06-30'));
CREATE INDEX ON customers USING hash (e);
CREATE INDEX ON customers (ab_group(customer_id, 'spring', '[{"group": "a", "share": 0.5}, {"group": "b", "share": 0.5}]'));
CREATE TABLE results AS
SELECT n % 4 AS grp, ab_result(n % 3 = 0, n * 0.25) AS result FROM generate_series(1, 100) AS n GROUP BY 1;

CREATE MATERIALIZED VIEW histories AS
SELECT customer_id, purchase_history(ordered_on, amount, discounted) AS h, rollup(purchase_history) AS rolled
FROM orders LEFT JOIN LATERAL (SELECT '{}'::purchase_history) AS none ON true
GROUP BY customer_id;
CREATE UNIQUE INDEX ON histories (customer_id);
CREATE MATERIALIZED VIEW segments AS
SELECT h.customer_id, h.h, e.e, h.h + '{}' AS plus, s.*,
       vip_tier(h.h, '2025-06-30', p.policy) AS untracked_tier, o.score
FROM histories AS h
LEFT JOIN (SELECT customer_id, engagement_history(kind, happened_on) AS e FROM events GROUP BY customer_id) AS e
     USING (customer_id)
JOIN policies AS p ON p.name = 'this year'
JOIN (SELECT customer_id, rfm_score(ordered_on, amount, '2025-06-30'::date, policy) AS score
      FROM orders JOIN policies ON name = 'this year' GROUP BY customer_id) AS o USING (customer_id)
CROSS JOIN LATERAL segment_customer(h.h, '2025-06-30', p.policy, coalesce(e.e, no_engagement()), 'ad_hoc',
                                    ARRAY['email'], '2025-06-29') AS s;
CREATE UNIQUE INDEX ON segments (customer_id);
CREATE VIEW states AS SELECT lifecycle_state, count(*) FROM segments GROUP BY lifecycle_state;
