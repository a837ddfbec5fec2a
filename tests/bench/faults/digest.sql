-- What a reader of the segmentation sees.
SELECT format($$SELECT %L, count(*), md5(string_agg(t::text, ',' ORDER BY t::text COLLATE "C")) FROM %s AS t$$, c.oid::regclass, c.oid::regclass)
FROM pg_class AS c
WHERE c.relkind IN ('r', 'm', 'v') AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname COLLATE "C"
\gexec
SELECT count(*), md5(string_agg(s::text, ',' ORDER BY h.customer_id))
FROM shop_histories AS h, LATERAL rfm.segment_customer(h.history, '2026-06-30') AS s;
