-- A random shop for the tables of segments.sql, dense where the rules turn: recencies and gaps around 29, 30, 31, 59, 60,
-- 61, 84, ..., totals at the cuts, one to six orders. The same parameters give the same shop on every machine: every
-- choice is a digest of the seed, the customer and the name of the choice.
--
--   SELECT reference.random_shop(4000, 1);
--
-- The shop lives around its anchor day, 2025-06-30; some orders, events and contacts lie after it.

CREATE OR REPLACE FUNCTION reference.dice(sides int, seed int, customer bigint, choice text) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT (('x' || substr(md5(seed || '/' || customer || '/' || choice), 1, 7))::bit(28)::int % sides)
$$;

-- one element of the array
CREATE OR REPLACE FUNCTION reference.pick(choices int[], seed int, customer bigint, choice text) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT choices[1 + reference.dice(cardinality(choices), seed, customer, choice)]
$$;

CREATE OR REPLACE FUNCTION reference.pick(choices text[], seed int, customer bigint, choice text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT choices[1 + reference.dice(cardinality(choices), seed, customer, choice)]
$$;

CREATE OR REPLACE FUNCTION reference.random_shop(customers int DEFAULT 4000, seed int DEFAULT 1) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog SET jit = off AS $$

TRUNCATE reference.customers, reference.orders, reference.engagement, reference.memberships;

INSERT INTO reference.customers (customer_id, membership, tracked, channels, last_contacted_on)
SELECT c,
       reference.pick(ARRAY[NULL, NULL, NULL, 'continuing', 'continuing', 'ad_hoc', 'ad_hoc', 'paused', 'withdrawn',
                            '01', '02', '03'], $2, c, 'membership'),
       reference.dice(3, $2, c, 'tracked') > 0,
       CASE reference.dice(8, $2, c, 'channels')
           WHEN 0 THEN NULL WHEN 1 THEN NULL WHEN 2 THEN NULL
           WHEN 3 THEN ARRAY[]::text[]
           ELSE ARRAY(SELECT channel
                      FROM unnest(ARRAY['social', 'postal', 'sms', 'line', 'phone', 'email', 'fax']) AS a (channel)
                      WHERE reference.dice(3, $2, c, 'channel ' || channel) = 0)
       END,
       CASE WHEN reference.dice(2, $2, c, 'contacted') = 0 THEN
           '2025-06-30'::date - reference.pick(ARRAY[-31, -14, -7, -1, 0, 1, 5, 6, 7, 8, 13, 14, 30, 59, 61, 90, 365],
                                               $2, c, 'contact')
       END
FROM generate_series(1, $1) AS s (c);

-- Each customer has a shape, each purchase day a place in it, counted from the last one backwards.
WITH shape AS MATERIALIZED (
    SELECT c,
           reference.pick(ARRAY['prospect', 'undated', 'refunds', 'once', 'once', 'few', 'few', 'few', 'few', 'regular',
                                'regular', 'regular', 'regular', 'burst', 'comeback', 'comeback', 'comeback', 'irregular',
                                'irregular', 'span', 'good', 'good', 'good', 'good'], $2, c, 'shape') AS shape,
           -- how the prices look: multiples that meet the cuts, small yen, cents, many decimals, whatever
           reference.pick(ARRAY['cuts', 'cuts', 'yen', 'cents', 'long', 'mixed', 'rising'], $2, c, 'prices') AS prices,
           reference.pick(ARRAY['unknown', 'unknown', 'always', 'never', 'four of five', 'mixed'], $2, c, 'discounts')
               AS discounts,
           '2025-06-30'::date - CASE reference.dice(6, $2, c, 'recency kind')
               WHEN 0 THEN reference.dice(800, $2, c, 'recency')
               WHEN 1 THEN reference.dice(45, $2, c, 'recency') - 5
               ELSE reference.pick(ARRAY[-90, -31, -30, -1, 0, 0, 1, 6, 7, 14, 15, 28, 29, 30, 31, 32, 44, 45, 46, 47,
                                         59, 60, 61, 62, 74, 75, 76, 77, 89, 90, 91, 104, 105, 106, 119, 120, 121, 179,
                                         180, 181, 182, 195, 196, 364, 365, 366, 380, 381, 424, 425, 426, 441],
                                   $2, c, 'recency')
           END AS last_on
    FROM generate_series(1, $1) AS s (c)
),
sized AS MATERIALIZED (
    SELECT shape.*,
           CASE shape
               WHEN 'once' THEN 1
               WHEN 'few' THEN 2 + reference.dice(5, $2, c, 'days')
               WHEN 'regular' THEN 2 + reference.dice(20, $2, c, 'days')
               WHEN 'burst' THEN 3 + reference.dice(8, $2, c, 'days')
               WHEN 'comeback' THEN 2 + reference.dice(8, $2, c, 'days')
               WHEN 'irregular' THEN 2 + reference.dice(14, $2, c, 'days')
               WHEN 'span' THEN 2 + reference.dice(4, $2, c, 'days')
               WHEN 'good' THEN 3 + reference.dice(9, $2, c, 'days')
               ELSE 0
           END AS days,
           reference.pick(ARRAY[7, 10, 14, 20, 21, 28, 30, 31, 42, 45, 60, 61, 90], $2, c, 'rhythm') AS rhythm,
           reference.dice(3, $2, c, 'back since') AS back_since
    FROM shape
),
-- the gap after the back-th purchase day from the end; there is none after the last
gap AS MATERIALIZED (
    SELECT c, back,
           CASE
               WHEN back = 0 THEN 0
               WHEN shape = 'regular' THEN greatest(1, rhythm + reference.dice(3, $2, c, 'gap ' || back) - 1)
               WHEN shape = 'burst' THEN
                   CASE WHEN back = days - 1 AND reference.dice(2, $2, c, 'early start') = 0
                        THEN reference.pick(ARRAY[25, 60, 61, 84, 90], $2, c, 'gap ' || back)
                        ELSE 1 + reference.dice(5, $2, c, 'gap ' || back) END
               WHEN shape = 'comeback' AND back = 1 + back_since THEN
                   reference.pick(ARRAY[58, 59, 60, 61, 62, 74, 75, 76, 77, 89, 90, 91, 92, 104, 105, 106, 150, 179, 180,
                                        181, 182, 195, 196, 365, 366, 424, 425, 426, 440, 441, 600], $2, c, 'absence')
               WHEN shape = 'comeback' THEN 1 + reference.dice(31, $2, c, 'gap ' || back)
               WHEN shape = 'span' THEN
                   -- the gaps add up to 83, 84 or 85 days (or 29, 30, 31): ones, and the rest in the first gap
                   CASE WHEN back = days - 1
                        THEN reference.pick(ARRAY[83, 84, 85, 84, 29, 30, 31], $2, c, 'span') - (days - 2)
                        ELSE 1 END
               WHEN shape = 'good' THEN 12 + reference.dice(34, $2, c, 'gap ' || back)
               WHEN shape = 'irregular' THEN 1 + reference.dice(200, $2, c, 'gap ' || back)
               ELSE reference.pick(ARRAY[1, 1, 2, 7, 15, 28, 29, 30, 31, 42, 44, 45, 46, 47, 59, 60, 61, 62, 75, 76, 84,
                                         90, 91, 120, 135, 180, 181, 365, 366], $2, c, 'gap ' || back)
           END AS gap
    FROM sized CROSS JOIN LATERAL generate_series(0, days - 1) AS b (back)
),
purchase_day AS MATERIALIZED (
    SELECT s.c, s.shape, s.prices, s.discounts, s.days, s.last_on, g.back,
           s.last_on - (sum(g.gap) OVER (PARTITION BY s.c ORDER BY g.back))::int AS day
    FROM sized AS s JOIN gap AS g ON g.c = s.c
),
-- mostly one order a day
purchase AS (
    SELECT p.*, p.back || '.' || n AS row
    FROM purchase_day AS p
    CROSS JOIN LATERAL generate_series(1, CASE reference.dice(9, $2, p.c, 'orders ' || p.back)
                                              WHEN 0 THEN 2 WHEN 1 THEN 2 WHEN 2 THEN 4 ELSE 1 END) AS q (n)
),
order_row (c, day, amount, discounted) AS (
    SELECT c, day,
           CASE
               WHEN reference.dice(40, $2, c, 'no amount ' || row) = 0 THEN NULL
               WHEN reference.dice(40, $2, c, 'free ' || row) = 0 THEN 0
               WHEN prices = 'cuts' THEN
                   reference.pick(ARRAY[1000, 1250, 2500, 2500, 5000, 5000, 10000], $2, c, 'amount ' || row)
               WHEN prices = 'yen' THEN 300 + reference.dice(9000, $2, c, 'amount ' || row)
               WHEN prices = 'cents' THEN
                   (reference.pick(ARRAY[499999, 500000, 500001, 1999, 12345, 100], $2, c, 'amount ' || row)
                    + reference.dice(3, $2, c, 'cents ' || row) - 1)::numeric * 0.01
               WHEN prices = 'long' THEN
                   reference.dice(20000, $2, c, 'amount ' || row)
                   + reference.dice(1000000, $2, c, 'decimals ' || row)
                     * ('1e-' || (7 + reference.dice(14, $2, c, 'scale ' || row)))::numeric
               WHEN prices = 'rising' THEN
                   -- the last day costs one, two or three times the others
                   CASE WHEN back = 0 THEN reference.pick(ARRAY[1999, 2000, 2001, 3000], $2, c, 'last amount') ELSE 1000 END
               ELSE (reference.dice(1000000, $2, c, 'amount ' || row)::numeric
                     * reference.pick(ARRAY['0.001', '0.01', '0.1', '1'], $2, c, 'unit ' || row)::numeric)
           END,
           CASE discounts
               WHEN 'always' THEN true
               WHEN 'never' THEN false
               WHEN 'four of five' THEN back % 5 <> 0
               WHEN 'mixed' THEN CASE reference.dice(3, $2, c, 'discount ' || row) WHEN 0 THEN true WHEN 1 THEN false END
           END
    FROM purchase
    UNION ALL
    -- refunds: on a purchase day, the day after, long after, between, before the first purchase; some larger than all
    SELECT c,
           day + reference.pick(ARRAY[0, 0, 1, 2, 5, 30, 31, 61, -1, -3, -40], $2, c, 'refund day ' || back),
           -CASE WHEN reference.dice(12, $2, c, 'ruin ' || back) = 0 THEN 2000000
                 ELSE (1 + reference.dice(400000, $2, c, 'refund amount ' || back))::numeric * 0.01 END,
           CASE WHEN discounts = 'mixed' THEN true END
    FROM purchase_day
    WHERE reference.dice(30, $2, c, 'refund ' || back) = 0
       OR back = 0 AND reference.dice(10, $2, c, 'refund ' || back) = 0
    UNION ALL
    -- refunds of round amounts, which are just a half or all of a purchase day of a shop of round prices
    SELECT c, day + reference.pick(ARRAY[1, 5, 30], $2, c, 'round refund day ' || back),
           -reference.pick(ARRAY[500, 1000, 1250, 2500, 5000], $2, c, 'round refund amount ' || back), NULL
    FROM purchase_day
    WHERE prices IN ('cuts', 'rising') AND reference.dice(12, $2, c, 'round refund ' || back) = 0
    UNION ALL
    -- nothing but refunds
    SELECT c, last_on - 20 * n, -1000 - n, NULL
    FROM sized CROSS JOIN generate_series(1, 2) AS q (n)
    WHERE shape = 'refunds' AND n <= 1 + reference.dice(2, $2, c, 'refunds')
    UNION ALL
    -- nothing but rows without a day
    SELECT c, NULL, 1000 * n, true
    FROM sized CROSS JOIN generate_series(1, 2) AS q (n)
    WHERE shape = 'undated'
    UNION ALL
    -- rows without a day among others
    SELECT c, NULL, reference.pick(ARRAY[-500, 700], $2, c, 'undated amount'), false
    FROM sized
    WHERE shape NOT IN ('prospect', 'undated') AND reference.dice(15, $2, c, 'undated row') = 0
    UNION ALL
    -- after the anchor
    SELECT c, '2025-06-30'::date + reference.pick(ARRAY[1, 2, 14, 30, 31, 61, 400], $2, c, 'later day'), 4321.00, NULL
    FROM sized
    WHERE shape <> 'undated' AND reference.dice(10, $2, c, 'later') = 0
)
INSERT INTO reference.orders (customer_id, ordered_on, amount, discounted)
SELECT c, day, amount, discounted
FROM order_row
ORDER BY md5($2 || '/' || c || '/' || coalesce(day::text, '') || '/' || coalesce(amount::text, '')), c;

-- Corrections of orders: on a purchase day, soon or long after, before the first purchase; more and less.
INSERT INTO reference.orders (customer_id, ordered_on, amount, discounted, is_purchase)
SELECT customer_id,
       ordered_on + reference.pick(ARRAY[0, 1, 5, 29, 30, 31, 61, 90, -1, -40], $2, customer_id, 'correction ' || ordered_on),
       reference.pick(ARRAY[100, 30000, 499950, 2000000, 0, NULL, -100, -250000], $2, customer_id,
                      'corrected amount ' || ordered_on)::numeric * 0.01,
       CASE reference.dice(3, $2, customer_id, 'corrected discount ' || ordered_on) WHEN 0 THEN true WHEN 1 THEN false END,
       false
FROM reference.orders
WHERE ordered_on <= '2025-06-30' AND reference.dice(20, $2, customer_id, 'corrected ' || ordered_on) = 0;

-- Events: none, a few, or a fan's many; around the anchor and around the customer's own purchase days.
WITH events AS (
    SELECT c, n,
           CASE WHEN reference.dice(4, $2, c, 'fan') = 0 THEN 1 + (n % 2) ELSE reference.dice(6, $2, c, 'event kind ' || n) END
               AS sort
    FROM generate_series(1, $1) AS s (c)
    CROSS JOIN LATERAL generate_series(1, CASE WHEN reference.dice(4, $2, c, 'fan') = 0
                                               THEN 4 + reference.dice(12, $2, c, 'events')
                                               ELSE reference.dice(5, $2, c, 'events') END) AS q (n)
),
mine AS MATERIALIZED (
    SELECT customer_id, array_agg(DISTINCT ordered_on ORDER BY ordered_on) AS days
    FROM reference.orders
    WHERE ordered_on IS NOT NULL
    GROUP BY customer_id
)
INSERT INTO reference.engagement (customer_id, kind, happened_on)
SELECT c,
       CASE sort
           WHEN 1 THEN reference.pick(ARRAY['referral', 'community', 'event', 'review', 'survey'], $2, c, 'kind ' || n)
           WHEN 2 THEN reference.pick(ARRAY['review', 'survey', 'social_post', 'referral', 'event', 'community', 'proposal'],
                                      $2, c, 'kind ' || n)
           WHEN 3 THEN reference.pick(ARRAY['complaint', 'return', 'low_rating', 'usage_report', 'usage_report'],
                                      $2, c, 'kind ' || n)
           WHEN 4 THEN reference.pick(ARRAY['stated_dissatisfied', 'stated_competitor', 'stated_discount_only',
                                            'stated_overstocked', 'stated_unhabituated', 'stated_drifted', 'stated_moved'],
                                      $2, c, 'kind ' || n)
           WHEN 5 THEN reference.pick(ARRAY['newsletter', 'visit', 'usage_report'], $2, c, 'kind ' || n)
           ELSE reference.pick(ARRAY['usage_report', 'review', 'complaint', 'stated_competitor', 'community'],
                               $2, c, 'kind ' || n)
       END,
       CASE
           WHEN reference.dice(30, $2, c, 'event undated ' || n) = 0 THEN NULL
           WHEN m.days IS NOT NULL AND reference.dice(3, $2, c, 'event place ' || n) > 0 THEN
               m.days[1 + reference.dice(cardinality(m.days), $2, c, 'event near ' || n)]
               + reference.pick(ARRAY[-1, 0, 0, 1, 2, 10, 30, 31], $2, c, 'event shift ' || n)
           ELSE '2025-06-30'::date - reference.pick(ARRAY[-30, -1, 0, 1, 2, 29, 30, 31, 60, 90, 200, 363, 364, 365, 366, 500],
                                                    $2, c, 'event day ' || n)
       END
FROM events LEFT JOIN mine AS m ON m.customer_id = c;

-- the same stated day for two reasons, and for one of them twice
INSERT INTO reference.engagement (customer_id, kind, happened_on)
SELECT customer_id,
       reference.pick(ARRAY['stated_drifted', 'stated_overstocked', 'stated_dissatisfied', 'stated_competitor'],
                      $2, customer_id, 'second reason ' || kind),
       happened_on
FROM reference.engagement
WHERE kind LIKE 'stated%' AND reference.dice(4, $2, customer_id, 'second reason') = 0;

-- some complaints are resolved: before they came, on their day, or later
INSERT INTO reference.engagement (customer_id, kind, happened_on)
SELECT customer_id,
       reference.pick(ARRAY['complaint_resolved', 'return_resolved'], $2, customer_id, 'resolved ' || kind),
       happened_on + reference.pick(ARRAY[-1, 0, 0, 1, 5, 30], $2, customer_id, 'resolved after ' || kind)
FROM reference.engagement
WHERE kind IN ('complaint', 'return', 'low_rating') AND reference.dice(3, $2, customer_id, 'resolved') = 0
UNION ALL
-- and some refunds
SELECT customer_id,
       reference.pick(ARRAY['complaint_resolved', 'return_resolved'], $2, customer_id, 'refund resolved'),
       ordered_on + reference.pick(ARRAY[-1, 0, 1], $2, customer_id, 'refund resolved after')
FROM reference.orders
WHERE amount < 0 AND reference.dice(4, $2, customer_id, 'refund resolved') = 0;

-- half of the customers stand in a log of memberships: some with one entry after everything, some twice on a day
INSERT INTO reference.memberships (customer_id, membership, since)
SELECT c,
       reference.pick(ARRAY['continuing', 'continuing', 'continuing', 'paused', 'withdrawn', 'ad_hoc', '01', '02', '03',
                            NULL], $2, c, 'entry ' || n),
       CASE reference.dice(5, $2, c, 'entry place ' || n)
           WHEN 0 THEN '2025-06-30'::date - reference.pick(ARRAY[-60, -1, 0, 1, 10, 30, 365, 730], $2, c, 'entry day ' || n)
           WHEN 1 THEN '2025-06-30'::date - reference.dice(1000, $2, c, 'entry day ' || n)
           WHEN 2 THEN CASE WHEN reference.dice(9, $2, c, 'entry undated ' || n) > 0 THEN '2024-12-31'::date END
           ELSE coalesce(
               (SELECT o.ordered_on FROM reference.orders AS o WHERE o.customer_id = c AND o.ordered_on IS NOT NULL
                ORDER BY md5(o.ordered_on || '/' || n || '/' || $2), o.ordered_on LIMIT 1)
               + reference.pick(ARRAY[-1, 0, 0, 1, 15, 60, 179, 180, 181, 195], $2, c, 'entry shift ' || n),
               '2025-01-01'::date)
       END
FROM generate_series(1, $1) AS s (c)
CROSS JOIN LATERAL generate_series(1, reference.dice(7, $2, c, 'entries')) AS e (n)
WHERE reference.dice(2, $2, c, 'logged') = 0;

ANALYZE reference.customers;
ANALYZE reference.memberships;
ANALYZE reference.orders;
ANALYZE reference.engagement;
$$;
