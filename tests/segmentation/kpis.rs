//! KPIs by month, beside targets and costs; what came of campaigns: against plain SQL over the rows of the shop
//! (tests/reference/kpis_by_month.sql), and what is said of rows that no KPI takes.

use crate::common::*;

const DAYS: [&str; 4] = ["2025-06-30", "2025-06-29", "2025-02-28", "2025-05-01"];

/// A random shop with targets for every KPI and month, costs, and two campaigns, with the same figures in plain SQL.
fn random_shop(name: &str, seed: u32, policy: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = quiet(&database);
    batch(
        &mut client,
        &format!(
            "CREATE TABLE public.orders (customer_id bigint, ordered_on date, amount numeric);
             CREATE TABLE public.segmentation AS SELECT date '2025-06-30' AS as_of, {policy}::rfm.segment_policy AS policy;
             {}{}
             SELECT reference.random_shop(150, {seed});
             INSERT INTO public.orders SELECT customer_id, ordered_on, amount FROM reference.orders;
             TRUNCATE reference.engagement; UPDATE reference.customers SET membership = NULL, tracked = false, channels = NULL;
             UPDATE reference.orders SET discounted = NULL, is_purchase = NULL;
             CREATE INDEX ON public.orders (customer_id);
             {}
             CREATE INDEX ON plain.purchases (customer_id);
             CREATE TABLE public.targets (kpi text, of_month timestamp, target double precision);
             INSERT INTO public.targets
             SELECT k.kpi, m + reference.dice(28, {seed}, k.sort_order, m::text) * interval '1 day',
                    reference.dice(100, {seed}, k.sort_order, 'target' || m) * CASE k.unit WHEN 'rate' THEN 0.01 WHEN 'count' THEN 1 ELSE 100 END
             FROM kpis() AS k CROSS JOIN generate_series(timestamp '2024-06-01', '2025-06-01', '1 month') AS m;
             CREATE TABLE public.spent (spent_on date, purpose text, amount integer);
             INSERT INTO public.spent
             SELECT date '2024-05-20' + i * 17 % 400, CASE i % 3 WHEN 0 THEN 'acquisition' ELSE 'reactivation' END, i * 7919 % 9000 FROM generate_series(1, 25) AS i;
             CREATE TABLE public.contacts (customer_id bigint, campaign text, channel text, contacted_on date, \"group\" text);
             INSERT INTO public.contacts
             SELECT c, campaign, CASE WHEN g <> 'holdout' THEN reference.pick(ARRAY['email', 'postal', NULL], {seed}, c, campaign || n) END,
                    date '2024-12-20' + reference.dice(spread, {seed}, c, 'day' || campaign || n) * n,
                    CASE WHEN campaign = 'rolling' AND g = 'letter' THEN NULL ELSE g END
             FROM generate_series(1, 155) AS c
             CROSS JOIN (VALUES ('once', 1), ('rolling', 200), (NULL, 9)) AS v (campaign, spread)
             CROSS JOIN generate_series(1, 2) AS n
             CROSS JOIN LATERAL CAST(CASE WHEN c % 31 = 0 THEN reference.pick(ARRAY['letter', 'holdout'], {seed}, c, 'g' || n)
                                          ELSE reference.pick(ARRAY['letter', 'coupon', 'holdout'], {seed}, c, 'g') END AS text) AS g;
             {}",
            read("tests/reference/segments.sql"),
            read("tests/reference/random_shop.sql"),
            read("tests/reference/kpis.sql"),
            read("tests/reference/kpis_by_month.sql"),
        ),
    );
    batch(
        &mut client,
        &format!(
            "SELECT create_segmentation('shop', 'orders', policy => {policy}, as_of => '2025-06-30', contacts => 'contacts',
                                        campaign_days => 45, costs => 'spent', costs_columns => '{{\"period\": \"spent_on\"}}',
                                        targets => 'targets', targets_columns => '{{\"period\": \"of_month\"}}')"
        ),
    );
    (database, client)
}

