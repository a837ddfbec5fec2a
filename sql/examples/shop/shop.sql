-- A small worked shop: a mail-order house for skin care, 2,000 customers, two and a half years up to 2026-06-30. Amounts are yen.
--
--   psql -d worked_shop -f shop.sql      in a database with pg_rfm in schema rfm
--
-- Nothing here is random: every choice is a digest of the customer's number and the choice's name, so that the same shop
-- comes out on every machine. Names, addresses and numbers are made up; example.jp and example.com belong to nobody.

SET client_min_messages = warning;

CREATE TABLE public.customers (
    customer_id    integer PRIMARY KEY,
    registered_on  date NOT NULL,
    membership     text,                -- today's: continuing, paused, withdrawn, ad_hoc; NULL: not known
    email          text,
    phone          text,
    postal_address text,
    line_id        text,
    consents       jsonb,               -- channel to true or false; NULL: from the time before consents were asked for
    acquired_by    text                 -- what brought them
);

CREATE TABLE public.orders (
    order_id    integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES public.customers,
    ordered_on  date NOT NULL,
    amount      numeric NOT NULL,       -- what was paid; negative: a refund
    discount    numeric,                -- what the price was lowered by; NULL: not known
    product     text                    -- NULL: a refund
);

CREATE TABLE public.events (
    customer_id integer NOT NULL REFERENCES public.customers,
    kind        text NOT NULL,
    happened_on date NOT NULL
);

CREATE TABLE public.contacts (
    customer_id  integer NOT NULL REFERENCES public.customers,
    channel      text,                  -- NULL: nothing was sent, the customer is held out
    contacted_at timestamptz NOT NULL,
    scenario     text,
    step         text,
    "group"      text,                  -- of an A/B test
    cost         numeric NOT NULL       -- of this contact
);

-- Who was in a campaign, the held-out ones included, who are in no log because nobody wrote to them.
CREATE TABLE public.campaign_members (
    campaign    text NOT NULL,
    customer_id integer NOT NULL REFERENCES public.customers,
    "group"     text NOT NULL,
    joined_on   date NOT NULL,
    PRIMARY KEY (campaign, customer_id)
);

-- The day the reports are asked for, and the shop's thresholds: goods that are used up and bought again.
CREATE TABLE public.segmentation (as_of date NOT NULL, policy rfm.segment_policy);
INSERT INTO public.segmentation VALUES ('2026-06-30', rfm.preset_policy('replenishment'));

