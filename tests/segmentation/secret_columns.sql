-- Tables with columns full of secrets, which @analyst may not read.
CREATE SCHEMA sales;
CREATE TABLE sales.orders (card text DEFAULT 'SECRET', invoice_no text DEFAULT 'SECRET', number int, customer_id int,
    ordered_at date, amount numeric, currency text DEFAULT 'JPY', note text DEFAULT 'SECRET');
INSERT INTO sales.orders (number, customer_id, ordered_at, amount)
    SELECT i, i % 7, date '2026-01-01' + i, i FROM generate_series(1, 60) AS i;
INSERT INTO sales.orders (number, customer_id, ordered_at, amount) VALUES
    (101, NULL, '2026-01-01', 5), (102, 1, NULL, 5), (103, 1, 'infinity', 5), (104, 1, '2026-07-01', 5), (106, 1, '2026-02-01', NULL),
    (107, 1, '2026-02-02', 'NaN'), (108, 1, '2026-02-03', 0), (109, 1, '2026-02-03', -5), (110, 1, '2026-02-04', 7),
    (110, 1, '2026-02-04', 7), (NULL, 2, '2026-02-05', 8);
CREATE TABLE sales.people (customer_id int, membership text, email text DEFAULT 'SECRET', phone text, pin text DEFAULT 'SECRET');
INSERT INTO sales.people (customer_id, membership) VALUES (1, 'continuing'), (2, NULL);
CREATE TABLE sales.events (customer_id int, kind text, happened_at date, words text DEFAULT 'SECRET');
INSERT INTO sales.events VALUES (1, 'review', '2026-03-01');
CREATE TABLE sales.sent (customer_id int, channel text, contacted_at date, body text DEFAULT 'SECRET', step text DEFAULT 'SECRET');
INSERT INTO sales.sent VALUES (1, 'email', '2026-03-01');
CREATE TABLE sales.log (customer_id int, membership text, since date, note text DEFAULT 'SECRET');
INSERT INTO sales.log VALUES (1, '01', '2026-03-01'), (1, '02', '2026-04-01'), (1, '03', '2026-04-01'), (2, NULL, '2026-04-01'), (2, '01', '2027-01-01');
CREATE SCHEMA reports; GRANT ALL ON SCHEMA reports TO @analyst;
GRANT USAGE ON SCHEMA sales, rfm TO @analyst;
GRANT SELECT (number, customer_id, ordered_at, amount, currency) ON sales.orders TO @analyst;
GRANT SELECT (customer_id, membership, phone) ON sales.people TO @analyst;
GRANT SELECT (customer_id, kind, happened_at) ON sales.events TO @analyst;
GRANT SELECT (customer_id, channel, contacted_at) ON sales.sent TO @analyst;
GRANT SELECT (customer_id, membership, since) ON sales.log TO @analyst;
