-- What is to be done next, for how many customers, over which channel, in the order of the rules.
SELECT action_title AS "what to do", channel_label AS channel, customers,
       repeat('█', round(40.0 * customers / max(customers) OVER ())::int) AS "how many", revenue AS "worth", wait_until AS "not before"
FROM shop_actions
ORDER BY action_order NULLS LAST, channel;
