-- Month by month: how many became dormant, how many were reactivated, and what they brought. The bars have one scale.
WITH months AS (
    SELECT to_day AS month_end,
           coalesce(sum(customers) FILTER (WHERE to_state = 'dormant' AND from_state <> 'dormant'), 0) AS became_dormant,
           coalesce(sum(customers) FILTER (WHERE from_state = 'dormant' AND to_state <> 'dormant'), 0) AS reactivated,
           coalesce(sum(revenue_after) FILTER (WHERE from_state = 'dormant' AND to_state <> 'dormant'), 0) AS revenue
    FROM shop_movement
    GROUP BY to_day
), scaled AS (
    SELECT *, 30.0 / nullif(max(greatest(became_dormant, reactivated)) OVER (), 0) AS width FROM months
)
SELECT month_end, became_dormant, repeat('█', round(width * became_dormant)::int) AS asleep,
       reactivated, repeat('█', round(width * reactivated)::int) AS awake, revenue AS "revenue of these"
FROM scaled
ORDER BY month_end;
