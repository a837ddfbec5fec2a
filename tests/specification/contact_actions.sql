-- What is done next, beside what counting says of the channels, for customers with one order ten days ago.
SET search_path = public, rfm;
CREATE TABLE actions AS
SELECT customer_id, as_of, channels, s.next_action, s.action_channel, s.action_due_on,
       (SELECT x ->> 'contact_allowed_from' FROM (
            SELECT explain_customer(h, as_of, policy, NULL, NULL, channels, NULL, log) -> 'action_due_on') AS e (x)) AS explained,
       overall.allowed_on AS over_all,
       -- Free over the channel, leaving aside what holds for all of them.
       (SELECT array_agg(by.channel ORDER BY array_position('{email,line,postal}'::text[], by.channel))
        FROM asked AS by
        WHERE by.customer_id = overall.customer_id AND by.as_of = overall.as_of AND by.channel = ANY (channels)
              AND by.allowed_on = overall.allowed_on) AS free_with_all,
       (SELECT min(by.allowed_on) FROM asked AS by
        WHERE by.customer_id = overall.customer_id AND by.as_of = overall.as_of AND by.channel = ANY (channels)) AS first_on
FROM asked AS overall JOIN logs USING (customer_id) CROSS JOIN policy
CROSS JOIN (VALUES ('{email}'::text[]), ('{email,line}'), ('{postal,email,line}')) AS c (channels)
CROSS JOIN LATERAL (SELECT format('{"%s": {"orders": 1, "amount": 5000}}', as_of - 10)::purchase_history) AS p (h)
CROSS JOIN LATERAL segment_customer(h, as_of, policy, NULL, NULL, channels, NULL, log) AS s
WHERE overall.channel IS NULL;
