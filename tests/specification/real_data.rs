//! Real orders give the numbers that were worked out from them elsewhere: in plain SQL, and by the R package `rfm` and
//! the Python package `lifetimes`.
//!
//! The committed sample is always there. The large data sets are not part of the repository; a test that needs one says
//! "skipped" where it is absent (`cargo test -- --nocapture` shows it).

use crate::common::*;
use std::path::Path;

/// The last day of the CDNOW data.
const CDNOW_END: &str = "1998-06-30";

/// The days of CDNOW's month ends with something to tell: before everything, within, at the end, long after.
const CDNOW_DAYS: &str = "(VALUES ('1996-12-31'::date), ('1997-01-01'), ('1997-03-31'), ('1997-09-30'), ('1998-06-30'), ('2005-01-01')) \
     AS asked (as_of)";

// ---- CDNOW, all customers ---------------------------------------------------------------------------------------

#[test]
fn cdnow_has_the_customers_days_and_money_of_the_reference() {
    let Some(shop) = Shop::cdnow("real_cdnow") else { return };
    shop.says("SELECT count(*), sum(amount), count(*) FILTER (WHERE amount = 0) FROM orders", "69659|2500315.63|80");
    shop.says(
        "SELECT count(*), sum(orders(h, '1998-06-30')), sum(purchase_days(h, '1998-06-30')),
                sum(monetary(h, '1998-06-30')), max(purchase_days(h, '1998-06-30'))
         FROM customers",
        "23570|69659|67591|2500315.63|171",
    );
    shop.says(
        "SELECT count(*) FILTER (WHERE f = 1), count(*) FILTER (WHERE f BETWEEN 2 AND 3), count(*) FILTER (WHERE f >= 4)
         FROM (SELECT purchase_days(h, '1998-06-30') AS f FROM customers) AS c",
        "12054|6245|5271",
    );
}

#[test]
fn cdnow_falls_into_the_recency_bands_of_the_reference() {
    let Some(shop) = Shop::cdnow("real_bands") else { return };
    shop.says(
        "SELECT count(*) FILTER (WHERE r <= 30), count(*) FILTER (WHERE r BETWEEN 31 AND 60),
                count(*) FILTER (WHERE r BETWEEN 61 AND 180), count(*) FILTER (WHERE r >= 181),
                count(*) FILTER (WHERE r >= 365), count(*) FILTER (WHERE r > 365),
                count(*) FILTER (WHERE f >= 4 AND r <= 30), count(*) FILTER (WHERE f >= 4 AND r <= 45)
         FROM (SELECT recency_days(h, '1998-06-30') AS r, purchase_days(h, '1998-06-30') AS f FROM customers) AS c",
        "1554|994|2826|18196|15238|15220|1271|1689",
    );
    // The same bands as scores: a cut is the last day of its band.
    shop.says(
        "SELECT string_agg(customers::text, ' ' ORDER BY score DESC)
         FROM (SELECT r_score(h, '1998-06-30', '{\"rfm\": {\"recency_cuts\": [30, 60, 180, 365]}}') AS score,
                      count(*) AS customers
               FROM customers GROUP BY score) AS c",
        "1554 994 2826 2976 15220",
    );
}

#[test]
fn cdnow_has_the_quintiles_of_the_reference() {
    let Some(shop) = Shop::cdnow("real_quintiles") else { return };
    shop.says(
        "SELECT percentile_cont('{0.2, 0.4, 0.6, 0.8}'::float8[]) WITHIN GROUP (ORDER BY recency_days(h, '1998-06-30')),
                percentile_cont('{0.2, 0.4, 0.6, 0.8}'::float8[]) WITHIN GROUP (ORDER BY purchase_days(h, '1998-06-30')),
                percentile_disc(0.6) WITHIN GROUP (ORDER BY monetary(h, '1998-06-30'))
         FROM customers",
        "{141,432,485,512}|{1,1,2,4}|59.92",
    );
    // percentile_cont takes floats only, and leaves their noise behind the third decimal.
    shop.says(
        "SELECT array_agg(round(cut::numeric, 3) ORDER BY cut)
         FROM (SELECT percentile_cont('{0.2, 0.4, 0.6, 0.8}'::float8[]) WITHIN GROUP (ORDER BY monetary(h, '1998-06-30'))
                      AS cuts FROM customers) AS c, unnest(cuts) AS cut",
        "{15.360,31.350,59.924,133.950}",
    );
}

