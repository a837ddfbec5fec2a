-- A policy of your own, stored with the day it begins to hold.
-- Runs on the database of `make demo`. It ends with ROLLBACK and leaves nothing behind: write COMMIT to keep the table.

BEGIN;

CREATE TABLE public.policies (
    valid_from date PRIMARY KEY,
    policy     rfm.segment_policy NOT NULL,
    reason     text NOT NULL
);

-- What is left out is the default's, or the preset's.
INSERT INTO public.policies VALUES
    ('1997-01-01', preset_policy('mail_order_181') || '{"rfm": {"recency_cuts": [30, 90, 180, 365], "monetary_cuts": [15, 30, 60, 130]}}',
     'first cuts, in dollars');

-- A year later: cuts at the quintiles of the shop's own customers, and the customer's own rhythm.
INSERT INTO public.policies
SELECT '1998-01-01',
       (SELECT policy FROM public.policies WHERE valid_from = '1997-01-01')
       || jsonb_build_object(
              'rfm', jsonb_build_object('monetary_cuts', to_jsonb(
                  percentile_disc('{0.2,0.4,0.6,0.8}'::float8[]) WITHIN GROUP (ORDER BY monetary))),
              'lifecycle', '{"cycle": "own"}'::jsonb
          )::segment_policy,
       'quintiles of 1997, own cycle'
FROM (
    SELECT sum(amount) AS monetary FROM orders WHERE ordered_on <= '1997-12-31' GROUP BY customer_id
) AS customers;

SELECT valid_from, reason, effective_policy(policy) #> '{rfm,monetary_cuts}' AS monetary_cuts,
       effective_policy(policy) #>> '{lifecycle,cycle}' AS cycle
FROM public.policies
ORDER BY valid_from;

-- What the change does to one and the same day.
SELECT l.state,
       count(*) FILTER (WHERE valid_from = '1997-01-01' AND s = l.state) AS before,
       count(*) FILTER (WHERE valid_from = '1998-01-01' AND s = l.state) AS after
FROM lifecycle_states() AS l
CROSS JOIN public.policies
CROSS JOIN (SELECT purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id) AS histories
CROSS JOIN LATERAL lifecycle_state(h, '1998-06-30', policy) AS s
GROUP BY l.state, l.sort_order
ORDER BY l.sort_order;

-- The policy that holds on a day.
SELECT reason
FROM public.policies
WHERE valid_from <= '1998-06-30'
ORDER BY valid_from DESC
LIMIT 1;

ROLLBACK;
