-- The role of the random queries: reads everything of the shop and of the extension, and writes orders.
CREATE ROLE smith LOGIN;
GRANT USAGE ON SCHEMA rfm TO smith;
GRANT SELECT ON ALL TABLES IN SCHEMA public, rfm TO smith;
GRANT INSERT, UPDATE, DELETE ON orders, people TO smith;
ALTER ROLE smith SET search_path = public, rfm;
-- A value of each type in a row, so that there is something to call functions with.
CREATE TABLE public.typed AS
SELECT h.customer_id, h.history, '{"review": {"2026-06-01": 1}}'::rfm.engagement_history AS engagement,
       '[]'::rfm.contact_history AS contacts, '{"2026-01-01": "continuing"}'::rfm.membership_history AS memberships,
       rfm.default_policy() AS policy, (SELECT model FROM shop_status) AS model,
       rfm.preset_scenario('vip_advocacy') AS scenario, '1 month'::interval AS cycle, '{email}'::text[] AS channels,
       '{}'::jsonb AS document, 0.5::float8 AS share
FROM shop_histories AS h LIMIT 20;
GRANT SELECT ON typed TO smith;
