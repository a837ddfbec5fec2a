-- Line items to orders: one row must be one order, or every line counts as one.
-- Runs anywhere pg_rfm is on the search_path; its table is temporary.

CREATE TEMPORARY TABLE order_lines (order_id int, customer_id text, ordered_on date, amount numeric);
INSERT INTO order_lines VALUES
    (1, 'one visit',   '1998-06-01', 12.00), (1, 'one visit',   '1998-06-01',  8.00), (1, 'one visit',   '1998-06-01', 5.00),
    (2, 'two visits',  '1998-05-02', 10.00), (3, 'two visits',  '1998-06-09', 15.00),
    (4, 'sent back',   '1998-05-20', 30.00), (4, 'sent back',   '1998-06-20', -30.00);

-- Wrong: three orders for one visit.
SELECT customer_id,
       orders(purchase_history(ordered_on, amount), '1998-06-30'),
       rfm_score(ordered_on, amount, '1998-06-30')
FROM order_lines
GROUP BY customer_id
ORDER BY customer_id;

-- Right: sum per order and day first. The first day with a sum that is not negative is the purchase; what comes later
-- under the same number changes the amount on its own day and is no second order. A view keeps the rule in one place.
CREATE TEMPORARY VIEW order_days AS
SELECT order_id, customer_id, ordered_on, sum(amount) AS amount,
       ordered_on = min(CASE WHEN coalesce(sum(amount), 0) >= 0 THEN ordered_on END)
                    OVER (PARTITION BY customer_id, order_id) AS is_purchase
FROM order_lines
GROUP BY order_id, customer_id, ordered_on;

CREATE TEMPORARY VIEW histories AS
SELECT customer_id, purchase_history(ordered_on, amount, NULL, is_purchase) AS history
FROM order_days
GROUP BY customer_id;

SELECT customer_id, orders(history, '1998-06-30'), rfm_score(history, '1998-06-30')
FROM histories
ORDER BY customer_id;

-- Any day answers as it would have on that day: what was sent back in June was money in May.
SELECT monetary(history, '1998-05-31') AS in_may, monetary(history, '1998-06-30') AS in_june, history
FROM histories
WHERE customer_id = 'sent back';

-- How many lines an order has on average: 1.0 says that your table holds orders already.
SELECT round(count(*)::numeric / count(DISTINCT order_id), 1) AS lines_per_order FROM order_lines;

DROP VIEW histories;
DROP VIEW order_days;
DROP TABLE order_lines;
