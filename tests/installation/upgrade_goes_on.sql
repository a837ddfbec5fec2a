-- The shop of upgrade_shop.sql goes on: only what changes is read, and the views are those of a segmentation made anew.
SET search_path = public, rfm;
SET client_min_messages = warning;
INSERT INTO orders SELECT 7 + n % 3, date '2025-06-01' + n % 20, n, NULL FROM generate_series(1, 6) AS n;
UPDATE people SET membership = 'withdrawn' WHERE customer_id = 10;
DELETE FROM orders WHERE customer_id = 5;
SELECT refresh_segmentation('shop') \g /dev/null
REFRESH MATERIALIZED VIEW segments;
REFRESH MATERIALIZED VIEW CONCURRENTLY histories;
CREATE SCHEMA anew;
SELECT create_segmentation('anew', 'orders', customers => 'people', engagement => 'events', contacts => 'sent', schema => 'anew',
                           membership_log => 'memberships_log', targets => 'goals', costs => 'spent', policy => 'house',
                           model => 'house', attributes => '{prefecture}', time_zone => 'Asia/Tokyo', lang => 'ja',
                           as_of => '2025-06-30') \g /dev/null
DO $$
DECLARE
    view text;
    differences bigint;
BEGIN
    ASSERT NOT (SELECT rebuilt FROM shop_status), 'only what was noted is read';
    FOREACH view IN ARRAY '{customers,segments,movement,transitions,cohorts,actions,kpis,predictions,campaigns}'::text[] LOOP
        EXECUTE format('SELECT count(*) FROM ((TABLE shop_%1$s EXCEPT ALL TABLE anew.anew_%1$s)
                                              UNION ALL (TABLE anew.anew_%1$s EXCEPT ALL TABLE shop_%1$s)) AS d', view)
            INTO differences;
        ASSERT differences = 0, format('%s: %s rows differ from those made anew', view, differences);
    END LOOP;
END
$$;
SELECT drop_segmentation('anew') \g /dev/null
DROP SCHEMA anew;