#[test]
fn kpis_by_month_equal_plain_sql() {
    for (seed, policy) in [(21, "NULL"), (22, r#"'{"lifecycle": {"cycle": "own"}}'"#)] {
        let (_database, mut client) = random_shop("kpis_by_month", seed, policy);
        for day in DAYS {
            batch(&mut client, &format!("SELECT refresh_segmentation('shop', as_of => '{day}')"));
            let columns =
                "kpi, period, numerator, denominator, actual, actual_low, actual_high, final_on, is_interim, target,
                           target_so_far, on_track";
            let in_view = format!("(date_trunc('month', date '{day}') - interval '12 months')::date AND date '{day}'");
            let found = format!("SELECT {columns} FROM shop_kpis WHERE period BETWEEN {in_view}");
            let expected = format!(
                "SELECT k.* FROM plain.kpis('{day}', (SELECT effective_policy(policy) FROM public.segmentation)) AS k"
            );
            assert_same_rows(&mut client, &format!("seed {seed}, {day}"), &found, &expected, 200);
            // Every target has its row.
            let lost = "SELECT count(*) FROM shop_targets AS t WHERE NOT EXISTS (
                            SELECT FROM shop_kpis AS k WHERE (k.kpi, k.period, k.target) = (t.kpi, t.period, t.target))";
            assert_eq!(count(&mut client, lost), 0, "{day}");
        }
        let judged = "SELECT count(DISTINCT kpi) FROM shop_kpis WHERE on_track IS NOT NULL";
        assert_eq!(count(&mut client, judged), 20);
    }
}

#[test]
fn campaigns_equal_plain_sql() {
    let (_database, mut client) = random_shop("campaigns_plain", 23, "NULL");
    for (day, rows) in
        [("2024-12-19", 0), ("2024-12-25", 5), ("2025-02-28", 15), ("2025-06-30", 15), ("2026-06-30", 15)]
    {
        batch(&mut client, &format!("SELECT refresh_segmentation('shop', as_of => '{day}')"));
        let found = "SELECT campaign, test_group, channel, is_interim, final_on, customers, responders, rate, rate_low, rate_high,
                            revenue, revenue_per_head, lift FROM shop_campaigns";
        assert_same_rows(&mut client, day, found, &format!("SELECT * FROM plain.campaigns('{day}', 45)"), rows);
        // The comparison is that of ab_compare; while a window is open there is no verdict but to go on.
        let verdicts = format!(
            "SELECT count(*) FROM shop_campaigns
             WHERE CASE WHEN channel <> '' OR test_group = 'holdout' THEN verdict IS NOT NULL OR lift IS NOT NULL
                        WHEN final_on > '{day}' THEN verdict IS DISTINCT FROM 'keep_testing'
                        ELSE verdict IS NULL OR verdict_label IS NULL OR lift NOT BETWEEN lift_low AND lift_high END"
        );
        assert_eq!(count(&mut client, &verdicts), 0, "{day}");
        let interim = format!("SELECT count(*) FROM shop_campaigns WHERE is_interim AND final_on <= '{day}'");
        assert_eq!(count(&mut client, &interim), 0, "{day}");
    }
    let open = "SELECT bool_or(is_interim)::text FROM shop_campaigns";
    assert_eq!(text(&mut client, open), "false");
}

/// A small shop whose figures can be read off.
fn small_shop(name: &str) -> (Database, Client) {
    let database = Database::new(name);
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric);
         INSERT INTO orders VALUES (1, '2026-05-01', 100), (1, '2026-06-10', 200), (2, '2026-06-05', 300), (3, '2025-07-01', 50), (3, '2026-06-01', 70);
         CREATE TABLE goals (kpi text, month date, goal numeric);
         INSERT INTO goals VALUES ('revenue', '2026-06-30', 900), ('revenue', '2026-07-01', 5), ('acquisition_cost', '2026-06-01', 40),
                                  ('reactivation_cost', '2026-06-02', 40), ('happiness', '2026-06-01', 4), ('orders', 'infinity', 1),
                                  ('orders', '2026-06-01', 'NaN'), (NULL, '2026-06-01', 1);
         CREATE TABLE spent (month date, purpose text, cost numeric);
         INSERT INTO spent VALUES ('2026-06-01', 'acquisition', 20), ('2026-06-20', 'acquisition', 10), ('2026-06-01', 'reactivation', 50),
                                  ('2026-06-01', 'party', 1), (NULL, 'acquisition', 1)",
    );
    (database, client)
}