#[test]
fn cdnow_scores_by_the_quintiles_as_the_reference_does() {
    let Some(shop) = Shop::cdnow("real_scores") else { return };
    let counts = |score: &str| {
        format!(
            "SELECT string_agg(count::text, ' ' ORDER BY digit)
             FROM (SELECT digit, count(score)
                   FROM generate_series(1, 5) AS digit
                   LEFT JOIN (SELECT {score}(h, '1998-06-30', policy) AS score FROM customers, quintiles) AS c
                          ON score = digit
                   GROUP BY digit) AS counts"
        )
    };
    shop.says(&counts("r_score"), "4539 4748 4844 4720 4719");
    // Half of the customers bought on one day only. Equal values get equal scores, so that nobody has score 2.
    shop.says(&counts("f_score"), "12054 0 4040 3641 3835");
    shop.says(&counts("m_score"), "4817 4615 4710 4715 4713");
    shop.says(
        "SELECT count(*) FILTER (WHERE score = 555), count(*) FILTER (WHERE score = 111), count(*)
         FROM (SELECT rfm_score(h, '1998-06-30', policy) AS score FROM customers, quintiles) AS c",
        "2345|1665|23570",
    );
    // The aggregate over the order rows gives every customer the same score.
    shop.says(
        "SELECT count(*) FILTER (WHERE o.score = rfm_score(h, '1998-06-30', policy)), count(*)
         FROM customers CROSS JOIN quintiles
         JOIN (SELECT customer_id, rfm_score(ordered_on, amount, '1998-06-30'::date, policy) AS score
               FROM orders CROSS JOIN quintiles GROUP BY customer_id, policy) AS o USING (customer_id)",
        "23570|23570",
    );
}

#[test]
fn cdnow_states_by_the_default_policy_are_those_of_the_reference() {
    let Some(shop) = Shop::cdnow("real_states") else { return };
    let by_days = "'{\"frequency\": \"purchase_days\"}'::segment_policy";
    // All first orders lie in the first quarter of 1997, so nobody is new a year later.
    shop.says(
        &format!(
            "SELECT count(*) FILTER (WHERE state = 'dormant'), count(*) FILTER (WHERE state = 'at_risk'),
                    count(*) FILTER (WHERE state = 'winback'), count(*) FILTER (WHERE state IN ('active', 'vip')),
                    count(*) FILTER (WHERE state IN ('new', 'prospect')), count(*)
             FROM (SELECT lifecycle_state(h, '1998-06-30', {by_days}) AS state FROM customers) AS c"
        ),
        "21022|994|851|703|0|23570",
    );
    // The states that recency and the last gap alone decide do not depend on what counts as a purchase.
    shop.says(
        "SELECT count(*) FILTER (WHERE state = 'dormant'), count(*) FILTER (WHERE state = 'at_risk'),
                count(*) FILTER (WHERE state = 'winback'), count(*) FILTER (WHERE state IN ('active', 'vip'))
         FROM (SELECT lifecycle_state(ordered_on, amount, '1998-06-30'::date) AS state
               FROM orders GROUP BY customer_id) AS c",
        "21022|994|851|703",
    );
}

/// While the cohort was young there were newcomers, and prospects yet to come.
#[test]
fn cdnow_states_at_earlier_days_follow_plain_sql() {
    let Some(shop) = Shop::cdnow("real_earlier") else { return };
    shop.says(
        &format!(
            "WITH days AS (
                 SELECT as_of, customer_id, ordered_on, ordered_on - lag(ordered_on) OVER w AS gap,
                        row_number() OVER (PARTITION BY as_of, customer_id ORDER BY ordered_on DESC) AS back,
                        row_number() OVER w AS f
                 FROM (SELECT DISTINCT customer_id, ordered_on FROM orders) AS o JOIN {CDNOW_DAYS} ON ordered_on <= as_of
                 WINDOW w AS (PARTITION BY as_of, customer_id ORDER BY ordered_on)
             ), expected AS (
                 SELECT as_of, customer_id,
                        CASE WHEN as_of - ordered_on > 60 THEN 'dormant'
                             WHEN as_of - ordered_on > 30 THEN 'at_risk'
                             WHEN gap > 60 THEN 'winback'
                             WHEN f <= 2 THEN 'new'
                             ELSE 'active or vip' END AS state
                 FROM days WHERE back = 1
             ), answered AS (
                 SELECT as_of, customer_id,
                        CASE WHEN state IN ('active', 'vip') THEN 'active or vip' ELSE state END AS state
                 FROM customers CROSS JOIN {CDNOW_DAYS}
                 CROSS JOIN lifecycle_state(h, as_of, '{{\"frequency\": \"purchase_days\"}}') AS state
             )
             SELECT count(*), count(*) FILTER (WHERE a.state = coalesce(e.state, 'prospect')),
                    count(*) FILTER (WHERE a.state = 'new') > 1000, count(*) FILTER (WHERE a.state = 'prospect') > 1000
             FROM answered AS a LEFT JOIN expected AS e USING (as_of, customer_id)"
        ),
        "141420|141420|t|t",
    );
}

