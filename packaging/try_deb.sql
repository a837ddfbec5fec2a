-- What try_deb.sh runs as the owner of a database who is no superuser.
SET client_min_messages = warning;
CREATE SCHEMA rfm;
CREATE EXTENSION pg_rfm SCHEMA rfm;
SET search_path = public, rfm;

CREATE TABLE orders (customer_id text, ordered_on date, amount numeric);
INSERT INTO orders VALUES ('emi', '2025-11-20', 8000), ('emi', '2026-06-25', 8500), ('ben', '2026-06-20', 3200);
SELECT create_segmentation('shop', orders => 'orders', as_of => '2026-06-30') \g /dev/null
SELECT refresh_segmentation('shop', as_of => '2026-07-01') \g /dev/null

DO $$
BEGIN
    ASSERT NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    ASSERT (SELECT string_agg(lifecycle_state, ',' ORDER BY customer_id) FROM shop_customers) = 'new,winback';
END
$$;

SELECT drop_segmentation('shop') \g /dev/null
DROP EXTENSION pg_rfm;
