-- What campaigns bring, as views, to be adapted to your shop. They stand on these tables of yours (shop.sql has some):
--   public.orders              (customer_id, ordered_on date, amount numeric), one row an order
--   public.campaigns           what was tested: groups, control, window, planned customers, cost
--   public.campaign_customers  (campaign, customer_id, begins_on), everybody chosen, those of the holdout too
--   public.report_day          (as_of date), one row: the day you ask for
--
-- The attribution window of a customer are the window_days days from begins_on on, that day included. Customers whose window
-- is not over on as_of are in no figure; every group has the same window, so what would have come by itself comes in the
-- holdout too.

CREATE VIEW public.campaign_answers AS
SELECT c.campaign, c.control, c.planned_customers, c.contact_cost, m.customer_id,
       rfm.ab_group(m.customer_id, c.campaign, c.groups) AS grp,
       rfm.bought_between(o.h, m.begins_on, m.begins_on + c.window_days - 1, r.as_of) AS reactivated,
       rfm.revenue_between(o.h, m.begins_on, m.begins_on + c.window_days - 1) AS revenue
FROM public.campaign_customers AS m
JOIN public.campaigns AS c USING (campaign)
CROSS JOIN public.report_day AS r
LEFT JOIN (
    SELECT customer_id, rfm.purchase_history(ordered_on, amount) AS h FROM public.orders GROUP BY customer_id
) AS o USING (customer_id);

-- Each group: reactivation rate with its interval, revenue in the window, cost.
CREATE VIEW public.campaign_groups AS
SELECT campaign, grp, grp = control AS is_control, planned_customers,
       rfm.ab_result(reactivated, revenue) AS result,
       CASE grp WHEN control THEN 0 ELSE contact_cost END * count(reactivated) AS cost
FROM public.campaign_answers
GROUP BY campaign, grp, control, planned_customers, contact_cost;

-- Each group beside the control. A customer who would have come back anyway is not reactivated by the campaign: what one more
-- than in the control costs is the figure to go by; NULL where there are no more.
CREATE VIEW public.campaign_kpi AS
SELECT g.campaign, g.grp,
       (g.result).customers, (g.result).responders AS reactivated, (g.result).rate, (k.result).rate AS control_rate,
       c.*,
       g.cost,
       round(g.cost / nullif((g.result).responders, 0), 2) AS cost_per_reactivated,
       CASE WHEN c.lift > 0 THEN round(g.cost / (c.lift * (g.result).customers), 2) END AS cost_per_one_more,
       round(c.revenue_lift * (g.result).customers - g.cost, 2) AS gain
FROM public.campaign_groups AS g
JOIN public.campaign_groups AS k ON k.campaign = g.campaign AND k.is_control
CROSS JOIN LATERAL rfm.ab_compare(g.result, k.result, g.planned_customers) AS c
WHERE NOT g.is_control;

-- What is worth testing next: target, offer and creative make 40, 40 and 20 % of the effect, so tests are spent on them in
-- that proportion. The next one goes where weight / (tests so far + 1) is highest (D'Hondt's rule for seats).
CREATE VIEW public.campaign_next_test AS
SELECT rank() OVER (ORDER BY f.weight / (count(c.campaign) + 1) DESC, f.sort_order) AS place,
       f.factor, f.label_en, f.label_ja, f.weight, count(c.campaign) AS tests,
       round(f.weight / (count(c.campaign) + 1), 3) AS worth
FROM rfm.ab_factors() AS f
LEFT JOIN public.campaigns AS c USING (factor)
GROUP BY f.factor, f.label_en, f.label_ja, f.weight, f.sort_order;
