//! The worked example of sql/examples/ab.

use super::*;

fn example(name: &str) -> Database {
    let database = Database::new(name);
    for part in ["shop.sql", "views.sql"] {
        database.psql(&read(&format!("sql/examples/ab/{part}")));
        if part == "shop.sql" {
            database.psql("CREATE TABLE public.report_day AS SELECT date '2025-11-30' AS as_of");
        }
    }
    database
}

/// After a change: PG_RFM_UPDATE=1 make test ARGS="--test specification ab::example".
#[test]
fn the_report_prints_what_is_committed() {
    let printed = example("ab_report").psql(&read("sql/examples/ab/report.sql"));
    let printed = trimmed(&printed);
    assert_recorded("sql/examples/ab/report.out", &printed);
}

/// The figures of the views, counted in plain SQL from the orders.
#[test]
fn campaign_figures_are_those_of_plain_sql() {
    let database = example("ab_campaigns");
    let plain = |day: &str| {
        format!(
            "UPDATE report_day SET as_of = '{day}';
             WITH judged AS (
                 SELECT m.campaign, ab_group(m.customer_id, m.campaign, c.groups) AS grp,
                        (SELECT count(*) FROM orders AS o WHERE o.customer_id = m.customer_id
                             AND o.ordered_on >= m.begins_on AND o.ordered_on < m.begins_on + c.window_days) AS orders,
                        (SELECT sum(amount) FROM orders AS o WHERE o.customer_id = m.customer_id
                             AND o.ordered_on >= m.begins_on AND o.ordered_on < m.begins_on + c.window_days) AS revenue
                 FROM campaign_customers AS m JOIN campaigns AS c USING (campaign)
                 WHERE m.begins_on + c.window_days <= date '{day}' + 1)
             SELECT campaign, grp, count(*), count(*) FILTER (WHERE orders > 0), sum(revenue)
             FROM judged GROUP BY campaign, grp ORDER BY campaign, grp"
        )
    };
    let view = "SELECT campaign, grp, (result).customers, (result).responders, (result).revenue
                FROM campaign_groups WHERE (result).customers > 0 ORDER BY campaign, grp";
    for (day, groups) in [("2025-07-30", 0), ("2025-07-31", 3), ("2025-11-30", 5), ("2026-01-01", 7)] {
        let expected = database.psql(&plain(day));
        assert_eq!(expected.lines().count(), groups, "{day}");
        assert_eq!(database.psql(view), expected, "{day}");
    }
    // Cost and gain of one group, by hand.
    let by_hand = "SELECT count(*) FROM campaign_kpi AS k JOIN campaigns AS c USING (campaign) JOIN campaign_groups AS h
                       ON h.campaign = k.campaign AND h.is_control JOIN campaign_groups AS g ON g.campaign = k.campaign AND g.grp = k.grp
                   WHERE k.cost = c.contact_cost * k.customers AND k.cost_per_reactivated = round(k.cost / k.reactivated, 2)
                     AND abs(k.gain - ((g.result).revenue - (h.result).revenue * k.customers / (h.result).customers - k.cost)) < 0.01
                     AND (k.lift <= 0 OR abs(k.cost_per_one_more * k.lift * k.customers - k.cost) < 0.01 * k.lift * k.customers)";
    assert_eq!(database.psql(by_hand), "4\n");
}