#[test]
fn targets_and_costs_stand_side_by_side() {
    let (_database, mut client) = small_shop("kpis_targets");
    batch(
        &mut client,
        "SELECT create_segmentation('shop', 'orders', as_of => '2026-06-20', targets => 'goals', costs => 'spent')",
    );
    let shown = "SELECT string_agg(concat_ws(' ', kpi, period, actual, target_so_far, on_track, is_interim), E'\\n' ORDER BY kpi_order, period)
                 FROM shop_kpis WHERE target IS NOT NULL";
    // 570 of the 600 that are due after 20 of 30 days; one customer acquired for 30, one reactivated for 50.
    assert_eq!(
        text(&mut client, shown),
        "revenue 2026-06-01 570 600.000000 f t\nrevenue 2026-07-01 5 t\nacquisition_cost 2026-06-01 30.000000 40 t t\n\
         reactivation_cost 2026-06-01 50.000000 40 f t\nhappiness 2026-06-01 4 t"
    );
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2026-06-30')");
    let revenue = "SELECT concat_ws(' ', actual, target_so_far, on_track, is_interim) FROM shop_kpis WHERE kpi = 'revenue' AND period = '2026-06-01'";
    assert_eq!(text(&mut client, revenue), "570 900 f f");
    // A target that changes is brought up to date without any new order.
    batch(
        &mut client,
        "UPDATE goals SET goal = 500 WHERE month = '2026-06-30'; SELECT refresh_segmentation('shop', as_of => '2026-06-30')",
    );
    assert_eq!(text(&mut client, revenue), "570 500 t f");
    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'ja')");
    let labels = "SELECT string_agg(kpi_label, ' ' ORDER BY kpi_order) FROM shop_kpis WHERE kpi IN ('revenue', 'reactivated') AND period = '2026-06-01'";
    assert_eq!(text(&mut client, labels), "売上 復活顧客数");
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{targets,costs}', views => '{kpis}')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_kpis WHERE target IS NOT NULL OR kpi LIKE '%cost'"), 0);
    assert_eq!(text(&mut client, "SELECT to_regclass('shop_targets')::text"), "");
}

#[test]
fn what_no_kpi_takes_is_told() {
    let (database, mut client) = small_shop("kpis_audit");
    let found = "SELECT string_agg(concat_ws('|', finding, rows, share, example), E'\\n' ORDER BY finding)
                 FROM audit_orders('orders', targets => 'goals', costs => 'spent', as_of => '2026-06-20') WHERE finding ~ 'target|cost'";
    assert_eq!(
        text(&mut client, found),
        "costs of an unknown purpose|1|0.200000|\"party\" 1\ncosts without a purpose, month or finite amount|1|0.200000|acquisition, 1\n\
         target of an unknown KPI|1|0.125000|\"happiness\" 1\ntarget without a KPI, month or finite value|3|0.375000|2026-06-01, 1"
    );
    let said = database.said("SELECT create_segmentation('shop', 'orders', targets => 'goals', as_of => '2026-06-20')");
    assert!(said.contains("known are: revenue, orders,"), "{said}");
    assert_eq!(said.matches("target of an unknown KPI").count(), 1, "{said}");
    batch(&mut client, "INSERT INTO goals VALUES ('revenue', '2026-06-01', 7)");
    let (sqlstate, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("23505", "segmentation \"shop\": public.goals has several targets of revenue, 2026-06-01")
    );
    assert_eq!(hint, "It must have one row a KPI and month; any day of a month stands for it.");
    for (arguments, sqlstate, message) in [
        ("campaign_days => 0", "22023", "campaign_days is 0"),
        ("campaign_days => 3651", "22023", "campaign_days is 3651"),
        ("campaign_days => 30", "22023", "campaign_days are given without contacts"),
        ("views => '{campaigns}'", "22023", "views has campaigns, but contacts have no campaign"),
        ("targets => 'spent'", "42703", "public.spent has no column that is known to be targets.kpi"),
        ("costs_columns => '{\"amount\": \"x\"}'", "22023", "costs_columns are given without costs"),
    ] {
        let refused = expect_error(&mut client, &format!("SELECT create_segmentation('s', 'orders', {arguments})"));
        assert_eq!((refused.0.as_str(), refused.1.as_str()), (sqlstate, message), "{arguments}");
    }
}

/// All that is odd about targets and costs is said when they are added, and names that no KPI has at each refresh.
#[test]
fn targets_that_are_added_later_are_looked_at() {
    let (database, mut client) = small_shop("kpis_altered");
    batch(
        &mut client,
        "INSERT INTO goals VALUES ('売上', '2026-06-01', 5), ('売上', '2026-07-01', 5), ('F2 within 30 days', '2026-06-01', 0.1), ('Orders', '2026-06-01', 5),
                                  ('f2_within_90_days', '2026-06-01', 40), ('vip_share', '2026-06-01', 1), ('dormant_share', '2026-06-01', 12.5);
         INSERT INTO spent VALUES ('2026-06-01', '広告費', 1), ('2026-07-01', '広告費', 1);
         SELECT create_segmentation('shop', 'orders', as_of => '2026-06-20')",
    );
    let unknown = [
        "shop: target of an unknown KPI: 5 (33.33 %); stands without an actual; known are: revenue, orders, ",
        "for example: \"売上\" 2 (revenue?), \"F2 within 30 days\" 1 (f2_within_30_days?), \"Orders\" 1 (orders?), \"happiness\" 1\n",
        "shop: costs of an unknown purpose: 3 (42.86 %); in no KPI; known are: acquisition, reactivation; \
         for example: \"広告費\" 2 (acquisition?), \"party\" 1\n",
    ];
    let once = [
        "shop: target without a KPI, month or finite value: 3 (20.00 %); ignored",
        "shop: rate target above 1: 2 (13.33 %); a rate of 1 is 100 %: 12.5 = 1250 %; if percent are meant, write: 0.125; \
         for example: dormant_share, 2026-06-01, 12.5\n",
        "shop: costs without a purpose, month or finite amount: 1 (14.29 %)",
    ];
    let said =
        database.said("SELECT rfm.alter_segmentation('shop', targets => 'public.goals', costs => 'public.spent')");
    for part in unknown.iter().chain(&once) {
        assert_eq!(said.matches(part).count(), 1, "{part}: {said}");
    }
    let said = database.said("SELECT rfm.refresh_segmentation('shop')");
    assert!(unknown.iter().all(|part| said.matches(part).count() == 1), "{said}");
    assert!(!said.contains("rate target") && !said.contains("finite"), "{said}");
    let said = database.said("SELECT rfm.alter_segmentation('shop', lang => 'ja')");
    assert!(said.contains("shop: 未知の KPI の目標: 5 (33.33 %); 実績は空欄で示す; 使えるもの: revenue, "), "{said}");
    let said = database.said("SELECT rfm.alter_segmentation('shop', reset => '{targets,costs}')");
    assert!(!said.contains("KPI"), "{said}");
}

