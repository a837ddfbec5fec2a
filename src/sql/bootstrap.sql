\echo Use "CREATE EXTENSION pg_rfm" to load this file. \quit

-- Labels and titles are Japanese too, and engagement kinds can be: in another encoding they would be stored as nonsense.
DO $encoding$
BEGIN
    IF pg_catalog.getdatabaseencoding() OPERATOR(pg_catalog.<>) 'UTF8' THEN
        RAISE EXCEPTION 'pg_rfm needs a database with encoding UTF8, this one has %', pg_catalog.getdatabaseencoding()
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'CREATE DATABASE ... TEMPLATE template0 ENCODING ''UTF8'' makes one.';
    END IF;
END
$encoding$;