#[test]
fn cdnow_gaps_are_those_of_the_reference() {
    let Some(shop) = Shop::cdnow("real_gaps") else { return };
    // Asked on every purchase day, the last gap goes through all gaps.
    shop.says(
        "SELECT count(gap), round(avg(gap), 3),
                percentile_disc('{0.5, 0.75, 0.9}'::float8[]) WITHIN GROUP (ORDER BY gap)
         FROM (SELECT last_gap_days(h, ordered_on) AS gap
               FROM customers JOIN (SELECT DISTINCT customer_id, ordered_on FROM orders) AS o USING (customer_id)) AS g",
        "44021|72.214|{34,94,200}",
    );
    shop.says(
        "SELECT sum(purchase_days(h, '1998-06-30') - 1), round(sum(span_days(h, '1998-06-30'))::numeric / 44021, 3)
         FROM customers",
        "44021|72.214",
    );
    shop.says(
        "WITH gaps AS (
             SELECT customer_id, ordered_on - lag(ordered_on) OVER (PARTITION BY customer_id ORDER BY ordered_on) AS gap
             FROM (SELECT DISTINCT customer_id, ordered_on FROM orders) AS days
         ), expected AS (
             SELECT customer_id, round(avg(gap), 6) AS mean,
                    percentile_cont(0.5) WITHIN GROUP (ORDER BY gap)::numeric AS median
             FROM gaps GROUP BY customer_id
         )
         SELECT count(*) FILTER (WHERE mean_gap_days(h, '1998-06-30') IS DISTINCT FROM mean),
                count(*) FILTER (WHERE median_gap_days(h, '1998-06-30') IS DISTINCT FROM median), count(mean)
         FROM customers JOIN expected USING (customer_id)",
        "0|0|11516",
    );
}

#[test]
fn the_best_percent_of_cdnow_begins_where_the_reference_says() {
    let Some(shop) = Shop::cdnow("real_top") else { return };
    shop.says(
        "WITH money AS (SELECT monetary(h, '1998-06-30') AS m FROM customers),
              cut AS (SELECT m FROM money ORDER BY m DESC OFFSET (SELECT ceil(0.01 * count(*)) - 1 FROM money) LIMIT 1)
         SELECT cut.m, count(*), count(*) FILTER (WHERE money.m = cut.m)
         FROM money JOIN cut ON money.m >= cut.m GROUP BY cut.m",
        "919.24|236|1",
    );
    // The same people are the m = 2 of a policy whose only cut lies a cent below.
    shop.says(
        "SELECT count(*) FILTER (WHERE m_score(h, '1998-06-30', '{\"rfm\": {\"monetary_cuts\": [919.23]}}') = 2)
         FROM customers",
        "236",
    );
}

#[test]
fn a_day_asked_for_later_sees_what_a_query_of_that_day_saw() {
    let Some(shop) = Shop::cdnow("real_as_of") else { return };
    shop.says(
        &format!(
            "SELECT count(*) FILTER (WHERE (orders(h, as_of), purchase_days(h, as_of), monetary(h, as_of),
                                            first_purchase_on(h, as_of), last_purchase_on(h, as_of))
                                     IS DISTINCT FROM (coalesce(n, 0), coalesce(days, 0), coalesce(m, 0), first, last)),
                    count(*)
             FROM customers CROSS JOIN {CDNOW_DAYS}
             LEFT JOIN (SELECT as_of, customer_id, count(*) AS n, count(DISTINCT ordered_on) AS days, sum(amount) AS m,
                               min(ordered_on) AS first, max(ordered_on) AS last
                        FROM orders JOIN {CDNOW_DAYS} ON ordered_on <= as_of
                        GROUP BY as_of, customer_id) AS o USING (as_of, customer_id)"
        ),
        "0|141420",
    );
}

// ---- CDNOW, the sample ------------------------------------------------------------------------------------------

