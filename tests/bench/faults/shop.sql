-- A shop whose orders are tracked, with so many :customers, ten orders each.
CREATE SCHEMA rfm;
CREATE EXTENSION pg_rfm SCHEMA rfm;
CREATE TABLE people (customer_id integer PRIMARY KEY, membership text, email text);
INSERT INTO people
SELECT n, (ARRAY['continuing', 'ad_hoc', 'paused', NULL])[1 + n % 4], n || '@example.jp' FROM generate_series(1, :customers) AS n;
CREATE TABLE orders (order_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id integer, ordered_at date, amount numeric);
INSERT INTO orders (customer_id, ordered_at, amount)
SELECT 1 + abs(hashint4(n)) % :customers, date '2026-06-30' - abs(hashint4(n + 1)) % 1000, (abs(hashint4(n + 2)) % 900000) / 100.0 - 100
FROM generate_series(1, 10 * :customers) AS n;
CREATE INDEX ON orders (customer_id);
ANALYZE;
SELECT rfm.create_segmentation('shop', 'orders', customers => 'people', as_of => '2026-06-30', track => 'trigger', model => '{"min_customers": 1}');
-- Another materialized view over the orders, for refresh_rows.
CREATE MATERIALIZED VIEW spent AS
SELECT customer_id, rfm.purchase_history(ordered_at, amount) AS history, sum(amount) AS amount FROM orders GROUP BY customer_id;
CREATE UNIQUE INDEX ON spent (customer_id);
