-- Who is dormant, why, and who can be reached, as views over a shop's tables; sql/examples/shop has such a shop. They stand on
--   public.customers     (customer_id, membership, email, phone, postal_address, line_id, consents)
--   public.orders        (customer_id, ordered_on, amount, discount)
--   public.events        (customer_id, kind, happened_on)
--   public.contacts      (customer_id, channel, contacted_at, scenario, step, "group")
--   public.segmentation  (as_of, policy), one row: the day you ask for and your thresholds
--
-- After new orders, contacts or another as_of: REFRESH MATERIALIZED VIEW CONCURRENTLY customer_segments;

-- All that is known of a customer, one row each.
CREATE VIEW public.customer_facts AS
SELECT c.customer_id, p.as_of, p.policy, o.history, coalesce(v.engagement, rfm.no_engagement()) AS engagement, c.membership,
       rfm.reachable_channels(c.email, c.phone, c.postal_address, c.line_id, c.consents) AS channels, k.last_contacted_on
FROM public.segmentation AS p
CROSS JOIN public.customers AS c
LEFT JOIN (
    SELECT customer_id, rfm.purchase_history(ordered_on, amount, discount > 0) AS history
    FROM public.orders
    GROUP BY customer_id
) AS o USING (customer_id)
LEFT JOIN (
    SELECT customer_id, rfm.engagement_history(kind, happened_on) AS engagement
    FROM public.events
    GROUP BY customer_id
) AS v USING (customer_id)
LEFT JOIN LATERAL (
    SELECT max((l.contacted_at AT TIME ZONE 'Asia/Tokyo')::date) AS last_contacted_on
    FROM public.contacts AS l
    WHERE l.customer_id = c.customer_id AND (l.contacted_at AT TIME ZONE 'Asia/Tokyo')::date <= p.as_of
) AS k ON true;

CREATE MATERIALIZED VIEW public.customer_segments AS
SELECT f.customer_id, f.as_of, f.channels, f.last_contacted_on, rfm.dormant_year(s.recency_days, f.policy) AS dormant_year, s.*
FROM public.customer_facts AS f
CROSS JOIN LATERAL rfm.segment_customer(f.history, f.as_of, f.policy, f.engagement, f.membership, f.channels,
                                        f.last_contacted_on) AS s;

CREATE UNIQUE INDEX ON public.customer_segments (customer_id);

-- How the dormant answered what they were sent, and so the order in which to expect answers, 1 first: measured where enough of a
-- reason and year were contacted, elsewhere the order that is built in.
CREATE VIEW public.dormant_order AS
WITH kinds AS (
    SELECT dormancy_reason, dormant_year, sum(contacted)::bigint AS contacted, sum(answered)::bigint AS answered
    FROM (
        SELECT r.dormancy_reason, r.dormant_year, 1 AS contacted, r.answered::integer AS answered
        FROM public.customer_facts AS f
        JOIN (
            SELECT customer_id, rfm.contact_history(channel, (contacted_at AT TIME ZONE 'Asia/Tokyo')::date, scenario, step, "group")
                                    AS contacts
            FROM public.contacts
            GROUP BY customer_id
        ) AS l USING (customer_id)
        CROSS JOIN LATERAL rfm.dormant_responses(f.history, l.contacts, f.as_of, f.policy, f.engagement, f.membership) AS r
        UNION ALL
        SELECT dormancy_reason, dormant_year, 0, 0
        FROM public.customer_segments
        WHERE lifecycle_state = 'dormant' AND dormant_year IS NOT NULL
    ) AS r
    GROUP BY dormancy_reason, dormant_year
)
SELECT o.*
FROM (
    SELECT array_agg(dormancy_reason) AS reasons, array_agg(dormant_year) AS years, array_agg(contacted) AS contacted,
           array_agg(answered) AS answered
    FROM kinds
) AS k
CROSS JOIN public.segmentation AS p
CROSS JOIN LATERAL rfm.dormant_response_order(k.reasons, k.years, k.contacted, k.answered, p.policy) AS o;

