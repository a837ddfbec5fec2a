-- The worked shop of sql/examples/shop as two stores, which are its tenants, and its segmentations for the dashboards: one in
-- English and one in Japanese, both readable by the role that Superset connects as.

SET client_min_messages = warning;

DO $$
DECLARE
    source text;
BEGIN
    FOREACH source IN ARRAY '{customers,orders,events,contacts}'::text[] LOOP
        EXECUTE format($ddl$ALTER TABLE public.%I ADD store text
                           GENERATED ALWAYS AS (CASE WHEN customer_id %% 3 = 0 THEN 'Osaka' ELSE 'Tokyo' END) STORED$ddl$, source);
    END LOOP;
END
$$;

CREATE SCHEMA segments;
GRANT USAGE ON SCHEMA segments, rfm TO dashboard;

SELECT rfm.create_segmentation(l.name, schema => 'segments', lang => l.lang, orders => 'public.orders', tenant => 'store',
    customers => 'public.customers', engagement => 'public.events', contacts => 'public.contacts',
    attributes => '{acquired_by}', first_order => '{product}', policy => 'replenishment', model => '{}', backtests => 2,
    as_of => '2026-06-30', time_zone => 'Asia/Tokyo', readers => '{dashboard}')
FROM (VALUES ('shop', 'en'), ('shop_ja', 'ja')) AS l (name, lang);

-- A refresh two weeks later, so that there is somebody who changed.
SELECT rfm.refresh_segmentation(name, as_of => '2026-07-14') FROM (VALUES ('shop'), ('shop_ja')) AS s (name);
