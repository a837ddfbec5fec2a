-- The segmentation `shop` is the one that is made of the same orders now, on the same model.
CREATE SCHEMA anew;
SELECT rfm.create_segmentation('anew', 'orders', customers => 'people', as_of => '2026-06-30', schema => 'anew',
                               model => (SELECT model::text FROM shop_status),
                               time_zone => (SELECT time_zone FROM shop_status));
DO $$
DECLARE
    relation text;
    differences bigint;
BEGIN
    FOREACH relation IN ARRAY '{histories,customers,segments,movement,transitions,cohorts,actions,predictions}'::text[] LOOP
        EXECUTE format('WITH f AS MATERIALIZED (SELECT t::text FROM public.shop_%1$s AS t),
                             e AS MATERIALIZED (SELECT t::text FROM anew.anew_%1$s AS t)
                        SELECT count(*) FROM ((TABLE f EXCEPT ALL TABLE e) UNION ALL (TABLE e EXCEPT ALL TABLE f)) AS d', relation)
            INTO differences;
        IF differences > 0 THEN
            RAISE EXCEPTION 'shop_%: % rows are not those of a rebuild', relation, differences;
        END IF;
    END LOOP;
END
$$;
SELECT rfm.drop_segmentation('anew');
DROP SCHEMA anew;
