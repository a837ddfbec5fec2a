-- The small shop of the documentation, as README.md makes it. Every page of docs/ begins with it, so that the SQL of a page can be
-- run from top to bottom: in psql, started at the top of the repository, in an empty database with encoding UTF8.

CREATE SCHEMA rfm;
CREATE EXTENSION pg_rfm SCHEMA rfm;
SET search_path = public, rfm;

CREATE TABLE customers (customer_id text PRIMARY KEY);
CREATE TABLE orders (customer_id text, ordered_on date, amount numeric);

INSERT INTO customers VALUES ('aki'), ('ben'), ('chie'), ('dan'), ('emi'), ('fumi'), ('gen');
INSERT INTO orders VALUES
    ('aki',  '2025-10-05', 4800), ('aki', '2025-12-01', 5200), ('aki', '2026-02-10', 6100),
    ('aki',  '2026-04-20', 5900), ('aki', '2026-06-18', 7200),
    ('ben',  '2026-06-20', 3200),
    ('chie', '2026-03-02', 4100), ('chie', '2026-05-15', 4600),
    ('dan',  '2026-01-10', 12000),
    ('emi',  '2025-11-20', 8000), ('emi', '2026-06-25', 8500),
    ('gen',  '2026-05-01', 8000), ('gen', '2026-06-10', 9000), ('gen', '2026-06-22', -9000);

INSERT INTO orders VALUES ('dan', '2026-07-05', 6000);

CREATE VIEW histories AS
SELECT customer_id, purchase_history(ordered_on, amount) AS history FROM orders GROUP BY customer_id;
