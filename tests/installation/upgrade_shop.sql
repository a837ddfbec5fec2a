-- A shop with segmentations, a stored policy and a stored model in use, beside what stored_values.sql made.
SET search_path = public, rfm;
INSERT INTO segment_policies VALUES
    ('house', '{"vip": {"monetary_cut": 25000}}', '2025-01-01', 'the second'),
    ('house', effective_policy('{"vip": {"monetary_cut": 30000}}')::segment_policy, '2024-01-01', 'frozen');
INSERT INTO purchase_models SELECT 'house', model, '2025-01-01', 'as fitted' FROM models WHERE name = 'mbgnbd';
CREATE TABLE people (customer_id int PRIMARY KEY, email text, membership text, prefecture text);
INSERT INTO people SELECT n, n || '@example.jp', (ARRAY['continuing', 'ad_hoc', 'paused'])[1 + n % 3], (ARRAY['Osaka', 'Kyoto'])[1 + n % 2]
FROM generate_series(0, 96, 2) AS n;
CREATE TABLE sent (customer_id int, channel text, contacted_at date, campaign text, "group" text);
INSERT INTO sent SELECT n % 90, 'email', '2025-06-01'::date - n % 50, 'spring', (ARRAY['a', 'b', 'holdout'])[1 + n % 3]
FROM generate_series(1, 200) AS n;
CREATE TABLE memberships_log (customer_id int, membership text, since date);
INSERT INTO memberships_log SELECT n, 'continuing', '2025-01-01' FROM generate_series(1, 30, 3) AS n;
CREATE TABLE goals (kpi text, period date, target numeric);
INSERT INTO goals VALUES ('orders', '2025-06-01', 9);
CREATE TABLE spent (period date, purpose text, amount numeric);
INSERT INTO spent VALUES ('2025-06-01', 'acquisition', 9);
SELECT create_segmentation('shop', 'orders', customers => 'people', engagement => 'events', contacts => 'sent',
                           membership_log => 'memberships_log', targets => 'goals', costs => 'spent', policy => 'house',
                           model => 'house', attributes => '{prefecture}', time_zone => 'Asia/Tokyo', lang => 'ja',
                           as_of => '2025-06-30', track => 'trigger', notify => 'shop_changed');
SELECT create_segmentation('small', 'orders', policy => 'mail_order_181', as_of => '2025-06-30');
-- What a shop builds on top.
CREATE VIEW asked AS
SELECT customer_id, s.*, vip_tier(h, '2025-06-30', policy) AS tier
FROM customers, LATERAL segment_customer(h, '2025-06-30', policy, e, NULL, NULL, NULL, c, m) AS s;
CREATE VIEW mailing AS SELECT customer_id, next_action FROM shop_customers WHERE lifecycle_state = 'dormant';
CREATE FUNCTION states_of(day date) RETURNS TABLE (customer_id int, state text)
    LANGUAGE sql STABLE AS 'SELECT customer_id, lifecycle_state(h, day) FROM customers';
