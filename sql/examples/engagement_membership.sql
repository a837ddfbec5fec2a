-- Reviews, referrals, membership, channels and the last contact joined to the orders.
-- Runs on the database of `make demo`; its tables are temporary and stand for those of your shop.

CREATE TEMPORARY TABLE members (customer_id text, membership text, channels text[], last_contacted_on date);
INSERT INTO members VALUES
    ('20873', '01',      '{email,line}',   NULL),         -- continuing
    ('7901',  '02',      '{email,postal}', '1998-05-01'), -- paused
    ('5192',  '03',      '{postal}',       NULL),         -- withdrawn
    ('15953', 'ad_hoc', '{email}',        '1998-06-27'), -- contacted three days ago
    ('12476', 'ad_hoc', '{}',             NULL),         -- cannot be reached
    ('8736',  NULL,      NULL,             NULL),         -- unknown, not tracked
    ('10122', 'ad_hoc', '{email,postal}', NULL),
    ('none',  NULL,      '{email}',        NULL);         -- has not bought yet

CREATE TEMPORARY TABLE events (customer_id text, kind text, happened_on date);
INSERT INTO events VALUES
    ('20873', 'review', '1998-02-01'), ('20873', 'review', '1998-04-11'), ('20873', 'survey', '1998-05-30'),
    ('20873', 'referral', '1998-06-02'),
    ('8736', 'complaint', '1998-06-20'),
    ('10122', 'stated_competitor', '1997-09-10');

SELECT m.customer_id, m.membership, s.lifecycle_state, s.relation_score, s.vip_score, s.vip_tier,
       s.dormancy_category, s.dormancy_reason, s.next_action, s.action_channel, s.action_due_on
FROM members AS m
CROSS JOIN shop_status AS p
LEFT JOIN (
    SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM orders GROUP BY customer_id
) AS o USING (customer_id)
LEFT JOIN (
    SELECT customer_id, engagement_history(kind, happened_on) AS e FROM events GROUP BY customer_id
) AS v USING (customer_id)
-- This shop tracks engagement: a customer without events has none, which is not the same as unknown.
CROSS JOIN LATERAL segment_customer(o.h, p.as_of, p.policy, coalesce(v.e, no_engagement()),
                                    m.membership, m.channels, m.last_contacted_on) AS s
ORDER BY s.vip_score DESC NULLS LAST, m.customer_id;

DROP TABLE members, events;
