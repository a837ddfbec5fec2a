-- What check.sh needs besides the worked shop: the role of dbt, and a comparison of its models with the views.

ALTER TABLE public.orders RENAME TO raw_orders;
CREATE SCHEMA analytics;
CREATE SCHEMA segments;
DO $$
BEGIN
    IF to_regrole('shop_dbt') IS NULL THEN
        CREATE ROLE shop_dbt LOGIN;
    END IF;
    EXECUTE format('GRANT CREATE ON DATABASE %I TO shop_dbt', current_database());
END
$$;
ALTER SCHEMA analytics OWNER TO shop_dbt;
ALTER SCHEMA segments OWNER TO shop_dbt;
GRANT USAGE ON SCHEMA rfm TO shop_dbt;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO shop_dbt;

-- The relations whose rows are others in analytics than in segments. Of the status, its columns that are in both.
CREATE FUNCTION public.models_that_differ() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    relation text;
    columns text;
    differences bigint;
    compared integer := 0;
BEGIN
    FOR relation IN SELECT c.relname FROM pg_class AS c
                    WHERE c.relnamespace = 'analytics'::regnamespace AND c.relkind IN ('r', 'v') AND c.relname LIKE 'shop\_%' LOOP
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO columns
        FROM pg_attribute AS a
        WHERE a.attrelid = format('analytics.%I', relation)::regclass AND a.attnum > 0;
        EXECUTE format('WITH a AS (SELECT ROW(%1$s)::text FROM analytics.%2$I), b AS (SELECT ROW(%1$s)::text FROM segments.%2$I)
                        SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) AS d',
                       columns, relation) INTO differences;
        IF differences > 0 THEN
            RETURN NEXT format('%s: %s rows', relation, differences);
        END IF;
        compared := compared + 1;
    END LOOP;
    IF compared <> 12 THEN
        RETURN NEXT format('%s models', compared);
    END IF;
END
$$;