#[test]
fn the_committed_sample_has_the_published_numbers() {
    let shop = Shop::sample("real_sample");
    shop.says(
        "SELECT count(*), sum(orders(h, '1998-06-30')), sum(monetary(h, '1998-06-30')),
                min(first_purchase_on(h, '1998-06-30')), max(last_purchase_on(h, '1998-06-30'))
         FROM customers",
        "2357|6919|244091.94|1997-01-01|1998-06-30",
    );
    // Fader, Hardie and Lee's summary of the calibration period: x, t_x and T in weeks, the mean repeat purchase.
    shop.says(
        "SELECT sum(x), count(*) FILTER (WHERE x > 0), round(sum(span_days(h, as_of)) / 7.0, 6),
                round(sum(tenure_days(h, as_of)) / 7.0, 6),
                round(avg((monetary(h, as_of) - monetary(h, first_purchase_on(h, as_of))) / nullif(x, 0)), 6)
         FROM (SELECT h, as_of, purchase_days(h, as_of) - 1 AS x FROM customers, (VALUES ('1997-09-30'::date)) AS v (as_of))
              AS c",
        "2457|946|16135.571429|77111.285714|35.077848",
    );
}

#[test]
fn the_committed_sample_holds_the_full_datas_customers() {
    let Some(shop) = Shop::cdnow("real_both") else { return };
    shop.database.psql("CREATE TABLE sample (customer_id int, ordered_on date, amount numeric)");
    shop.database.copy_csv("sample", &file("sql/demo/cdnow_sample.csv"));
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE s.h = c.h)
         FROM customers AS c
         JOIN (SELECT customer_id, purchase_history(ordered_on, amount) AS h FROM sample GROUP BY customer_id) AS s
              USING (customer_id)",
        "2357|2357",
    );
}

#[test]
fn the_r_package_rfm_sees_the_same_recency_orders_and_money() {
    let Some(shop) = Shop::sample_with_r("real_r") else { return };
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE recency_days(h, '1998-06-30') = r.recency_days),
                count(*) FILTER (WHERE orders(h, '1998-06-30') = transaction_count),
                count(*) FILTER (WHERE monetary(h, '1998-06-30') = amount)
         FROM customers JOIN r USING (customer_id)",
        "2357|2357|2357|2357",
    );
}

/// The R package moves each quantile up by one, a day, an order or a dollar, and lets the score begin there: "at least
/// q + 1". With whole days and orders that is our "more than q", so R and F agree where the quantiles are whole. Money has
/// cents: its cut 15.36 puts 15.40 into the lower bin, because that is not 16.36 yet.
#[test]
fn the_scores_of_the_r_package_differ_by_its_shifted_money_cuts_only() {
    let Some(shop) = Shop::sample_with_r("real_r_scores") else { return };
    let policy = |monetary_cuts: &str| {
        format!(
            "'{{\"rfm\": {{\"recency_cuts\": [152, 442, 486, 512], \"frequency_cuts\": [1, 1, 2, 4],
                         \"monetary_cuts\": [{monetary_cuts}]}}}}'::segment_policy AS policy"
        )
    };
    let quantiles = "15.36, 31.958, 59.25, 130.436";
    shop.says(
        &format!(
            "SELECT count(*), count(*) FILTER (WHERE r_score(h, '1998-06-30', policy) = recency_score),
                    count(*) FILTER (WHERE f_score(h, '1998-06-30', policy) = frequency_score),
                    count(*) FILTER (WHERE (m_score(h, '1998-06-30', policy) <> monetary_score)
                                           = EXISTS (SELECT FROM unnest(ARRAY[{quantiles}]) AS q
                                                     WHERE amount > q AND amount < q + 1)),
                    count(*) FILTER (WHERE m_score(h, '1998-06-30', policy) <> monetary_score)
             FROM customers JOIN r USING (customer_id) CROSS JOIN (SELECT {}) AS p",
            policy(quantiles)
        ),
        "2357|2357|2357|2357|83",
    );
    // The package's own cuts, a little lower because our scores begin above a cut and its own begin at it.
    shop.says(
        &format!(
            "SELECT count(*) FILTER (WHERE rfm_score(h, '1998-06-30', policy) = r.rfm_score)
             FROM customers JOIN r USING (customer_id) CROSS JOIN (SELECT {}) AS p",
            policy("16.355, 32.957, 60.245, 131.435")
        ),
        "2357",
    );
}

