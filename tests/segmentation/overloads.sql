-- Each function of the extension once more, with text in the place of every type but jsonb: what a bare NULL or literal is taken
-- for.
DO $do$
DECLARE f record;
BEGIN
    FOR f IN
        SELECT p.proname, string_agg(CASE t.type WHEN 'jsonb'::regtype THEN 'jsonb' ELSE 'text' END, ', ' ORDER BY t.place) AS types
        FROM pg_proc AS p CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, place)
        WHERE p.pronamespace = 'rfm'::regnamespace AND (p.proname LIKE '\_%' OR p.proname = 'reachable_channels') AND p.prokind = 'f'
        GROUP BY p.oid, p.proname HAVING bool_or(t.type NOT IN ('jsonb'::regtype, 'text'::regtype))
    LOOP
        BEGIN
            EXECUTE format($f$CREATE FUNCTION rfm.%I(%s) RETURNS text LANGUAGE plpgsql AS $b$BEGIN RAISE 'hijacked: %1$s'; END$b$$f$, f.proname, f.types);
        EXCEPTION WHEN duplicate_function THEN NULL;
        END;
    END LOOP;
    CREATE FUNCTION rfm.reachable_channels(text, text, text, text, text) RETURNS text[]
        LANGUAGE plpgsql AS $b$BEGIN RAISE 'hijacked'; END$b$;
EXCEPTION WHEN duplicate_function THEN NULL;
END $do$;
CREATE TABLE people (customer_id int, email text);
INSERT INTO people VALUES (1, 'a@example.com');
