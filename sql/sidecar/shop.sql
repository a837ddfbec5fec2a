-- In the shop's database, as its owner or administrator: a role that reads what segments need, and a table for the
-- answers.
-- psql -v password=... -f sql/sidecar/shop.sql
CREATE ROLE segments_reader LOGIN PASSWORD :'password';
GRANT USAGE ON SCHEMA public TO segments_reader;
GRANT SELECT ON public.orders, public.customers TO segments_reader;

CREATE TABLE public.customer_segments (
    customer_id bigint PRIMARY KEY,
    as_of date NOT NULL,
    rfm_score text,
    lifecycle_state text NOT NULL,
    vip_tier text NOT NULL,
    next_action text
);
GRANT SELECT, INSERT, DELETE ON public.customer_segments TO segments_reader;