-- The list for a campaign: who has been dormant for lifecycle.reactivation_min_days (181) or longer, one row a customer.
-- response_order says in which order to expect answers, 1 first: the year and reason of dormancy, then the category. Addresses are
-- as a mailer or a call center takes them.
CREATE VIEW public.dormant_customers AS
SELECT dense_rank() OVER (ORDER BY o.expected_order, c.sort_order) AS response_order,
       s.customer_id, s.dormant_year, s.dormancy_category, s.dormancy_reason, s.recency_days, s.last_purchase_on, s.orders,
       s.monetary, s.last_tier, s.next_action, s.action_channel, s.action_due_on, s.channels,
       rfm.normalized_email(a.email) AS email, rfm.normalized_phone(a.phone, 'JP') AS phone,
       rfm.normalized_postal_code(a.postal_address, 'JP') AS postal_code, a.postal_address
FROM public.customer_segments AS s
JOIN public.customers AS a USING (customer_id)
JOIN rfm.dormancy_categories() AS c ON c.category = s.dormancy_category
JOIN public.dormant_order AS o ON o.dormancy_reason = s.dormancy_reason AND o.dormant_year = s.dormant_year
WHERE s.lifecycle_state = 'dormant' AND s.dormant_year IS NOT NULL;

-- The same, split: how many, what they have spent, and how many of them a message can reach.
CREATE VIEW public.dormant_split AS
SELECT response_order, dormant_year, dormancy_category, dormancy_reason,
       count(*)                                          AS customers,
       sum(monetary)                                     AS past_revenue,
       count(*) FILTER (WHERE cardinality(channels) > 0) AS reachable
FROM public.dormant_customers
GROUP BY response_order, dormant_year, dormancy_category, dormancy_reason;

-- What came of the expectation: of those dormant 90 days before as_of, how many have bought since, by year of dormancy and kind
-- then. The row without a category is the whole year. Membership is today's: who came back may have changed it.
CREATE VIEW public.dormant_response AS
SELECT rfm.dormant_year(s.recency_days, f.policy) AS dormant_year, s.dormancy_category,
       (rfm.proportion(rfm.bought_between(f.history, f.as_of - 89, f.as_of, f.as_of))).*,
       sum(rfm.revenue_between(f.history, f.as_of - 89, f.as_of)) AS revenue
FROM public.customer_facts AS f
CROSS JOIN LATERAL rfm.segment_customer(f.history, f.as_of - 90, f.policy, f.engagement, f.membership) AS s
WHERE s.lifecycle_state = 'dormant' AND rfm.dormant_year(s.recency_days, f.policy) IS NOT NULL
GROUP BY GROUPING SETS ((rfm.dormant_year(s.recency_days, f.policy)), (rfm.dormant_year(s.recency_days, f.policy), s.dormancy_category));

-- How many of each state and value can be reached over which channel, or not at all, and what they have spent. The row
-- without m_score is the whole state.
CREATE VIEW public.contact_coverage AS
SELECT lifecycle_state, m_score,
       count(*)                                                  AS customers,
       count(*) FILTER (WHERE 'email' = ANY (channels))          AS email,
       count(*) FILTER (WHERE 'line' = ANY (channels))           AS line,
       count(*) FILTER (WHERE 'sms' = ANY (channels))            AS sms,
       count(*) FILTER (WHERE 'phone' = ANY (channels))          AS phone,
       count(*) FILTER (WHERE 'postal' = ANY (channels))         AS postal,
       count(*) FILTER (WHERE channels = '{}')                   AS unreachable,
       coalesce(sum(monetary), 0)                                AS revenue,
       coalesce(sum(monetary) FILTER (WHERE channels = '{}'), 0) AS unreachable_revenue
FROM public.customer_segments
GROUP BY GROUPING SETS ((lifecycle_state), (lifecycle_state, m_score))
HAVING grouping(m_score) = 1 OR m_score IS NOT NULL;