/// lifetimes counts the purchase days after the first, recency from the first to the last of them and T from the first to
/// the end, in weeks, and averages the repeat days only.
#[test]
fn the_python_package_lifetimes_sees_the_same_repeats_at_both_ends_of_its_periods() {
    let Some(folder) = data("cdnow_sample/ref") else { return };
    let shop = Shop::sample("real_lifetimes");
    shop.database.psql(
        "CREATE TABLE lifetimes (customer_id int, frequency numeric, recency float8, t float8, monetary_value float8)",
    );
    for (file, as_of) in [("lifetimes_rfm_cal_1997-09-30", "1997-09-30"), ("lifetimes_rfm_full_1998-06-30", CDNOW_END)]
    {
        shop.database.copy_csv("lifetimes", &folder.join(format!("{file}.csv.gz")));
        shop.says(
            &format!(
                "SELECT count(*), count(*) FILTER (WHERE days - 1 = frequency),
                        count(*) FILTER (WHERE abs(span / 7.0 - recency) < 1e-9),
                        count(*) FILTER (WHERE abs(tenure / 7.0 - t) < 1e-9),
                        count(*) FILTER (WHERE abs(coalesce(repeats / nullif(days - 1, 0), 0)::float8 - monetary_value) < 1e-9)
                 FROM (SELECT customer_id, purchase_days(h, '{as_of}') AS days, span_days(h, '{as_of}')::float8 AS span,
                              tenure_days(h, '{as_of}')::float8 AS tenure,
                              monetary(h, '{as_of}') - monetary(h, first_purchase_on(h, '{as_of}')) AS repeats
                       FROM customers) AS c
                 JOIN lifetimes USING (customer_id)"
            ),
            "2357|2357|2357|2357|2357",
        );
        shop.database.psql("TRUNCATE lifetimes");
    }
}

// ---- The UCI shop: cancellations --------------------------------------------------------------------------------

/// Within the year, on a day with many cancellations, at the end, after it.
const UCI_DAYS: &str = "(VALUES ('2010-11-30'::date), ('2010-12-01'), ('2011-01-18'), ('2011-03-31'), ('2011-06-30'), \
                        ('2011-11-30'), ('2011-12-09'), ('2012-12-31')) AS asked (as_of)";

#[test]
fn sums_with_refunds_equal_postgres_own_to_the_last_digit() {
    let Some(shop) = Shop::uci("real_uci_sums") else { return };
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE amount < 0), count(DISTINCT customer_id) FROM orders",
        "22190|3654|4372",
    );
    shop.says(
        &format!(
            "SELECT count(*), count(*) FILTER (WHERE monetary(h, as_of) = coalesce(m, 0)),
                    count(*) FILTER (WHERE orders(h, as_of) = coalesce(n, 0)),
                    count(*) FILTER (WHERE purchase_days(h, as_of) = coalesce(days, 0))
             FROM customers CROSS JOIN {UCI_DAYS}
             LEFT JOIN (SELECT as_of, customer_id, sum(amount) AS m, count(*) FILTER (WHERE amount >= 0) AS n,
                               count(DISTINCT ordered_on) FILTER (WHERE amount >= 0) AS days
                        FROM orders JOIN {UCI_DAYS} ON ordered_on <= as_of
                        GROUP BY as_of, customer_id) AS o USING (as_of, customer_id)"
        ),
        "34976|34976|34976|34976",
    );
    // The decimals too: what a customer spent prints as sum(numeric) prints it.
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE monetary(h, '2012-12-31')::text = m::text),
                sum(monetary(h, '2012-12-31')) = sum(m)
         FROM customers JOIN (SELECT customer_id, sum(amount) AS m FROM orders GROUP BY customer_id) AS o
              USING (customer_id)",
        "4372|4372|t",
    );
}

#[test]
fn a_day_of_refunds_only_is_no_purchase_day() {
    let Some(shop) = Shop::uci("real_uci_days") else { return };
    shop.says(
        &format!(
            "WITH day AS (
                 SELECT customer_id, ordered_on, bool_or(amount >= 0) AS bought FROM orders GROUP BY customer_id, ordered_on
             ), expected AS (
                 SELECT as_of, customer_id, max(ordered_on) FILTER (WHERE bought) AS last,
                        min(ordered_on) FILTER (WHERE bought) AS first,
                        max(ordered_on) FILTER (WHERE NOT bought) AS refunds_only
                 FROM day JOIN {UCI_DAYS} ON ordered_on <= as_of GROUP BY as_of, customer_id
             )
             SELECT count(*) FILTER (WHERE (first_purchase_on(h, as_of), last_purchase_on(h, as_of))
                                     IS DISTINCT FROM (first, last)),
                    count(*) FILTER (WHERE (lifecycle_state(h, as_of) = 'prospect') IS DISTINCT FROM (last IS NULL)),
                    count(*) FILTER (WHERE last IS NULL AND refunds_only IS NOT NULL) > 0,
                    count(*) FILTER (WHERE refunds_only > last) > 100
             FROM customers CROSS JOIN {UCI_DAYS} LEFT JOIN expected USING (as_of, customer_id)"
        ),
        "0|0|t|t",
    );
}