/// Each shop has its own targets, costs and campaigns.
#[test]
fn targets_costs_and_campaigns_of_each_tenant() {
    let database = Database::new("kpis_tenants");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (\"Shop\" varchar(20), customer_id int, ordered_on date, amount numeric);
         INSERT INTO orders SELECT CASE WHEN i % 3 = 0 THEN 'north' ELSE 'it''s south' END, i % 29, date '2025-01-01' + i * 71 % 540, i * 7919 % 9000
         FROM generate_series(1, 400) AS i;
         CREATE TABLE goals (\"Shop\" text, kpi text, period date, target numeric);
         INSERT INTO goals SELECT s, kpi, m, length(s) * 7 FROM kpis() AS k, unnest(ARRAY['north', 'it''s south']) AS s,
             generate_series(timestamp '2026-01-01', '2026-09-01', '1 month') AS m;
         INSERT INTO goals VALUES ('closed', 'orders', '2026-06-01', 3), (NULL, 'orders', '2026-06-01', 3);
         CREATE TABLE spent (\"Shop\" text, period date, purpose text, amount numeric);
         INSERT INTO spent SELECT s, m, p, length(s || p) FROM unnest(ARRAY['north', 'it''s south']) AS s, unnest(ARRAY['acquisition', 'reactivation']) AS p,
             generate_series(timestamp '2026-01-01', '2026-06-01', '1 month') AS m;
         CREATE TABLE contacts (\"Shop\" text, customer_id int, channel text, contacted_on date, campaign text, \"group\" text);
         INSERT INTO contacts SELECT CASE WHEN i % 3 = 0 THEN 'north' ELSE 'it''s south' END, i % 29, 'email', date '2026-02-01' + i, 'spring',
             CASE WHEN i % 29 % 4 = 0 THEN 'holdout' ELSE 'letter' END FROM generate_series(1, 100) AS i;
         SELECT create_segmentation('shop', 'orders', tenant => 'Shop', as_of => '2026-06-20', targets => 'goals', costs => 'spent', contacts => 'contacts')",
    );
    assert_eq!(
        text(&mut client, "SELECT concat_ws(' ', kpi, actual, target) FROM shop_kpis WHERE \"Shop\" = 'closed'"),
        "orders 3"
    );
    for shop in ["north", "it''s south"] {
        let of_shop =
            |table: &str| format!("CREATE VIEW one_{table} AS SELECT * FROM {table} WHERE \"Shop\" = '{shop}'");
        let views = ["goals", "spent", "contacts"].map(of_shop).join("; ");
        batch(
            &mut client,
            &format!(
                "{views}; SELECT create_segmentation('alone', 'orders', order_filter => format('o.\"Shop\" = %L', '{shop}'), as_of => '2026-06-20',
                                                    targets => 'one_goals', costs => 'one_spent', contacts => 'one_contacts')"
            ),
        );
        for view in ["kpis", "campaigns"] {
            let found = format!("SELECT to_jsonb(v) - 'Shop' FROM shop_{view} AS v WHERE \"Shop\" = '{shop}'");
            assert_same_rows(&mut client, view, &found, &format!("SELECT to_jsonb(v) FROM alone_{view} AS v"), 3);
        }
        batch(&mut client, "SELECT drop_segmentation('alone'); DROP VIEW one_goals, one_spent, one_contacts");
    }
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2026-06-30')");
}
