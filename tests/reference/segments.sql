-- The reference: what pg_rfm means, written a second time in plain SQL, from the words of the contract and not from the
-- Rust code. The tests compare the extension with it. Nothing here calls the extension: reference.segments runs with
-- search_path = pg_catalog, so that it cannot.
--
--   SELECT * FROM reference.segments('2025-06-30', effective_policy(default_policy()));
--
-- It is written to be read, not to be fast. PostgreSQL 13 or later.

SET client_min_messages = warning;

CREATE SCHEMA IF NOT EXISTS reference;

CREATE TABLE IF NOT EXISTS reference.orders (
    customer_id bigint NOT NULL,
    ordered_on date,                    -- NULL: the row is ignored
    amount numeric,                     -- negative: a refund; NULL: a purchase of unknown amount
    discounted boolean,                 -- NULL: not known
    is_purchase boolean                 -- false: changes the amount of its day, and is no purchase; NULL: as true
);

CREATE TABLE IF NOT EXISTS reference.engagement (
    customer_id bigint NOT NULL,
    kind text NOT NULL,
    happened_on date                    -- NULL: the row is ignored
);

CREATE TABLE IF NOT EXISTS reference.customers (
    customer_id bigint PRIMARY KEY,
    membership text,                    -- continuing/01, paused/02, withdrawn/03, ad_hoc, NULL unknown
    tracked boolean NOT NULL,           -- false: engagement is NULL, whatever the table above says
    channels text[],                    -- NULL: not tracked
    last_contacted_on date
);

CREATE TABLE IF NOT EXISTS reference.memberships (
    customer_id bigint NOT NULL,
    membership text,                    -- NULL: the row is ignored
    since date                          -- NULL: the row is ignored
);
CREATE INDEX IF NOT EXISTS memberships_of_customer ON reference.memberships (customer_id, since);

-- ---------------------------------------------------------------------------------------------------------------------
-- Small exact arithmetic. numeric division rounds, div() does not.

-- numerator / denominator, rounded half away from zero; denominator above 0.
CREATE OR REPLACE FUNCTION reference.rounded(numerator numeric, denominator numeric, decimals int) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT sign(numerator)
         * div(abs(numerator) * 2 * ('1e' || decimals)::numeric + denominator, 2 * denominator)
         * ('1e-' || decimals)::numeric
$$;

-- clamp(ceil(ratio * typical)), typical = (sum of capped gaps + prior_gaps * store_gap) / (gaps + prior_gaps)
CREATE OR REPLACE FUNCTION reference.own_limit(
    ratio numeric, capped_sum numeric, gaps int, prior_gaps numeric, store_gap numeric, min_days numeric, max_days numeric
) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT least(max_days, greatest(min_days, div(x, y) + CASE WHEN mod(x, y) > 0 THEN 1 ELSE 0 END))
    FROM (SELECT ratio * (capped_sum + prior_gaps * store_gap) AS x, gaps + prior_gaps AS y) AS q
$$;

-- 1 + the number of cuts strictly below the value
CREATE OR REPLACE FUNCTION reference.digit(value numeric, cuts numeric[]) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN value IS NOT NULL THEN 1 + (SELECT count(*)::int FROM unnest(cuts) AS c (cut) WHERE cut < value) END
$$;

-- mirrored: k minus the number of cuts strictly below the value
CREATE OR REPLACE FUNCTION reference.mirrored_digit(value numeric, cuts numeric[]) RETURNS int
LANGUAGE sql IMMUTABLE AS $$
    SELECT cardinality(cuts) + 2 - reference.digit(value, cuts)
$$;

-- The value score as an exact fraction numerator / denominator: the mean of (digit - 1) / (k - 1) * 100, k - 1 cuts.
CREATE OR REPLACE FUNCTION reference.value_numerator(
    r int, f int, m int, r_cuts numeric[], f_cuts numeric[], m_cuts numeric[]
) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT 100::numeric * ((r - 1) * cardinality(f_cuts) * cardinality(m_cuts)
                         + (f - 1) * cardinality(r_cuts) * cardinality(m_cuts)
                         + (m - 1) * cardinality(r_cuts) * cardinality(f_cuts))
$$;

CREATE OR REPLACE FUNCTION reference.value_denominator(r_cuts numeric[], f_cuts numeric[], m_cuts numeric[])
RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT 3::numeric * cardinality(r_cuts) * cardinality(f_cuts) * cardinality(m_cuts)
$$;

CREATE OR REPLACE FUNCTION reference.tier(
    candidate boolean, membership text, memberships text[],
    relation numeric, min_relation numeric,
    value_numerator numeric, value_denominator numeric, untracked_min_value numeric
) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN candidate
             AND (membership IS NULL OR membership = ANY (memberships))
             AND CASE WHEN relation IS NULL THEN value_numerator >= untracked_min_value * value_denominator
                      ELSE relation >= min_relation END
            THEN 'vip'
        WHEN candidate THEN 'candidate'
        WHEN relation >= min_relation THEN 'supporter'
        ELSE 'regular'
    END
$$;