/// The default policy: a day of refunds only within 30 days that gave back half of the last purchase day before it or all of
/// an earlier one; or more refunded than paid.
#[test]
fn a_recent_large_refund_is_answered_as_a_complaint() {
    let Some(shop) = Shop::uci("real_uci_actions") else { return };
    shop.says(
        &format!(
            "WITH day AS (
                 SELECT customer_id, ordered_on, bool_or(amount >= 0) AS bought, sum(amount) AS amount
                 FROM orders GROUP BY customer_id, ordered_on
             ), large AS (
                 SELECT r.customer_id, r.ordered_on
                 FROM day AS r JOIN day AS b ON b.customer_id = r.customer_id AND b.ordered_on <= r.ordered_on
                 WHERE r.amount < 0
                 GROUP BY r.customer_id, r.ordered_on, r.bought, r.amount
                 HAVING sum(b.amount) < 0
                        OR NOT r.bought
                           AND (-r.amount >= 0.5 * greatest(0, (array_agg(b.amount ORDER BY b.ordered_on DESC) FILTER (WHERE b.bought))[1])
                                OR bool_or(b.bought AND b.amount = -r.amount))
             ), expected AS (
                 SELECT as_of, customer_id,
                        coalesce(bool_or(as_of - large.ordered_on <= 30), false) OR sum(amount) < 0 AS complains
                 FROM day JOIN {UCI_DAYS} ON ordered_on <= as_of LEFT JOIN large USING (customer_id, ordered_on)
                 GROUP BY as_of, customer_id
             )
             SELECT count(*) FILTER (WHERE (next_action(h, as_of) = 'resolve_complaint')
                                     IS DISTINCT FROM coalesce(complains, false)),
                    count(*) FILTER (WHERE complains) > 300
             FROM customers CROSS JOIN {UCI_DAYS} LEFT JOIN expected USING (as_of, customer_id)"
        ),
        "0|t",
    );
    // At the end of the data: the customers with a day of refunds only within 30 days, who all had an open complaint as long
    // as every refund was one; those of them whose refunds of these days are less than 2 % of what they paid; and how many
    // of both are sent to complaints. Three were given back half of a small last purchase, or all of an early one.
    shop.says(
        "WITH day AS (
             SELECT customer_id, ordered_on, bool_or(amount >= 0) AS bought, sum(amount) AS amount
             FROM orders GROUP BY customer_id, ordered_on
         ), refunded AS (
             SELECT customer_id, coalesce(-sum(amount) FILTER (WHERE NOT bought AND ordered_on >= '2011-11-09')
                                          < 0.02 * sum(amount) FILTER (WHERE bought), false) AS is_small
             FROM day GROUP BY customer_id HAVING bool_or(NOT bought AND ordered_on >= '2011-11-09')
         )
         SELECT count(*), count(*) FILTER (WHERE is_small),
                count(*) FILTER (WHERE next_action(h, '2011-12-09') = 'resolve_complaint'),
                count(*) FILTER (WHERE is_small AND next_action(h, '2011-12-09') = 'resolve_complaint')
         FROM refunded JOIN customers USING (customer_id)",
        "243|168|15|3",
    );
}

#[test]
fn a_time_of_day_changes_nothing() {
    let Some(shop) = Shop::uci("real_uci_times") else { return };
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE o.h = c.h)
         FROM customers AS c
         JOIN (SELECT customer_id, purchase_history(ordered_at, amount) AS h FROM orders GROUP BY customer_id) AS o
              USING (customer_id)",
        "4372|4372",
    );
    // A timestamptz becomes the day that ::date makes of it, in whatever zone the session is. Tokyo is ahead of UTC, and
    // many days there differ; London has a summer time.
    for zone in ["UTC", "Asia/Tokyo", "Europe/London", "America/St_Johns"] {
        shop.says(
            &format!(
                "SET TimeZone = '{zone}';
                 SELECT count(*), count(*) FILTER (WHERE h = of_dates), count(*) FILTER (WHERE h = at_zone)
                 FROM (SELECT purchase_history(ordered_at AT TIME ZONE 'UTC', amount) AS h,
                              purchase_history((ordered_at AT TIME ZONE 'UTC')::date, amount) AS of_dates,
                              purchase_history((ordered_at AT TIME ZONE 'UTC' AT TIME ZONE '{zone}')::date, amount) AS at_zone
                       FROM orders GROUP BY customer_id) AS c"
            ),
            "4372|4372|4372",
        );
    }
}

