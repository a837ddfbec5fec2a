-- What the sample's shop would decide once: its own policy. psql variable: as_of, the day asked for. Sets: policy, learn.
-- A CD shop by mail order: the preset for mail order (at risk after 90 days, dormant after 180) with cuts in dollars.
--   recency_cuts    a month, a quarter, half a year, a year
--   monetary_cuts   near the quintiles of these customers (15.36, 31.96, 59.25, 130.44), rounded to what people can remember
-- The frequency cuts 1, 2, 3 and 5 orders are the default's.

SELECT rfm.preset_policy('mail_order_181')
       || '{"rfm": {"recency_cuts": [30, 90, 180, 365], "monetary_cuts": [15, 30, 60, 130]}}'::rfm.segment_policy AS policy,
       false AS learn \gset