CREATE OR REPLACE FUNCTION reference.purchase_stage(f bigint, policy jsonb) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN f IS NULL OR f = 0 THEN NULL
        WHEN f < (policy #>> '{purchase_stage,nurture_min_orders}')::bigint THEN 'first'
        WHEN f < (policy #>> '{purchase_stage,established_min_orders}')::bigint THEN 'nurture'
        ELSE 'established'
    END
$$;

CREATE OR REPLACE FUNCTION reference.membership_name(membership text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE membership WHEN '01' THEN 'continuing' WHEN '02' THEN 'paused' WHEN '03' THEN 'withdrawn' ELSE membership END
$$;

-- The membership of a day by the log: the last entry up to it; of several on that day the first of withdrawn, paused, ad_hoc,
-- continuing.
CREATE OR REPLACE FUNCTION reference.membership_on(customer bigint, on_day date) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT reference.membership_name(m.membership)
    FROM reference.memberships AS m
    WHERE m.customer_id = customer AND m.since <= on_day AND m.membership IS NOT NULL
    ORDER BY m.since DESC,
             array_position(ARRAY['withdrawn', 'paused', 'ad_hoc', 'continuing'], reference.membership_name(m.membership))
    LIMIT 1
$$;

-- The first day of the membership of a day: from that entry on no other membership was entered.
CREATE OR REPLACE FUNCTION reference.membership_since(customer bigint, on_day date) RETURNS date
LANGUAGE sql STABLE AS $$
    SELECT min(m.since)
    FROM reference.memberships AS m
    WHERE m.customer_id = customer AND m.since <= on_day AND m.membership IS NOT NULL
      AND NOT EXISTS (
          SELECT FROM reference.memberships AS later
          WHERE later.customer_id = customer AND later.since BETWEEN m.since AND on_day AND later.membership IS NOT NULL
            AND reference.membership_on(customer, later.since) <> reference.membership_on(customer, on_day))
$$;

CREATE OR REPLACE FUNCTION reference.dormancy_category(orders bigint, membership text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN orders IS NULL OR orders < 1 THEN NULL
        WHEN reference.membership_name(membership) = 'paused' THEN 'paused'
        WHEN reference.membership_name(membership) = 'withdrawn' THEN 'cancelled'
        WHEN reference.membership_name(membership) = 'continuing' THEN 'member_silent'
        WHEN orders = 1 THEN 'bought_once'
        ELSE 'ad_hoc'
    END
$$;

-- The default table of next actions where nothing is known but the five arguments of the plain-number route.
CREATE OR REPLACE FUNCTION reference.next_action_of_numbers(
    lifecycle_state text, f bigint, membership text, dormancy_reason text, policy jsonb
) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN lifecycle_state = 'winback' THEN 'welcome_back'
        WHEN reference.membership_name(membership) = 'paused' THEN 'return_program'
        WHEN reference.membership_name(membership) = 'withdrawn' THEN 'reacquisition_program'
        WHEN lifecycle_state = 'dormant' THEN
            CASE WHEN dormancy_reason IN ('dissatisfied', 'competitor') THEN 'hear_dissatisfied'
                 WHEN dormancy_reason = 'discount_only' THEN 'explain_benefits'
                 WHEN dormancy_reason = 'overstocked' THEN 'help_use_up'
                 WHEN dormancy_reason = 'unhabituated' THEN 'help_restart'
                 ELSE 'give_reason_to_return' END
        WHEN lifecycle_state = 'at_risk' THEN 'check_in'
        WHEN lifecycle_state = 'vip' THEN 'early_access'
        WHEN reference.purchase_stage(f, policy) = 'established' THEN 'send_customer_letter'
        WHEN reference.purchase_stage(f, policy) = 'nurture' THEN
            CASE WHEN reference.membership_name(membership) = 'ad_hoc' THEN 'offer_subscription'
                 ELSE 'give_reason_to_continue' END
        WHEN reference.purchase_stage(f, policy) = 'first' THEN 'onboard'
        WHEN lifecycle_state = 'prospect' THEN 'first_offer'
        ELSE 'none'
    END
$$;

-- ---------------------------------------------------------------------------------------------------------------------
-- One row for each row of reference.customers.
--   as_of   the day of the question
--   policy  an effective policy: the whole document
--   facts   'all'      everything segment_customer can be given
--           'history'  without channels and contacts: f(h, as_of, policy, engagement, membership)
--           'log'      as all, with the log of memberships: it counts for whoever has an entry, whatever its day
--           'orders'   days and amounts only: the aggregates (no engagement, membership, discounts or corrections)
CREATE OR REPLACE FUNCTION reference.segments(as_of date, policy jsonb, facts text DEFAULT 'all')
RETURNS TABLE (
    customer_id bigint,
    first_purchase_on date, last_purchase_on date, recency_days int, orders bigint, purchase_days bigint, monetary numeric,
    r_score int, f_score int, m_score int, rfm_score int, rfm_segment text,
    lifecycle_state text, purchase_stage text,
    value_score numeric, relation_score numeric, vip_score numeric, vip_tier text, last_tier text,
    vip_missing text, orders_to_vip numeric, span_days_to_vip numeric, relation_to_vip numeric, value_to_vip numeric,
    dormancy_category text, dormancy_reason text,
    next_action text, action_rule text, action_behavior text, action_channel text, action_due_on date,
    action_after_wait text,
    -- accessors and inner values
    previous_purchase_on date, last_gap_days int, mean_gap_days numeric, median_gap_days numeric,
    discount_share numeric, average_order_value numeric, tenure_days int, span_days int, vip_candidate boolean,
    frequency bigint, at_risk_after numeric, dormant_after numeric, relation_exact numeric,
    reason_if_dormant text
)
LANGUAGE sql STABLE SET search_path = pg_catalog SET jit = off AS $$
WITH RECURSIVE
-- The question, unpacked once.
ask AS MATERIALIZED (
    SELECT $1 AS as_of,
           $3 AS facts,
           $2 ->> 'frequency' AS frequency,
           ARRAY(SELECT c::numeric FROM jsonb_array_elements_text($2 #> '{rfm,recency_cuts}') AS c) AS r_cuts,
           ARRAY(SELECT c::numeric FROM jsonb_array_elements_text($2 #> '{rfm,frequency_cuts}') AS c) AS f_cuts,
           ARRAY(SELECT c::numeric FROM jsonb_array_elements_text($2 #> '{rfm,monetary_cuts}') AS c) AS m_cuts,
           $2 #>> '{lifecycle,cycle}' AS cycle,
           ($2 #>> '{lifecycle,at_risk_after_days}')::numeric AS at_risk_after_days,
           ($2 #>> '{lifecycle,dormant_after_days}')::numeric AS dormant_after_days,
           ($2 #>> '{lifecycle,winback_window_days}')::numeric AS winback_window_days,
           ($2 #>> '{lifecycle,new_max_orders}')::numeric AS new_max_orders,
           ($2 #>> '{lifecycle,continuing_grace_days}')::numeric AS continuing_grace_days,
           ($2 #>> '{lifecycle,at_risk_ratio}')::numeric AS at_risk_ratio,
           ($2 #>> '{lifecycle,dormant_ratio}')::numeric AS dormant_ratio,
           ($2 #>> '{lifecycle,prior_gaps}')::numeric AS prior_gaps,
           ($2 #>> '{lifecycle,store_gap_days}')::numeric AS store_gap_days,
           ($2 #>> '{lifecycle,min_days}')::numeric AS min_days,
           ($2 #>> '{lifecycle,max_days}')::numeric AS max_days,
           ($2 #>> '{relation,window_days}')::numeric AS window_days,
           ($2 #>> '{vip,value_weight}')::numeric AS value_weight,
           ($2 #>> '{vip,min_span_days}')::numeric AS min_span_days,
           ($2 #>> '{vip,min_orders}')::numeric AS min_orders,
           ($2 #>> '{vip,min_purchase_days}')::numeric AS min_purchase_days,
           ($2 #>> '{vip,max_recency_days}')::numeric AS max_recency_days,
           ($2 #>> '{vip,monetary_cut}')::numeric AS monetary_cut,
           ($2 #>> '{vip,monetary_min_purchase_days}')::numeric AS monetary_min_purchase_days,
           ARRAY(SELECT m FROM jsonb_array_elements_text($2 #> '{vip,memberships}') AS m) AS memberships,
           ($2 #>> '{vip,min_relation_score}')::numeric AS min_relation_score,
           ($2 #>> '{vip,untracked_min_value_score}')::numeric AS untracked_min_value_score,
           ($2 #>> '{dormancy_reason,discount_min_purchases}')::numeric AS discount_min_purchases,
           ($2 #>> '{dormancy_reason,discount_min_share}')::numeric AS discount_min_share,
           ($2 #>> '{dormancy_reason,overstock_amount_ratio}')::numeric AS overstock_amount_ratio,
           ($2 #>> '{dormancy_reason,overstock_min_purchase_days}')::numeric AS overstock_min_purchase_days,
           ($2 #>> '{dormancy_reason,overstock_max_span_days}')::numeric AS overstock_max_span_days,
           ($2 #>> '{dormancy_reason,unhabituated_max_purchase_days}')::numeric AS unhabituated_max_purchase_days,
           ($2 #>> '{complaint,min_refund_share}')::numeric AS min_refund_share,
           ($2 #>> '{contact,min_days_between}')::int AS min_days_between,
           ARRAY(SELECT c FROM jsonb_array_elements_text($2 #> '{contact,channels}') AS c) AS channels,
           ARRAY(SELECT c FROM jsonb_array_elements_text($2 #> '{contact,dormant_channels}') AS c) AS dormant_channels
),
-- one row for each box of digits; a rule is one box, or any of several
segment_rule AS MATERIALIZED (
    SELECT nth, rule ->> 'name' AS name,
           coalesce((box #>> '{r,0}')::int, 1) AS r_low, coalesce((box #>> '{r,1}')::int, 9) AS r_high,
           coalesce((box #>> '{f,0}')::int, 1) AS f_low, coalesce((box #>> '{f,1}')::int, 9) AS f_high,
           coalesce((box #>> '{m,0}')::int, 1) AS m_low, coalesce((box #>> '{m,1}')::int, 9) AS m_high
    FROM jsonb_array_elements($2 #> '{segments,rules}') WITH ORDINALITY AS q (rule, nth)
    CROSS JOIN LATERAL jsonb_array_elements(coalesce(rule -> 'any', jsonb_build_array(rule))) AS b (box)
),
relation_kind AS MATERIALIZED (
    SELECT kind, (terms ->> 'weight')::numeric AS weight, (terms ->> 'cap')::numeric AS cap
    FROM jsonb_each($2 #> '{relation,kinds}') AS q (kind, terms)
),

-- The customers, with no more facts than the question is given.
customer AS MATERIALIZED (
    SELECT c.customer_id,
           CASE WHEN g.is_logged THEN reference.membership_on(c.customer_id, a.as_of)
                WHEN a.facts <> 'orders' THEN reference.membership_name(c.membership) END AS membership,
           g.is_logged,
           CASE WHEN g.is_logged THEN reference.membership_since(c.customer_id, a.as_of) END AS membership_since,
           c.tracked AND a.facts <> 'orders' AS tracked,
           CASE WHEN a.facts IN ('all', 'log') THEN c.channels END AS channels,
           CASE WHEN a.facts IN ('all', 'log') AND c.last_contacted_on <= a.as_of THEN c.last_contacted_on END AS last_contacted_on,
           CASE WHEN CASE WHEN g.is_logged THEN reference.membership_on(c.customer_id, a.as_of)
                          WHEN a.facts <> 'orders' THEN reference.membership_name(c.membership) END = 'continuing'
                THEN a.continuing_grace_days ELSE 0 END AS grace
    FROM reference.customers AS c CROSS JOIN ask AS a
    CROSS JOIN LATERAL (
        SELECT a.facts = 'log' AND EXISTS (
            SELECT FROM reference.memberships AS m
            WHERE m.customer_id = c.customer_id AND m.membership IS NOT NULL AND m.since IS NOT NULL) AS is_logged
    ) AS g
),

-- The orders that can be seen, by row and by day.
visible AS MATERIALIZED (
    SELECT o.customer_id, o.ordered_on AS day, o.amount,
           (o.amount IS NULL OR o.amount >= 0) AND (a.facts = 'orders' OR o.is_purchase IS NOT FALSE) AS is_purchase,
           CASE WHEN a.facts <> 'orders' THEN o.discounted END AS discounted
    FROM reference.orders AS o CROSS JOIN ask AS a
    WHERE o.ordered_on <= a.as_of
),
day AS MATERIALIZED (
    SELECT v.customer_id, v.day, bool_or(v.is_purchase) AS is_purchase_day, coalesce(sum(v.amount), 0) AS amount
    FROM visible AS v
    GROUP BY v.customer_id, v.day
),
purchase_day AS MATERIALIZED (
    SELECT d.customer_id, d.day, d.amount,
           row_number() OVER (PARTITION BY d.customer_id ORDER BY d.day) AS nth,
           row_number() OVER (PARTITION BY d.customer_id ORDER BY d.day DESC) AS nth_from_last,
           d.day - lag(d.day) OVER (PARTITION BY d.customer_id ORDER BY d.day) AS gap,
           -- what membership adds to the limits on the last day of the gap, the one before the purchase
           CASE WHEN NOT c.is_logged THEN c.grace
                WHEN reference.membership_on(d.customer_id, d.day - 1) = 'continuing' THEN a.continuing_grace_days
                ELSE 0 END AS gap_grace
    FROM day AS d JOIN customer AS c ON c.customer_id = d.customer_id CROSS JOIN ask AS a
    WHERE d.is_purchase_day
),
timeline AS MATERIALIZED (
    SELECT p.customer_id,
           min(p.day) AS first_on,
           max(p.day) AS last_on,
           max(p.day) FILTER (WHERE p.nth_from_last = 2) AS previous_on,
           count(*) AS purchase_days,
           max(p.gap) FILTER (WHERE p.nth_from_last = 1) AS last_gap,
           max(p.gap_grace) FILTER (WHERE p.nth_from_last = 1) AS last_gap_grace,
           array_agg(p.gap ORDER BY p.nth) FILTER (WHERE p.gap IS NOT NULL) AS gaps,
           array_agg(p.gap_grace ORDER BY p.nth) FILTER (WHERE p.gap IS NOT NULL) AS graces,
           (percentile_cont(0.5) WITHIN GROUP (ORDER BY p.gap))::numeric AS median_gap,
           sum(p.amount) FILTER (WHERE p.nth_from_last = 1) AS last_amount,
           sum(p.amount) FILTER (WHERE p.nth_from_last > 1) AS amount_before_last
    FROM purchase_day AS p
    GROUP BY p.customer_id
),
totals AS MATERIALIZED (
    SELECT v.customer_id,
           count(*) FILTER (WHERE v.is_purchase) AS orders,
           coalesce(sum(v.amount), 0) AS monetary,
           coalesce(sum(v.amount) FILTER (WHERE v.day <= t.last_on), 0) AS monetary_then,
           count(*) FILTER (WHERE v.is_purchase AND v.discounted IS NOT NULL) AS discounts_known,
           count(*) FILTER (WHERE v.is_purchase AND v.discounted) AS discounts_given
    FROM visible AS v LEFT JOIN timeline AS t ON t.customer_id = v.customer_id
    GROUP BY v.customer_id
),
-- Each day that gave back more than it took, beside the days up to it: what they come to, what the last purchase day before
-- it came to, and whether one of the purchase days before it came to just what it gives back.
given_back AS MATERIALIZED (
    SELECT r.customer_id, r.day, r.is_purchase_day, -r.amount AS refund,
           sum(b.amount) AS balance,
           (array_agg(b.amount ORDER BY b.day DESC) FILTER (WHERE b.is_purchase_day AND b.day < r.day))[1] AS last_amount,
           coalesce(bool_or(b.amount = -r.amount) FILTER (WHERE b.is_purchase_day AND b.day < r.day), false) AS is_a_whole_day
    FROM day AS r JOIN day AS b ON b.customer_id = r.customer_id AND b.day <= r.day
    WHERE r.amount < 0
    GROUP BY r.customer_id, r.day, r.is_purchase_day, r.amount
),
-- The last of them that is a complaint: it gives back more than was ever paid; or there is no purchase on it, and it gives
-- back enough of the last purchase day, or all of one.
large_refund AS MATERIALIZED (
    SELECT g.customer_id, max(g.day) AS last_on
    FROM given_back AS g CROSS JOIN ask AS a
    WHERE g.balance < 0
       OR NOT g.is_purchase_day AND (g.refund >= a.min_refund_share * greatest(g.last_amount, 0) OR g.is_a_whole_day)
    GROUP BY g.customer_id
),

-- The own cycle, walked gap by gap. Row i knows the gaps before gap i; the row after the last gap knows them all.
walk AS (
    SELECT t.customer_id, 1 AS i, 0::numeric AS capped_sum, t.gaps, t.graces || c.grace AS graces,
           reference.own_limit(a.dormant_ratio, 0, 0, a.prior_gaps, a.store_gap_days, a.min_days, a.max_days)
               + (t.graces || c.grace)[1] AS dormant_after
    FROM timeline AS t JOIN customer AS c ON c.customer_id = t.customer_id CROSS JOIN ask AS a
    WHERE a.cycle = 'own'
    UNION ALL
    SELECT w.customer_id, w.i + 1, s.capped_sum, w.gaps, w.graces,
           reference.own_limit(a.dormant_ratio, s.capped_sum, w.i, a.prior_gaps, a.store_gap_days, a.min_days, a.max_days)
               + w.graces[w.i + 1]
    FROM walk AS w CROSS JOIN ask AS a
    CROSS JOIN LATERAL (SELECT w.capped_sum + least(w.gaps[w.i], w.dormant_after) AS capped_sum) AS s
    WHERE w.i <= cardinality(w.gaps)
),
limits AS MATERIALIZED (
    SELECT t.customer_id,
           CASE a.cycle
               WHEN 'own' THEN reference.own_limit(a.at_risk_ratio, now.capped_sum, now.i - 1, a.prior_gaps,
                                                   a.store_gap_days, a.min_days, a.max_days)
               ELSE a.at_risk_after_days
           END + c.grace AS at_risk_after,
           CASE a.cycle WHEN 'own' THEN now.dormant_after ELSE a.dormant_after_days + c.grace END AS dormant_after,
           t.last_gap > CASE a.cycle WHEN 'own' THEN then_.dormant_after ELSE a.dormant_after_days + t.last_gap_grace END
               AS was_absent
    FROM timeline AS t JOIN customer AS c ON c.customer_id = t.customer_id CROSS JOIN ask AS a
    LEFT JOIN walk AS now ON now.customer_id = t.customer_id AND now.i = t.purchase_days
    LEFT JOIN walk AS then_ ON then_.customer_id = t.customer_id AND then_.i = t.purchase_days - 1
),

-- Engagement that can be seen, of customers for whom it is tracked.
event AS MATERIALIZED (
    SELECT e.customer_id, e.kind, e.happened_on AS day
    FROM reference.engagement AS e
    JOIN customer AS c ON c.customer_id = e.customer_id
    CROSS JOIN ask AS a
    WHERE c.tracked AND e.happened_on <= a.as_of
),
-- the relation score on as_of and on the last purchase day
relation AS MATERIALIZED (
    SELECT c.customer_id,
           CASE WHEN c.tracked THEN least(100, coalesce(sum(least(k.events_now, k.cap) * k.weight), 0)) END AS now,
           CASE WHEN c.tracked THEN least(100, coalesce(sum(least(k.events_then, k.cap) * k.weight), 0)) END AS then_
    FROM customer AS c
    LEFT JOIN (
        SELECT e.customer_id, r.kind, r.cap, r.weight,
               count(*) FILTER (WHERE a.as_of - e.day < a.window_days) AS events_now,
               count(*) FILTER (WHERE e.day <= t.last_on AND t.last_on - e.day < a.window_days) AS events_then
        FROM event AS e
        JOIN relation_kind AS r ON r.kind = e.kind
        CROSS JOIN ask AS a
        LEFT JOIN timeline AS t ON t.customer_id = e.customer_id
        GROUP BY e.customer_id, r.kind, r.cap, r.weight
    ) AS k ON k.customer_id = c.customer_id
    GROUP BY c.customer_id, c.tracked
),
-- what the rules ask of engagement; counts are NULL where it is not tracked
engaged AS MATERIALIZED (
    SELECT c.customer_id,
           max(e.day) FILTER (WHERE e.kind IN ('complaint', 'low_rating')) AS complained_on,
           max(e.day) FILTER (WHERE e.kind = 'return') AS returned_on,
           max(e.day) FILTER (WHERE e.kind = 'complaint_resolved') AS complaint_resolved_on,
           max(e.day) FILTER (WHERE e.kind = 'return_resolved') AS return_resolved_on,
           CASE WHEN c.tracked THEN count(*) FILTER (WHERE e.kind = 'referral') END AS referrals,
           CASE WHEN c.tracked THEN count(*) FILTER (WHERE e.kind = 'community') END AS community,
           CASE WHEN c.tracked THEN count(*) FILTER (WHERE e.kind = 'review') END AS reviews,
           CASE WHEN c.tracked THEN count(*) FILTER (WHERE e.kind = 'survey') END AS surveys,
           CASE WHEN c.tracked THEN count(*) FILTER (WHERE e.kind = 'usage_report') END AS usage_reports
    FROM customer AS c LEFT JOIN event AS e ON e.customer_id = c.customer_id
    GROUP BY c.customer_id, c.tracked
),
-- the latest reason stated since the previous purchase day (ever, where there is only one)
stated AS MATERIALIZED (
    SELECT DISTINCT ON (e.customer_id) e.customer_id, r.reason
    FROM event AS e
    JOIN unnest(ARRAY['dissatisfied', 'competitor', 'discount_only', 'overstocked', 'unhabituated', 'drifted'])
         WITH ORDINALITY AS r (reason, preference) ON e.kind = 'stated_' || r.reason
    JOIN timeline AS t ON t.customer_id = e.customer_id
    WHERE t.previous_on IS NULL OR e.day >= t.previous_on
    ORDER BY e.customer_id, e.day DESC, r.preference
),

-- Everything measured, one row a customer. first_on IS NULL: a prospect.
measured AS MATERIALIZED (
    SELECT c.customer_id, c.membership,
           CASE WHEN c.is_logged THEN reference.membership_on(c.customer_id, t.last_on) ELSE c.membership END
               AS membership_then,
           a.as_of - c.membership_since AS membership_days,
           reference.membership_on(c.customer_id, c.membership_since - 1) AS previous_membership,
           c.tracked, c.channels, c.last_contacted_on, a.as_of,
           t.first_on, t.last_on, t.previous_on, t.last_gap, t.median_gap, t.last_amount, t.amount_before_last,
           a.as_of - t.last_on AS recency,
           t.last_on - t.first_on AS span,
           coalesce(o.orders, 0) AS orders,
           coalesce(t.purchase_days, 0) AS purchase_days,
           CASE a.frequency WHEN 'purchase_days' THEN coalesce(t.purchase_days, 0) ELSE coalesce(o.orders, 0) END AS f,
           coalesce(o.monetary, 0) AS monetary,
           coalesce(o.monetary_then, 0) AS monetary_then,
           coalesce(o.discounts_known, 0) AS discounts_known,
           coalesce(o.discounts_given, 0) AS discounts_given,
           -- what was resolved on its day or later is none any more; greatest() leaves NULLs out
           greatest(CASE WHEN e.complaint_resolved_on >= e.complained_on THEN NULL ELSE e.complained_on END,
                    CASE WHEN e.return_resolved_on >= e.returned_on THEN NULL ELSE e.returned_on END,
                    CASE WHEN greatest(e.complaint_resolved_on, e.return_resolved_on) >= u.last_on THEN NULL
                         ELSE u.last_on END) AS open_complaint_on,
           l.at_risk_after, l.dormant_after, l.was_absent,
           n.now AS relation, n.then_ AS relation_then,
           e.referrals, e.community, e.reviews, e.surveys, e.usage_reports,
           s.reason AS stated_reason
    FROM customer AS c
    CROSS JOIN ask AS a
    LEFT JOIN timeline AS t ON t.customer_id = c.customer_id
    LEFT JOIN totals AS o ON o.customer_id = c.customer_id
    LEFT JOIN large_refund AS u ON u.customer_id = c.customer_id
    LEFT JOIN limits AS l ON l.customer_id = c.customer_id
    LEFT JOIN relation AS n ON n.customer_id = c.customer_id
    LEFT JOIN engaged AS e ON e.customer_id = c.customer_id
    LEFT JOIN stated AS s ON s.customer_id = c.customer_id
),

-- Digits; "then" is the last purchase day, when R was 0 and later refunds had not happened.
scored AS MATERIALIZED (
    SELECT m.*,
           reference.mirrored_digit(m.recency, a.r_cuts) AS r,
           CASE WHEN m.first_on IS NOT NULL THEN reference.digit(m.f, a.f_cuts) END AS f_digit,
           CASE WHEN m.first_on IS NOT NULL THEN reference.digit(m.monetary, a.m_cuts) END AS m_digit,
           CASE WHEN m.first_on IS NOT NULL THEN reference.mirrored_digit(0, a.r_cuts) END AS r_then,
           CASE WHEN m.first_on IS NOT NULL THEN reference.digit(m.monetary_then, a.m_cuts) END AS m_then,
           coalesce(
               m.span >= a.min_span_days
               AND (m.f >= a.min_orders AND m.purchase_days >= a.min_purchase_days AND m.recency <= a.max_recency_days
                    OR coalesce(m.monetary >= a.monetary_cut AND m.purchase_days >= a.monetary_min_purchase_days
                                AND m.recency <= m.dormant_after, false)),
               false) AS candidate,
           coalesce(
               m.span >= a.min_span_days
               AND (m.f >= a.min_orders AND m.purchase_days >= a.min_purchase_days AND 0 <= a.max_recency_days
                    OR coalesce(m.monetary_then >= a.monetary_cut AND m.purchase_days >= a.monetary_min_purchase_days
                                AND 0 <= m.dormant_after, false)),
               false) AS candidate_then
    FROM measured AS m CROSS JOIN ask AS a
),
tiered AS MATERIALIZED (
    SELECT s.*, v.numerator, v.denominator,
           reference.tier(s.candidate, s.membership, a.memberships, s.relation, a.min_relation_score,
                          v.numerator, v.denominator, a.untracked_min_value_score) AS vip_tier,
           CASE WHEN s.first_on IS NOT NULL THEN
               reference.tier(s.candidate_then, s.membership_then, a.memberships, s.relation_then, a.min_relation_score,
                              reference.value_numerator(s.r_then, s.f_digit, s.m_then, a.r_cuts, a.f_cuts, a.m_cuts),
                              v.denominator, a.untracked_min_value_score)
           END AS last_tier
    FROM scored AS s
    CROSS JOIN ask AS a
    CROSS JOIN LATERAL (
        SELECT reference.value_numerator(s.r, s.f_digit, s.m_digit, a.r_cuts, a.f_cuts, a.m_cuts) AS numerator,
               reference.value_denominator(a.r_cuts, a.f_cuts, a.m_cuts) AS denominator
    ) AS v
),
stated_and_lived AS MATERIALIZED (
    SELECT t.*,
           CASE
               WHEN t.first_on IS NULL THEN 'prospect'
               WHEN t.recency > t.dormant_after THEN 'dormant'
               WHEN t.recency > t.at_risk_after THEN 'at_risk'
               WHEN t.was_absent AND t.recency <= a.winback_window_days THEN 'winback'
               WHEN t.vip_tier = 'vip' THEN 'vip'
               WHEN t.f <= a.new_max_orders AND NOT coalesce(t.was_absent, false) THEN 'new'
               ELSE 'active'
           END AS state,
           reference.purchase_stage(t.f, $2) AS stage,
           CASE
               WHEN t.first_on IS NULL THEN NULL
               WHEN t.stated_reason IS NOT NULL THEN t.stated_reason
               WHEN t.open_complaint_on IS NOT NULL AND (t.previous_on IS NULL OR t.open_complaint_on >= t.previous_on)
                   THEN 'dissatisfied'
               WHEN t.discounts_known >= a.discount_min_purchases
                    AND t.discounts_given >= a.discount_min_share * t.discounts_known THEN 'discount_only'
               WHEN t.amount_before_last > 0
                    AND t.last_amount * (t.purchase_days - 1) >= a.overstock_amount_ratio * t.amount_before_last
                   THEN 'overstocked'
               WHEN t.purchase_days >= a.overstock_min_purchase_days AND t.span <= a.overstock_max_span_days
                   THEN 'overstocked'
               WHEN t.purchase_days <= a.unhabituated_max_purchase_days THEN 'unhabituated'
               ELSE 'drifted'
           END AS reason
    FROM tiered AS t CROSS JOIN ask AS a
),

-- The default table of next actions, in its order; after the rule that waits, what comes behind it too. Nobody here has a log
-- of contacts, so that no complaint was answered.
ruled AS MATERIALIZED (
    SELECT s.*,
           CASE
               WHEN s.as_of - s.open_complaint_on <= 30 OR s.monetary < 0 AND s.open_complaint_on IS NOT NULL
                   THEN 'complaint_open'
               WHEN cardinality(s.channels) = 0 THEN 'unreachable'
               WHEN s.as_of - s.last_contacted_on < a.min_days_between THEN 'contacted_recently'
               ELSE l.rule
           END AS rule,
           l.rule AS later_rule
    FROM stated_and_lived AS s
    CROSS JOIN ask AS a
    CROSS JOIN LATERAL (
        SELECT CASE
               WHEN s.state = 'winback' THEN 'winback'
               WHEN s.membership = 'continuing' AND s.previous_membership IN ('paused', 'withdrawn')
                    AND s.membership_days <= 30 THEN 'returned'
               WHEN s.membership = 'paused' THEN 'paused'
               WHEN s.membership = 'withdrawn' AND s.membership_days <= 30 THEN 'withdrawn_just_now'
               WHEN s.membership = 'withdrawn' AND s.membership_days > 365 THEN 'withdrawn_long_ago'
               WHEN s.membership = 'withdrawn' THEN 'withdrawn'
               WHEN s.state = 'dormant' AND s.last_tier IN ('vip', 'candidate') THEN 'dormant_good_customer'
               WHEN s.state = 'dormant' AND s.reason IN ('dissatisfied', 'competitor') THEN 'dormant_dissatisfied'
               WHEN s.state = 'dormant' AND s.reason = 'discount_only' THEN 'dormant_discount_only'
               WHEN s.state = 'dormant' AND s.reason = 'overstocked' THEN 'dormant_overstocked'
               WHEN s.state = 'dormant' AND s.reason = 'unhabituated' THEN 'dormant_unhabituated'
               WHEN s.state = 'dormant' THEN 'dormant'
               WHEN s.state = 'at_risk' AND s.last_tier = 'vip' THEN 'at_risk_vip'
               WHEN s.state = 'at_risk' THEN 'at_risk'
               WHEN s.state = 'vip' AND s.referrals = 0 THEN 'vip_no_referral'
               WHEN s.state = 'vip' AND s.community = 0 THEN 'vip_no_community'
               WHEN s.state = 'vip' THEN 'vip'
               WHEN s.stage = 'established' AND s.reviews = 0 THEN 'established_no_review'
               WHEN s.stage = 'established' AND s.surveys = 0 THEN 'established_no_survey'
               WHEN s.stage = 'established' AND s.surveys >= 1 THEN 'established_engaged'
               WHEN s.stage = 'established' THEN 'established'
               WHEN s.stage = 'nurture' AND s.membership = 'ad_hoc' THEN 'nurture_ad_hoc'
               WHEN s.stage = 'nurture' THEN 'nurture'
               WHEN s.stage = 'first' AND s.usage_reports = 0 THEN 'first_not_using'
               WHEN s.stage = 'first' THEN 'first'
               WHEN s.state = 'prospect' THEN 'prospect'
           END AS rule
    ) AS l
),
action (rule, action, behavior, channels) AS (
    VALUES
        ('complaint_open', 'resolve_complaint', 'care', ARRAY['phone', 'email', 'postal']),
        ('unreachable', 'complete_contact', 'care', NULL),
        ('contacted_recently', 'wait', 'none', NULL),
        ('winback', 'welcome_back', 'reactivation', NULL),
        ('returned', 'welcome_back', 'continuation', NULL),
        ('paused', 'return_program', 'reactivation', NULL),
        ('withdrawn_just_now', 'ask_why_withdrawn', 'care', NULL),
        ('withdrawn_long_ago', 'introduce_anew', 'reactivation', NULL),
        ('withdrawn', 'reacquisition_program', 'reactivation', NULL),
        ('dormant_good_customer', 'hear_dormant_good', 'care', ARRAY['phone', 'postal']),
        ('dormant_dissatisfied', 'hear_dissatisfied', 'care', NULL),
        ('dormant_discount_only', 'explain_benefits', 'reactivation', NULL),
        ('dormant_overstocked', 'help_use_up', 'reactivation', NULL),
        ('dormant_unhabituated', 'help_restart', 'reactivation', NULL),
        ('dormant', 'give_reason_to_return', 'reactivation', NULL),
        ('at_risk_vip', 'personal_check_in', 'care', NULL),
        ('at_risk', 'check_in', 'care', NULL),
        ('vip_no_referral', 'invite_referral', 'advocacy', NULL),
        ('vip_no_community', 'invite_community', 'advocacy', NULL),
        ('vip', 'early_access', 'advocacy', NULL),
        ('established_no_review', 'ask_review', 'co_creation', NULL),
        ('established_no_survey', 'ask_survey', 'co_creation', NULL),
        ('established_engaged', 'invite_roundtable', 'co_creation', NULL),
        ('established', 'send_customer_letter', 'continuation', NULL),
        ('nurture_ad_hoc', 'offer_subscription', 'continuation', NULL),
        ('nurture', 'give_reason_to_continue', 'continuation', NULL),
        ('first_not_using', 'start_using', 'experience', NULL),
        ('first', 'onboard', 'experience', NULL),
        ('prospect', 'first_offer', 'experience', NULL)
)
SELECT x.customer_id,
       x.first_on, x.last_on, x.recency, x.orders, x.purchase_days, x.monetary,
       x.r, x.f_digit, x.m_digit, x.r * 100 + x.f_digit * 10 + x.m_digit,
       CASE WHEN x.first_on IS NOT NULL THEN
           coalesce((SELECT g.name FROM segment_rule AS g
                     WHERE x.r BETWEEN g.r_low AND g.r_high
                       AND x.f_digit BETWEEN g.f_low AND g.f_high
                       AND x.m_digit BETWEEN g.m_low AND g.m_high
                     ORDER BY g.nth LIMIT 1),
                    $2 #>> '{segments,default}')
       END,
       x.state, x.stage,
       reference.rounded(x.numerator, x.denominator, 2),
       reference.rounded(x.relation, 1, 2),
       CASE WHEN x.first_on IS NULL THEN NULL
            WHEN x.relation IS NULL THEN reference.rounded(x.numerator, x.denominator, 2)
            ELSE reference.rounded(a.value_weight * x.numerator + (1 - a.value_weight) * x.relation * x.denominator,
                                   x.denominator, 2) END,
       x.vip_tier, x.last_tier,
       nullif(concat_ws(',',
           CASE WHEN w.too_few THEN 'orders' END,
           CASE WHEN NOT (x.candidate OR w.too_few OR w.span > 0) THEN 'recency' END,
           CASE WHEN w.span > 0 THEN 'span' END,
           CASE WHEN x.relation IS NOT NULL AND w.relation > 0 THEN 'relation' END,
           CASE WHEN x.relation IS NULL AND (w.value > 0) IS NOT FALSE THEN 'value' END,
           CASE WHEN NOT x.membership = ANY (a.memberships) THEN 'membership' END), ''),
       w.orders, w.span, CASE WHEN x.relation IS NOT NULL THEN w.relation END, CASE WHEN x.relation IS NULL THEN w.value END,
       CASE WHEN x.state = 'dormant' THEN reference.dormancy_category(x.orders, x.membership) END,
       CASE WHEN x.state = 'dormant' THEN x.reason END,
       coalesce(n.action, 'none'), n.rule, coalesce(n.behavior, 'none'),
       (SELECT c.channel
        FROM unnest(x.channels) WITH ORDINALITY AS c (channel, nth)
        CROSS JOIN LATERAL (
            SELECT array_position(n.channels, c.channel) AS by_rule, array_position(a.channels, c.channel) AS by_policy,
                   array_position(a.dormant_channels, c.channel) AS by_policy_for_dormant
        ) AS p
        -- the dormant get nothing over what only the others' list has
        WHERE n.action IS NOT NULL
              AND (p.by_rule IS NOT NULL OR x.state <> 'dormant' OR p.by_policy IS NULL OR p.by_policy_for_dormant IS NOT NULL)
        ORDER BY p.by_rule, CASE x.state WHEN 'dormant' THEN p.by_policy_for_dormant ELSE p.by_policy END, c.nth LIMIT 1),
       CASE n.action WHEN 'wait' THEN x.last_contacted_on + a.min_days_between ELSE x.as_of END,
       CASE n.action WHEN 'wait' THEN
           coalesce((SELECT later.action FROM action AS later WHERE later.rule = x.later_rule), 'none') END,
       x.previous_on, x.last_gap,
       CASE WHEN x.purchase_days > 1 THEN reference.rounded(x.span, x.purchase_days - 1, 6) END,
       x.median_gap,
       CASE WHEN x.discounts_known > 0 THEN reference.rounded(x.discounts_given, x.discounts_known, 6) END,
       CASE WHEN x.orders > 0 THEN reference.rounded(x.monetary, x.orders, 6) END,
       x.as_of - x.first_on, x.span, x.candidate,
       x.f, x.at_risk_after, x.dormant_after, x.relation, x.reason
FROM ruled AS x CROSS JOIN ask AS a
-- What is missing to be a VIP. By frequency only: no number of purchases is worth a sum of money. Another purchase makes
-- the recency 0, and nothing but another purchase makes the span longer.
CROSS JOIN LATERAL (
    SELECT CASE WHEN x.candidate THEN 0
                ELSE greatest(1, a.min_orders - x.f, a.min_purchase_days - x.purchase_days) END AS orders,
           NOT x.candidate AND (x.f < a.min_orders OR x.purchase_days < a.min_purchase_days) AS too_few,
           CASE WHEN x.candidate THEN 0 ELSE greatest(0, a.min_span_days - coalesce(x.span, 0)) END AS span,
           greatest(0, ceil((a.min_relation_score - x.relation) * 100)) * 0.01 AS relation,
           CASE WHEN a.untracked_min_value_score IS NOT NULL THEN
               greatest(0, div(n.missing, x.denominator) + CASE WHEN mod(n.missing, x.denominator) > 0 THEN 1 ELSE 0 END)
                   * 0.01 END AS value
    FROM (SELECT 100 * (a.untracked_min_value_score * x.denominator - coalesce(x.numerator, 0)) AS missing) AS n
) AS w
LEFT JOIN action AS n ON n.rule = x.rule
$$;

RESET client_min_messages;
