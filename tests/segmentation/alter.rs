//! Altering a segmentation, and the policy it goes by.

use crate::common::*;
use crate::shop::*;

#[test]
fn alter_changes_what_is_given_and_nothing_else() {
    let (_database, mut client) = shop("segmentation_alter");
    let settings = |client: &mut Client| text(client, "SELECT s::text FROM shop_settings AS s");
    let place = "SELECT string_agg(c.oid::text, ',' ORDER BY relname) FROM pg_class AS c WHERE relname LIKE 'shop\\_%' AND relkind = 'm'";
    let (before, stands) = (settings(&mut client), text(&mut client, place));
    batch(&mut client, "SELECT alter_segmentation('shop')");
    assert_eq!(settings(&mut client), before);
    // In place: another policy, day or filter; and back.
    for (change, reset) in [
        ("policy => 'occasional'", "policy"),
        ("order_filter => 'amount > 50'", "order_filter"),
        ("as_of => '2026-01-31'", "as_of"),
    ] {
        batch(&mut client, &format!("SELECT alter_segmentation('shop', {change})"));
        assert_ne!(settings(&mut client), before, "{change}");
        assert_eq!(text(&mut client, place), stands, "{change}: the views stand where they stood");
        batch(&mut client, &format!("SELECT alter_segmentation('shop', reset => '{{{reset}}}')"));
    }
    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'ja')");
    assert_eq!(text(&mut client, place), stands, "another language: the views stand where they stood");
    batch(&mut client, "SELECT alter_segmentation('shop', lang => 'en', as_of => '2026-06-30')");
    assert_eq!(settings(&mut client), before);
    assert_histories(&mut client);
    // With what decides what a row is, everything is made anew, and tracked again.
    for change in [
        "time_zone => 'Asia/Tokyo'",
        "order_id => 'order_no'",
        "track => 'none'",
        "track => 'trigger'",
        "tenant => 'order_no'",
        "reset => '{tenant,order_id}'",
    ] {
        let stood = text(&mut client, place);
        batch(&mut client, &format!("SELECT alter_segmentation('shop', {change})"));
        assert_ne!(text(&mut client, place), stood, "{change}");
        batch(&mut client, "UPDATE sales.orders SET customer_id = customer_id + 1 WHERE order_no % 5 = 0");
        refresh(&mut client);
        let orders = count(&mut client, "SELECT sum(orders)::bigint FROM shop_customers");
        assert_eq!(orders, count(&mut client, "SELECT count(*) FROM sales.orders"), "{change}");
    }
    assert_histories(&mut client);
    assert_eq!(count(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'sales.orders'::regclass"), 4);
}

#[test]
fn policies_by_name_document_or_learned() {
    let (_database, mut client) = with_orders("segmentation_policy");
    let versions = "SELECT string_agg(concat_ws(' ', valid_from, policy), ', ' ORDER BY valid_from) FROM shop_policies";
    let in_force = "SELECT policy::text FROM shop_status";
    batch(&mut client, CREATE);
    assert_eq!(text(&mut client, versions), "2026-06-30 {}");

    // A preset, a document, a stored name with two versions.
    let preset = text(&mut client, "SELECT preset_policy('occasional')::text");
    batch(&mut client, "SELECT alter_segmentation('shop', policy => 'occasional')");
    assert_eq!(text(&mut client, in_force), preset);
    let document = "{\"lifecycle\":{\"dormant_after_days\":77,\"at_risk_after_days\":33}}";
    batch(&mut client, &format!("SELECT alter_segmentation('shop', policy => '{document}', as_of => '2026-07-01')"));
    assert_eq!(text(&mut client, &format!("SELECT (policy = '{document}')::text FROM shop_status")), "true");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 2);
    refresh(&mut client);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 2, "the same policy is no new version");
    batch(
        &mut client,
        "INSERT INTO segment_policies VALUES ('ours', '{\"frequency\": \"orders\"}', '2020-01-01');
         INSERT INTO segment_policies VALUES ('ours', '{}', CURRENT_DATE + 1);
         SELECT alter_segmentation('shop', policy => 'ours', as_of => '2026-07-02')",
    );
    assert_eq!(text(&mut client, in_force), "{\"frequency\":\"orders\"}");
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => CURRENT_DATE + 1)");
    assert_eq!(text(&mut client, in_force), "{}");
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 4);
    // Names that could mean two things are refused.
    for name in ["learn", "occasional"] {
        batch(&mut client, &format!("INSERT INTO segment_policies VALUES ('{name}', '{{}}', CURRENT_DATE + 1)"));
        let (sqlstate, message, _) =
            expect_error(&mut client, &format!("SELECT alter_segmentation('shop', policy => '{name}')"));
        assert!(sqlstate == "22023" && message.contains("ambiguous"), "{message}");
        batch(&mut client, &format!("DELETE FROM segment_policies WHERE name = '{name}'"));
    }
    batch(&mut client, "SELECT drop_segmentation('shop')");

    // Learned once; a refresh keeps it, alter learns anew. An earlier day has its own.
    batch(&mut client, &CREATE.replace("as_of", "policy => 'learn', as_of"));
    let by_hand = |day: &str| {
        format!(
            "SELECT learn_policy(history, '{day}', default_policy())::text FROM shop_histories WHERE orders(history, '{day}') > 0"
        )
    };
    let learned = text(&mut client, in_force);
    assert_eq!(learned, text(&mut client, &by_hand("2026-06-30")));
    batch(&mut client, "DELETE FROM sales.orders WHERE order_no % 3 = 0");
    refresh(&mut client);
    assert_eq!(text(&mut client, in_force), learned);
    batch(&mut client, "SELECT alter_segmentation('shop', time_zone => 'Asia/Tokyo')");
    assert_eq!(text(&mut client, in_force), learned);
    batch(&mut client, "SELECT alter_segmentation('shop', policy => 'learn', as_of => '2025-06-30')");
    let anew = text(&mut client, in_force);
    assert_eq!(anew, text(&mut client, &by_hand("2025-06-30")));
    assert_ne!(anew, learned);
    refresh(&mut client);
    assert_eq!(text(&mut client, in_force), anew);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_policies"), 2);
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{policy}')");
    assert_eq!(text(&mut client, in_force), "{}");
}

