-- Prints the views of views.sql: psql -f report.sql. What it prints for the shop of sql/examples/shop is in report.out.
\pset format aligned
\pset tuples_only off
\pset footer off
\pset null '-'

\echo 'Who answers: of the customers contacted while dormant, how many bought, by reason and year'
SELECT * FROM dormant_order ORDER BY expected_order;

\echo 'The dormant, those expected to answer first in front'
SELECT * FROM dormant_split ORDER BY response_order;

\echo 'The list of one campaign: good customers who left within the last year, by phone or letter'
SELECT customer_id, dormancy_category, dormancy_reason, recency_days, orders, monetary, last_tier, next_action, action_channel,
       CASE action_channel WHEN 'phone' THEN phone ELSE postal_code END AS address
FROM dormant_customers
WHERE dormant_year = 1 AND next_action = 'hear_dormant_good' AND action_channel IN ('phone', 'postal')
ORDER BY monetary DESC, customer_id
LIMIT 8;

\echo 'What came of the expectation: dormant 90 days ago, bought since'
SELECT * FROM dormant_response ORDER BY dormant_year, dormancy_category NULLS FIRST;

\echo 'Who can be reached'
SELECT l.label_ja, c.*
FROM lifecycle_states() AS l
JOIN contact_coverage AS c ON c.lifecycle_state = l.state
WHERE c.m_score IS NULL OR c.lifecycle_state = 'dormant'
ORDER BY l.sort_order, c.m_score DESC NULLS FIRST;

\echo 'Ask for it first'
SELECT format('%s %s customers worth %s, %s of them cannot be reached (%s): ask for an address first', customers, lifecycle_state,
              to_char(revenue, 'FM999,999,999'), unreachable, to_char(unreachable_revenue, 'FM999,999,999')) AS "To do"
FROM contact_coverage
WHERE m_score IS NULL AND unreachable > 0
ORDER BY unreachable_revenue DESC;

\echo 'The next step of those who cannot be reached: an open complaint comes first'
SELECT next_action, count(*) AS customers FROM customer_segments WHERE channels = '{}' GROUP BY next_action ORDER BY customers DESC;
