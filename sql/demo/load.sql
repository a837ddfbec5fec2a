-- The orders from the text that the CSV file holds. psql variables: customer, date, amount, order (columns of public.csv).

CREATE TABLE public.orders (
    customer_id text NOT NULL,
    order_id    text NOT NULL,
    ordered_on  date NOT NULL CHECK (ordered_on BETWEEN '0001-01-01' AND '9999-12-31'),
    amount      numeric CHECK (amount::text !~* 'n') -- NaN, Infinity
);

CREATE VIEW public.csv_orders AS
SELECT line,
       nullif(btrim(:customer), '') AS customer,
       nullif(btrim(:date), '')     AS day,
       nullif(btrim(:amount), '')   AS amount,
       nullif(btrim(:order), '')    AS order_number
FROM public.csv;

DO $$
DECLARE
    row record;
BEGIN
    -- Rows that share an order number are lines of one order, each on its own day; a row without a number is an order.
    INSERT INTO public.orders
    SELECT customer, coalesce(order_number, 'line ' || line), day::timestamp::date, amount::numeric
    FROM public.csv_orders
    WHERE customer IS NOT NULL AND day IS NOT NULL;
EXCEPTION WHEN data_exception OR check_violation THEN
    -- Something cannot be read. Look for the first such line, and say so.
    FOR row IN SELECT * FROM public.csv_orders WHERE customer IS NOT NULL AND day IS NOT NULL ORDER BY line LOOP
        BEGIN
            IF row.day::timestamp::date NOT BETWEEN '0001-01-01' AND '9999-12-31' THEN
                RAISE datetime_field_overflow;
            END IF;
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION 'line %: "%" is not a date', row.line, row.day
            USING HINT = 'Write 2026-01-31, or 2026-01-31 12:00. Another order of day and month: PGDATESTYLE=ISO,DMY make demo ...';
        END;
        BEGIN
            IF row.amount::numeric::text ~* 'n' THEN
                RAISE numeric_value_out_of_range;
            END IF;
        EXCEPTION WHEN data_exception THEN
            RAISE EXCEPTION 'line %: "%" is not an amount', row.line, row.amount
            USING HINT = 'Write plain numbers such as 1234.50, without currency or thousands separators.';
        END;
    END LOOP;
    RAISE;
END
$$;

DO $$
DECLARE
    ignored bigint := (SELECT count(*) FROM public.csv_orders WHERE customer IS NULL OR day IS NULL);
BEGIN
    IF ignored > 0 THEN
        RAISE WARNING '% rows have no customer or no date and are ignored', ignored;
    END IF;
    IF NOT EXISTS (SELECT FROM public.orders) THEN
        RAISE EXCEPTION 'the file has no orders';
    END IF;
END
$$;

DROP TABLE public.csv CASCADE;
ANALYZE public.orders;