/// Learning changes what it learned, and no word of anything else.
#[test]
fn learning_lies_over_the_policy_in_force() {
    let (_database, mut client) = shop("segmentation_learn");
    let in_force = "SELECT policy::text FROM shop_status";
    let ours = r#"{"frequency": "purchase_days", "vip": {"min_orders": 6}, "lifecycle": {"winback_window_days": 45}, "learn": {"method": "mean_sd"}}"#;
    batch(
        &mut client,
        &format!(
            "SELECT alter_segmentation('shop', policy => '{ours}');
             SELECT alter_segmentation('shop', policy => 'learn')"
        ),
    );
    let by_hand = |base: &str| {
        format!(
            "SELECT learn_policy(history, as_of, '{base}')::text FROM shop_histories, shop_status WHERE orders(history, as_of) > 0"
        )
    };
    let learned = text(&mut client, in_force);
    assert_eq!(learned, text(&mut client, &by_hand(ours)));
    let kept =
        "SELECT concat_ws(' ', p ->> 'frequency', p #>> '{vip,min_orders}', p #>> '{lifecycle,winback_window_days}',
                                 left(p #>> '{learned,limits}', 7), p #>> '{learned,customers}' > '0')
                FROM (SELECT policy::jsonb AS p FROM shop_status) AS s";
    assert_eq!(text(&mut client, kept), "purchase_days 6 45 mean_sd t");
    // Anew over what was learned, and over another policy.
    batch(&mut client, "SELECT alter_segmentation('shop', policy => 'learn')");
    assert_eq!(text(&mut client, in_force), learned);
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', policy => 'annual_365');
         SELECT alter_segmentation('shop', policy => 'learn')",
    );
    let preset = text(&mut client, "SELECT preset_policy('annual_365')::text");
    assert_eq!(text(&mut client, in_force), text(&mut client, &by_hand(&preset)));
}
