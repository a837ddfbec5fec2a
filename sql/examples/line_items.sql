-- Line items to orders: one row must be one order, or every line counts as one.
-- Runs anywhere pg_rfm is on the search_path; its table is temporary.

CREATE TEMPORARY TABLE order_lines (order_id int, customer_id text, ordered_on date, amount numeric);
INSERT INTO order_lines VALUES
    (1, 'one visit',   '1998-06-01', 12.00), (1, 'one visit',   '1998-06-01',  8.00), (1, 'one visit',   '1998-06-01', 5.00),
    (2, 'two visits',  '1998-05-02', 10.00), (3, 'two visits',  '1998-06-09', 15.00);

-- Wrong: three orders for one visit.
SELECT customer_id,
       orders(purchase_history(ordered_on, amount), '1998-06-30'),
       rfm_score(ordered_on, amount, '1998-06-30')
FROM order_lines
GROUP BY customer_id
ORDER BY customer_id;

-- Right: sum per order first. A view keeps the rule in one place.
CREATE TEMPORARY VIEW order_totals AS
SELECT order_id, customer_id, min(ordered_on) AS ordered_on, sum(amount) AS amount
FROM order_lines
GROUP BY order_id, customer_id;

SELECT customer_id,
       orders(purchase_history(ordered_on, amount), '1998-06-30'),
       rfm_score(ordered_on, amount, '1998-06-30')
FROM order_totals
GROUP BY customer_id
ORDER BY customer_id;

-- How many lines an order has on average: 1.0 says that your table holds orders already.
SELECT round(count(*)::numeric / count(DISTINCT order_id), 1) AS lines_per_order FROM order_lines;

DROP VIEW order_totals;
DROP TABLE order_lines;
