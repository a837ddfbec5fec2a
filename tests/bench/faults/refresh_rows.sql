-- Rows of another materialized view, which has still those of before all changes.
SELECT rfm.refresh_rows('spent', 'SELECT customer_id FROM public.orders UNION SELECT customer_id FROM public.spent');
DO $$
BEGIN
    ASSERT NOT EXISTS (
        SELECT t::text FROM spent AS t
        EXCEPT
        SELECT t::text FROM (SELECT customer_id, rfm.purchase_history(ordered_at, amount), sum(amount) FROM orders GROUP BY 1) AS t
    ), 'refresh_rows leaves the rows of a REFRESH';
    ASSERT (SELECT count(*) FROM spent) = (SELECT count(DISTINCT customer_id) FROM orders), 'and all of them';
END
$$;
