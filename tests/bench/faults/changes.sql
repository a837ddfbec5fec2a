-- What happens in a shop of so many :customers in a while: orders come, are corrected and cancelled, customers change.
INSERT INTO orders (customer_id, ordered_at, amount)
SELECT 1 + floor(random() * :customers), date '2026-06-30' - floor(random() * 60)::integer, round((random() * 9000)::numeric, 2) FROM generate_series(1, 40);
UPDATE orders SET amount = amount + 1 WHERE order_no IN (SELECT floor(random() * 10 * :customers) FROM generate_series(1, 10));
UPDATE orders SET customer_id = customer_id % :customers + 1 WHERE order_no IN (SELECT floor(random() * 10 * :customers) FROM generate_series(1, 5));
DELETE FROM orders WHERE order_no IN (SELECT floor(random() * 10 * :customers) FROM generate_series(1, 5));
UPDATE people SET membership = 'withdrawn' WHERE customer_id IN (SELECT floor(random() * :customers) FROM generate_series(1, 3));