// ---- Complete Journey: discounts --------------------------------------------------------------------------------

#[test]
fn discounts_are_counted_as_plain_sql_counts_them() {
    let Some(shop) = Shop::journey("real_journey") else { return };
    let days = "(VALUES ('2017-01-01'::date), ('2017-06-30'), ('2017-12-31')) AS asked (as_of)";
    shop.says(
        &format!(
            "SELECT count(*), count(*) FILTER (WHERE discount_share(h, as_of) IS NOT DISTINCT FROM share),
                    count(*) FILTER (WHERE monetary(h, as_of) = coalesce(m, 0)), count(DISTINCT share) > 100
             FROM customers CROSS JOIN {days}
             LEFT JOIN (SELECT as_of, customer_id, sum(amount) AS m,
                               round(avg((retail_disc > 0 OR coupon_disc > 0 OR coupon_match_disc > 0)::int), 6) AS share
                        FROM orders JOIN {days} ON ordered_at < as_of + 1
                        GROUP BY as_of, customer_id) AS o USING (as_of, customer_id)"
        ),
        "7131|7131|7131|t",
    );
    // The aggregate without the third argument does not know.
    shop.says(
        "SELECT count(discount_share(h, '2017-12-31'))
         FROM (SELECT purchase_history(ordered_at, amount) AS h FROM orders GROUP BY customer_id) AS c",
        "0",
    );
}

#[test]
fn a_customer_who_buys_at_a_discount_only_is_dormant_for_that_reason() {
    let Some(shop) = Shop::journey("real_journey_reason") else { return };
    // Nobody complained or sent anything back here, so that the discount is the first reason that can match.
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE (reason = 'discount_only')
                                           = (orders >= 2 AND known_discount_share >= 0.8)),
                count(*) FILTER (WHERE reason = 'discount_only') > 100
         FROM (SELECT dormancy_reason(h, '2018-06-30') AS reason, orders(h, '2018-06-30'),
                      (SELECT avg((greatest(retail_disc, coupon_disc, coupon_match_disc) > 0)::int)
                       FROM orders AS o WHERE o.customer_id = c.customer_id) AS known_discount_share
               FROM customers AS c) AS r",
        "2377|2377|t",
    );
}

/// The retailer's own discount is on most orders, a coupon on few: what counts as a discount decides who came for it only.
#[test]
fn each_kind_of_discount_counts_by_itself() {
    let Some(shop) = Shop::journey("real_journey_kinds") else { return };
    for (discounted, discount_only) in [("retail_disc > 0", 874), ("coupon_disc > 0", 1), ("coupon_match_disc > 0", 0)]
    {
        shop.says(
            &format!(
                "WITH asked (as_of) AS (VALUES ('2017-03-31'::date), ('2017-09-30'), ('2018-06-30')),
                 stored AS (
                     SELECT customer_id, purchase_history(ordered_at, amount, {discounted}) AS h FROM orders GROUP BY customer_id
                 ),
                 plain AS (
                     SELECT as_of, customer_id, count(*) AS orders, round(avg(({discounted})::int), 6) AS share,
                            5 * count(*) FILTER (WHERE {discounted}) >= 4 * count(*) AND count(*) >= 2 AS discount_only
                     FROM asked JOIN orders ON ordered_at < as_of + 1 GROUP BY as_of, customer_id
                 )
                 SELECT count(*), count(*) FILTER (WHERE discount_share(h, as_of) IS NOT DISTINCT FROM share),
                        count(*) FILTER (WHERE (dormancy_reason(h, as_of) = 'discount_only') IS NOT DISTINCT FROM discount_only),
                        count(*) FILTER (WHERE discount_only)
                 FROM asked CROSS JOIN stored LEFT JOIN plain USING (as_of, customer_id)"
            ),
            &format!("7131|7131|7131|{discount_only}"),
        );
    }
}

