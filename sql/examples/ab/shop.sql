-- A shop of 2,000 dormant customers with three campaigns to reactivate them, always the same: before views.sql, where you have
-- tables of your own. Chance is made of md5, so that every server draws the same.

CREATE FUNCTION public.chance(customer_id int, what text) RETURNS double precision LANGUAGE sql IMMUTABLE AS $$
    SELECT ('x' || substr(md5(what || customer_id), 1, 8))::bit(32)::bigint / 4294967296.0::float8
$$;

CREATE TABLE public.orders (customer_id int NOT NULL, ordered_on date NOT NULL, amount numeric NOT NULL);

-- One to four orders in the year before they became dormant.
INSERT INTO public.orders
SELECT customer_id, date '2023-10-01' + (365 * chance(customer_id, 'day' || n))::int,
       2000 + 100 * (80 * chance(customer_id, 'amount' || n))::int
FROM generate_series(1, 2000) AS c (customer_id), generate_series(1, 4) AS n
WHERE n <= 1 + 4 * chance(customer_id, 'orders')::numeric ^ 2;

-- What is tested, on whom, against whom.
CREATE TABLE public.campaigns (
    campaign          text PRIMARY KEY,
    factor            text NOT NULL,            -- one of ab_factors()
    groups            jsonb NOT NULL,           -- for ab_group
    control           text NOT NULL,            -- the group to compare with
    window_days       int NOT NULL,             -- purchases of so many days count, the day of contact included
    planned_customers bigint,                   -- of each group, by ab_sample_size
    contact_cost      numeric NOT NULL          -- of a customer, beyond what one of the control costs
);

INSERT INTO public.campaigns VALUES
    ('revival_letter', 'offer',
     '[{"group": "holdout", "share": 0.34}, {"group": "coupon", "share": 0.33}, {"group": "letter", "share": 0.33}]',
     'holdout', 60, 553, 120),
    ('letter_color', 'creative', '[{"group": "white", "share": 0.5}, {"group": "green", "share": 0.5}]', 'white', 30, 900, 0),
    ('autumn_offer', 'offer', '[{"group": "holdout", "share": 0.5}, {"group": "sample", "share": 0.5}]', 'holdout', 60, 900, 300);

-- Everybody who was chosen, those in the holdout too, with the day their window begins.
CREATE TABLE public.campaign_customers (
    campaign    text NOT NULL REFERENCES public.campaigns,
    customer_id int NOT NULL,
    begins_on   date NOT NULL,
    PRIMARY KEY (campaign, customer_id)
);

INSERT INTO public.campaign_customers
SELECT campaign, customer_id, begins_on
FROM (VALUES ('revival_letter', date '2025-06-02'), ('letter_color', '2025-09-01'), ('autumn_offer', '2025-11-03'))
         AS c (campaign, begins_on),
     generate_series(1, 2000) AS s (customer_id);

-- How they answered: some come back by themselves, a coupon brings smaller orders, a letter more of them, its color nothing.
INSERT INTO public.orders
SELECT customer_id, c.begins_on + (c.days * chance(customer_id, c.campaign || 'answered'))::int,
       CASE grp WHEN 'coupon' THEN 1500 ELSE 3000 END + 100 * (50 * chance(customer_id, c.campaign || 'spent'))::int
FROM (VALUES ('revival_letter', date '2025-06-02', 55), ('letter_color', '2025-09-01', 29), ('autumn_offer', '2025-11-03', 20))
         AS c (campaign, begins_on, days)
JOIN public.campaigns USING (campaign),
     generate_series(1, 2000) AS s (customer_id),
     LATERAL rfm.ab_group(customer_id, c.campaign, groups) AS grp
WHERE chance(customer_id, c.campaign) < CASE grp WHEN 'letter' THEN 0.10 WHEN 'coupon' THEN 0.06 ELSE 0.04 END;