-- A whole number from 0 to below `sides`, and one of several words.
CREATE FUNCTION pg_temp.dice(sides integer, customer integer, choice text) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || substr(md5(customer || ' ' || choice), 1, 7))::bit(28)::integer % sides
$$;
CREATE FUNCTION pg_temp.pick(words text[], customer integer, choice text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT words[1 + pg_temp.dice(cardinality(words), customer, choice)]
$$;
-- The same in full-width letters and digits.
CREATE FUNCTION pg_temp.wide(word text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT translate(word, 'abcdefghijklmnopqrstuvwxyz0123456789-@.', 'ａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ０１２３４５６７８９－＠．')
$$;

-- What kind of customer somebody is, and the numbers that make the orders. Days count from 2024-01-01; 911 is 2026-06-30.
CREATE TEMPORARY TABLE plan AS
WITH kinds AS (
    SELECT c,
           (ARRAY['prospect', 'once', 'few', 'hunter', 'stocker', 'dormant', 'steady', 'back', 'good'])[
               width_bucket(pg_temp.dice(100, c, 'kind'), ARRAY[0, 6, 28, 42, 50, 58, 72, 86, 92])] AS kind
    FROM generate_series(1, 2000) AS s (c)
)
SELECT c, kind,
       -- once and few come all the time, those who have stayed or left long ago came early
       CASE WHEN kind IN ('prospect', 'once', 'few', 'hunter') THEN pg_temp.dice(905, c, 'first')
            WHEN kind IN ('stocker', 'dormant') THEN pg_temp.dice(500, c, 'first')
            ELSE pg_temp.dice(700, c, 'first') END AS first_day,
       CASE kind WHEN 'stocker' THEN 9
                 WHEN 'few' THEN 40 + pg_temp.dice(50, c, 'rhythm')
                 ELSE 24 + pg_temp.dice(18, c, 'rhythm') END AS rhythm,
       CASE kind WHEN 'prospect' THEN 0
                 WHEN 'once' THEN 1
                 WHEN 'few' THEN 2 + pg_temp.dice(3, c, 'orders')
                 WHEN 'hunter' THEN 2 + pg_temp.dice(3, c, 'orders')
                 WHEN 'stocker' THEN 3 + pg_temp.dice(2, c, 'orders')
                 WHEN 'dormant' THEN 4 + pg_temp.dice(12, c, 'orders')
                 -- one in four of the good ones has left
                 WHEN 'good' THEN CASE WHEN pg_temp.dice(4, c, 'left') = 0 THEN 6 + pg_temp.dice(8, c, 'orders') ELSE 60 END
                 ELSE 60 END AS most_orders,
       -- who came back had been away for so many days
       CASE WHEN kind = 'back' THEN 120 + pg_temp.dice(240, c, 'away') + pg_temp.dice(3, c, 'long') / 2 * 240 ELSE 0 END
           AS away_days,
       -- one in eight of those who stayed has bought nothing for some weeks now
       CASE WHEN kind IN ('steady', 'good') AND pg_temp.dice(8, c, 'fading') = 0 THEN 826 + pg_temp.dice(36, c, 'faded')
            ELSE 911 END AS stop_day,
       2400 + 200 * pg_temp.dice(18, c, 'price') + CASE WHEN kind = 'good' THEN 2000 ELSE 0 END AS price
FROM kinds;

-- One row an order: the day, and the price before any discount.
CREATE TEMPORARY TABLE purchases AS
WITH planned AS (
    SELECT p.*, n,
           first_day + n * rhythm + CASE WHEN n > 0 THEN pg_temp.dice(7, c, 'day ' || n) - 3 ELSE 0 END AS day,
           -- the day from which a customer who came back buys again
           870 + pg_temp.dice(38, c, 'back') AS back_day
    FROM plan AS p
    CROSS JOIN LATERAL generate_series(0, most_orders - 1) AS s (n)
)
SELECT c, kind, n, day,
       price * (1 + CASE WHEN kind = 'stocker' AND n = most_orders - 1 THEN 3
                         WHEN pg_temp.dice(8, c, 'two ' || n) = 0 THEN 1 ELSE 0 END) AS price,
       -- hunters buy at a discount only, everybody now and then, the first order of one in three is a trial
       CASE WHEN kind = 'hunter' OR pg_temp.dice(9, c, 'sale ' || n) = 0 OR n = 0 AND pg_temp.dice(3, c, 'trial') = 0
            THEN 10 * (1 + pg_temp.dice(4, c, 'percent ' || n)) ELSE 0 END AS percent
FROM planned
WHERE day <= stop_day AND NOT (away_days > 0 AND day BETWEEN back_day - away_days AND back_day);

INSERT INTO public.customers (customer_id, registered_on, membership, email, phone, postal_address, line_id, consents, acquired_by)
SELECT c,
       date '2024-01-01' + greatest(0, first_day - pg_temp.dice(20, c, 'registered')),
       CASE WHEN kind IN ('steady', 'good') THEN
                pg_temp.pick(ARRAY['continuing', 'continuing', 'continuing', 'ad_hoc', 'ad_hoc', NULL], c, 'membership')
            WHEN kind = 'back' THEN
                pg_temp.pick(ARRAY['continuing', 'ad_hoc', 'ad_hoc', 'paused', 'withdrawn', NULL], c, 'membership')
            WHEN kind IN ('few', 'dormant') THEN
                pg_temp.pick(ARRAY['continuing', 'paused', 'paused', 'withdrawn', 'withdrawn', 'withdrawn', 'ad_hoc',
                                   'ad_hoc', NULL], c, 'membership')
            WHEN kind = 'prospect' THEN NULL
            ELSE pg_temp.pick(ARRAY['ad_hoc', 'ad_hoc', 'ad_hoc', 'withdrawn', 'paused', NULL, NULL, NULL], c,
                              'membership') END,
       CASE pg_temp.dice(16, c, 'email')
           WHEN 0 THEN ''
           WHEN 1 THEN pg_temp.pick(ARRAY['なし', '-', 'customer@', 'customer.example.jp', 'a b@example.jp'], c, 'bad email')
           WHEN 2 THEN pg_temp.wide('customer' || c || '@example.jp')
           WHEN 3 THEN NULL WHEN 4 THEN NULL WHEN 5 THEN NULL
           ELSE 'customer' || c || pg_temp.pick(ARRAY['@example.jp', '@example.com', '@mail.example.jp'], c, 'domain')
       END,
       CASE pg_temp.dice(12, c, 'phone')
           WHEN 0 THEN '090-1234-567'
           WHEN 1 THEN '　'
           WHEN 2 THEN pg_temp.wide('090-1234-5' || lpad(pg_temp.dice(1000, c, 'number')::text, 3, '0'))
           WHEN 3 THEN '+81 80-1234-5' || lpad(pg_temp.dice(1000, c, 'number')::text, 3, '0')
           WHEN 4 THEN '0312345' || lpad(pg_temp.dice(1000, c, 'number')::text, 3, '0')
           WHEN 5 THEN '06-6123-4' || lpad(pg_temp.dice(1000, c, 'number')::text, 3, '0')
           WHEN 6 THEN '090-1234-5' || lpad(pg_temp.dice(1000, c, 'number')::text, 3, '0')
           WHEN 7 THEN '0701234' || lpad(pg_temp.dice(10000, c, 'number')::text, 4, '0')
           ELSE NULL
       END,
       CASE pg_temp.dice(10, c, 'address')
           WHEN 0 THEN '〒150-0001'
           WHEN 1 THEN pg_temp.pick(ARRAY['', 'なし', '不明', '東京都', 'ー', '〒123-45 東京都港区芝1-1'], c, 'bad address')
           WHEN 2 THEN pg_temp.wide('〒530-' || lpad(pg_temp.dice(100, c, 'code')::text, 4, '0')) || '　大阪府大阪市北区梅田'
                       || pg_temp.wide((1 + pg_temp.dice(3, c, 'block')) || '-' || (1 + pg_temp.dice(20, c, 'house')))
           WHEN 3 THEN NULL WHEN 4 THEN NULL WHEN 5 THEN NULL
           ELSE '〒150-' || lpad(pg_temp.dice(50, c, 'code')::text, 4, '0') || ' '
                || pg_temp.pick(ARRAY['東京都渋谷区神宮前', '東京都渋谷区恵比寿', '東京都渋谷区広尾'], c, 'place')
                || (1 + pg_temp.dice(5, c, 'block')) || '丁目' || (1 + pg_temp.dice(30, c, 'house')) || '番'
       END,
       CASE pg_temp.dice(10, c, 'line')
           WHEN 0 THEN 'U' || md5('line ' || c)
           WHEN 1 THEN 'U' || md5('line ' || c)
           WHEN 2 THEN 'skin.care_' || c
           WHEN 3 THEN pg_temp.pick(ARRAY['none', '@shop', 'なし', 'abc'], c, 'bad line')
           ELSE NULL
       END,
       CASE WHEN pg_temp.dice(8, c, 'consents') > 0 THEN
           jsonb_strip_nulls(jsonb_build_object(
               'email',  pg_temp.dice(10, c, 'consent email') < 8,
               'line',   CASE WHEN pg_temp.dice(10, c, 'consent line') < 7 THEN true END,
               'sms',    CASE WHEN pg_temp.dice(10, c, 'consent sms') < 6 THEN pg_temp.dice(2, c, 'sms') = 0 END,
               'phone',  pg_temp.dice(10, c, 'consent phone') < 5,
               'postal', pg_temp.dice(10, c, 'consent postal') < 8))
       END,
       -- a site for coupons brings many who buy once
       CASE WHEN kind IN ('once', 'hunter') AND pg_temp.dice(2, c, 'by coupon') = 0 THEN 'coupon site'
            ELSE pg_temp.pick(ARRAY['search', 'magazine', 'friend', 'coupon site'], c, 'acquired') END
FROM plan;

-- Last autumn, day 653, those who had been dormant for 181 days or longer and could be reached got a letter, or the same letter
-- with a coupon; one in three was held out.
INSERT INTO public.campaign_members (campaign, customer_id, "group", joined_on)
SELECT 'autumn_2025', customer_id, pg_temp.pick(ARRAY['letter', 'coupon', 'holdout'], customer_id, 'autumn group'), '2025-10-15'
FROM public.customers
JOIN (SELECT c AS customer_id FROM purchases WHERE day <= 653 GROUP BY c HAVING max(day) <= 653 - 181) AS long_dormant
     USING (customer_id)
WHERE rfm.reachable_channels(email, phone, postal_address, line_id, consents) <> '{}';

-- One in seven answered the letter, one in eight the coupon and one in thirty nothing; some of them bought more than once.
INSERT INTO purchases (c, kind, n, day, price, percent)
SELECT c, kind, 100 + n, 656 + pg_temp.dice(50, c, 'answer day') + 35 * n, price,
       CASE WHEN "group" = 'coupon' AND n = 0 THEN 20 ELSE 0 END
FROM plan
JOIN public.campaign_members AS m ON m.customer_id = c
CROSS JOIN LATERAL generate_series(0, pg_temp.dice(3, c, 'answer orders')) AS s (n)
WHERE pg_temp.dice(CASE "group" WHEN 'letter' THEN 7 WHEN 'coupon' THEN 8 ELSE 30 END, c, 'answer') = 0;

INSERT INTO public.orders (order_id, customer_id, ordered_on, amount, discount, product)
SELECT row_number() OVER (ORDER BY day, c, n), c, date '2024-01-01' + day, price - price * percent / 100,
       -- the till of the first months did not keep discounts
       CASE WHEN day >= 60 THEN price * percent / 100 END,
       -- who begins with the serum stays more often
       CASE WHEN n = 0 AND kind IN ('steady', 'good') AND pg_temp.dice(2, c, 'begins with') = 0 THEN 'serum'
            ELSE pg_temp.pick(ARRAY['soap', 'lotion', 'serum'], c, 'product ' || n) END
FROM purchases;

-- One order in forty is sent back within two weeks, and the whole amount paid back.
INSERT INTO public.orders (order_id, customer_id, ordered_on, amount)
SELECT 100000 + order_id, customer_id, ordered_on + 4 + pg_temp.dice(10, customer_id, 'refund ' || order_id), -amount
FROM public.orders
WHERE pg_temp.dice(40, customer_id, 'sent back ' || order_id) = 0 AND ordered_on < '2026-06-15';

-- What customers do besides buying. Good ones do the most.
INSERT INTO public.events (customer_id, kind, happened_on)
SELECT c, kind_of_event, date '2024-01-01' + day
FROM (
    SELECT c, pg_temp.pick(ARRAY['review', 'review', 'survey', 'referral', 'event', 'community', 'social_post', 'proposal'], c,
                           'event ' || n) AS kind_of_event,
           -- until a month after the last order; the older half of a long time is long forgotten
           last_day + 30 - pg_temp.dice(least(400, last_day - first_day + 30), c, 'event day ' || n) AS day
    FROM plan
    JOIN (SELECT c, max(day) AS last_day FROM purchases GROUP BY c) AS p USING (c)
    CROSS JOIN LATERAL generate_series(1, CASE kind WHEN 'good' THEN 2 + pg_temp.dice(7, c, 'events')
                                                    WHEN 'steady' THEN pg_temp.dice(4, c, 'events')
                                                    WHEN 'dormant' THEN pg_temp.dice(3, c, 'events')
                                                    -- some who bought little tell everybody
                                                    WHEN 'few' THEN pg_temp.dice(10, c, 'events') / 9 * 8
                                                    WHEN 'once' THEN pg_temp.dice(10, c, 'events') / 9 * 8
                                                    ELSE 0 END) AS s (n)
) AS e
WHERE day <= 911;

-- How the first product is used is told by two in three; what went wrong, and why somebody leaves, by few.
INSERT INTO public.events (customer_id, kind, happened_on)
SELECT c, kind_of_event, day
FROM (
    SELECT c, 'usage_report' AS kind_of_event, min(date '2024-01-01' + day) + 5 + pg_temp.dice(20, c, 'usage') AS day
    FROM purchases WHERE pg_temp.dice(3, c, 'used') > 0 GROUP BY c
    UNION ALL
    SELECT c, pg_temp.pick(ARRAY['complaint', 'low_rating', 'return'], c, 'trouble'),
           max(date '2024-01-01' + day) + 3 + pg_temp.dice(25, c, 'trouble day')
    FROM purchases WHERE pg_temp.dice(14, c, 'trouble at all') = 0 GROUP BY c
    UNION ALL
    SELECT c, 'stated_' || pg_temp.pick(ARRAY['competitor', 'competitor', 'dissatisfied', 'overstocked', 'unhabituated', 'drifted',
                                              'discount_only'], c, 'reason'),
           max(date '2024-01-01' + day) + 20 + pg_temp.dice(60, c, 'reason day')
    FROM purchases WHERE kind IN ('once', 'few', 'dormant') AND pg_temp.dice(9, c, 'reason at all') = 0 GROUP BY c
) AS e
WHERE day <= '2026-06-30';

-- Half of what went wrong was set right within two weeks.
INSERT INTO public.events (customer_id, kind, happened_on)
SELECT customer_id, CASE kind WHEN 'return' THEN 'return_resolved' ELSE 'complaint_resolved' END,
       happened_on + 2 + pg_temp.dice(12, customer_id, 'resolved day')
FROM public.events
WHERE kind IN ('complaint', 'low_rating', 'return') AND pg_temp.dice(2, customer_id, 'resolved') = 0 AND happened_on < '2026-06-15';

-- The log: a newsletter each month to one in ten of those who can be reached, and last autumn's campaign.
INSERT INTO public.contacts (customer_id, channel, contacted_at, scenario, step, "group", cost)
SELECT c.customer_id, r.channels[1], (sent_on + time '10:00') AT TIME ZONE 'Asia/Tokyo', scenario, step, "group",
       CASE r.channels[1] WHEN 'postal' THEN 140 WHEN 'phone' THEN 300 WHEN 'sms' THEN 10 ELSE 1 END
FROM public.customers AS c
CROSS JOIN LATERAL (
    SELECT rfm.reachable_channels(c.email, c.phone, c.postal_address, c.line_id, c.consents) AS channels
) AS r
CROSS JOIN LATERAL (
    SELECT day::date AS sent_on, 'newsletter' AS scenario, NULL AS step, NULL AS "group"
    FROM generate_series(timestamp '2024-01-25', '2026-06-25', interval '1 month') AS d (day)
    WHERE pg_temp.dice(10, c.customer_id, 'newsletter ' || to_char(day, 'YYYY-MM')) = 0
    UNION ALL
    SELECT m.joined_on, m.campaign, 'first', m."group"
    FROM public.campaign_members AS m WHERE m.customer_id = c.customer_id AND m."group" <> 'holdout'
) AS s
WHERE cardinality(r.channels) > 0 AND s.sent_on >= c.registered_on;

-- And two in three of those who complained and have a phone were called on the next day.
INSERT INTO public.contacts (customer_id, channel, contacted_at, cost)
SELECT customer_id, 'phone', (happened_on + 1 + time '15:00') AT TIME ZONE 'Asia/Tokyo', 300
FROM public.events JOIN public.customers AS c USING (customer_id)
WHERE kind IN ('complaint', 'low_rating', 'return') AND 'phone' = ANY (rfm.reachable_channels(phone => c.phone))
      AND pg_temp.dice(3, customer_id, 'called') > 0 AND happened_on < '2026-06-30';

CREATE INDEX ON public.orders (customer_id);
CREATE INDEX ON public.events (customer_id);
CREATE INDEX ON public.contacts (customer_id);
ANALYZE;

COMMENT ON TABLE public.customers IS 'The worked shop: who they are, and where they can be reached.';
COMMENT ON TABLE public.orders IS 'The worked shop: orders and refunds.';
COMMENT ON TABLE public.events IS 'The worked shop: what customers do besides buying.';
COMMENT ON TABLE public.contacts IS 'The worked shop: who was contacted when, over which channel, by which step of which scenario.';
COMMENT ON TABLE public.campaign_members IS 'The worked shop: who was in a campaign, in which group of the test.';
COMMENT ON TABLE public.segmentation IS 'The worked shop: the day asked for, and the thresholds.';