/// The redemptions come from the campaigns' own file. The orders are a sample of lines, so that few redemptions are on one.
#[test]
fn who_redeemed_a_coupon_has_bought_at_a_discount() {
    let (Some(shop), Some(csv)) =
        (Shop::journey("real_journey_coupons"), data("complete_journey/coupon_redemptions.csv"))
    else {
        return;
    };
    shop.database
        .psql("CREATE TABLE redemptions (customer_id int, coupon_upc numeric, campaign_id int, redeemed_on date)");
    shop.database.copy_csv("redemptions", &csv);
    shop.says(
        "SELECT count(*), count(*) FILTER (WHERE discount_share(h, redeemed_on) > 0)
         FROM (SELECT DISTINCT customer_id, redeemed_on FROM redemptions) AS r
         JOIN (SELECT customer_id, purchase_history(ordered_at, amount, coupon_disc > 0) AS h FROM orders GROUP BY customer_id) AS c
              USING (customer_id)
         WHERE EXISTS (SELECT FROM orders AS o
                       WHERE o.customer_id = r.customer_id AND ordered_at::date = redeemed_on AND coupon_disc > 0)",
        "176|176",
    );
}

// ---- The shops --------------------------------------------------------------------------------------------------

/// A table `orders` of real rows, and `customers (customer_id, h)` with their stored histories.
struct Shop {
    database: Database,
}

impl Shop {
    /// `arguments` of purchase_history.
    fn new(name: &str, columns: &str, csv: &Path, arguments: &str) -> Self {
        let database = Database::new(name);
        database.psql(&format!("CREATE TABLE orders ({columns})"));
        database.copy_csv("orders", csv);
        database.psql(&format!(
            "CREATE INDEX ON orders (customer_id);
             CREATE TABLE customers AS
             SELECT customer_id, purchase_history({arguments}) AS h FROM orders GROUP BY customer_id;
             ANALYZE orders;
             ANALYZE customers"
        ));
        Shop { database }
    }

    /// All of CDNOW, with the quintiles of FIELD.md written into a policy.
    fn cdnow(name: &str) -> Option<Self> {
        let csv = data("cdnow/orders.csv.gz")?;
        let columns = "customer_id int, ordered_on date, quantity int, amount numeric";
        let shop = Shop::new(name, columns, &csv, "ordered_on, amount");
        shop.database.psql(
            r#"CREATE TABLE quintiles AS
               SELECT '{"frequency": "purchase_days",
                        "rfm": {"recency_cuts": [141, 432, 485, 512], "frequency_cuts": [1, 1, 2, 4],
                                "monetary_cuts": [15.36, 31.35, 59.924, 133.95]}}'::segment_policy AS policy"#,
        );
        Some(shop)
    }

    fn sample(name: &str) -> Self {
        let columns = "customer_id int, ordered_on date, amount numeric";
        Shop::new(name, columns, &file("sql/demo/cdnow_sample.csv"), "ordered_on, amount")
    }

    /// The sample and the R package's table `r` of it.
    fn sample_with_r(name: &str) -> Option<Self> {
        let csv = data("cdnow_sample/ref/rpkg_rfm_1998-06-30.csv.gz")?;
        let shop = Shop::sample(name);
        shop.database.psql(
            "CREATE TABLE r (customer_id int, recency_days int, transaction_count int, amount numeric, recency_score int,
                             frequency_score int, monetary_score int, rfm_score int, segment_vignette text,
                             segment_test text)",
        );
        shop.database.copy_csv("r", &csv);
        Some(shop)
    }

    fn uci(name: &str) -> Option<Self> {
        let csv = data("online_retail/orders.csv.gz")?;
        // A cancellation's number begins with C. The day is a column of its own, as in a shop's table.
        let columns = "order_id text, customer_id int, ordered_at timestamp, n_lines int, quantity int, amount numeric, \
                       country text, is_cancel int, ordered_on date GENERATED ALWAYS AS (ordered_at::date) STORED";
        Some(Shop::new(name, columns, &csv, "ordered_on, amount"))
    }

    fn journey(name: &str) -> Option<Self> {
        let csv = data("complete_journey/orders.csv.gz")?;
        // One order's number is written as 4.0128e+10.
        let columns = "order_id numeric, customer_id int, store_id int, ordered_at timestamp, n_lines int, quantity int, \
                       amount numeric, retail_disc numeric, coupon_disc numeric, coupon_match_disc numeric";
        let discounted = "greatest(retail_disc, coupon_disc, coupon_match_disc) > 0";
        Some(Shop::new(name, columns, &csv, &format!("ordered_at, amount, {discounted}")))
    }

    #[track_caller]
    fn says(&self, sql: &str, expected: &str) {
        assert_eq!(self.database.psql(sql).trim_end(), expected, "{sql}");
    }
}
