//! Attributes of customers and of their first orders: what is kept of them, the reports by their values, and what is refused.

use crate::common::*;

/// A random shop of lines: several lines an order, orders on several days, refunds, coupons, several orders a day, what is not
/// known as NULL or empty. Every choice is a digest of the seed.
const SHOP: &str = "
    CREATE TABLE lines (customer_id int, order_no int, at timestamp, amount numeric, product text, medium varchar(9));
    CREATE TABLE people (customer_id int, prefecture text);
    CREATE FUNCTION dice(sides int, what text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
        SELECT ('x' || substr(md5('SEED/' || what), 1, 7))::bit(28)::int % sides
    $$;
    INSERT INTO people
    SELECT i, (ARRAY['tokyo', 'osaka', '大阪', '', NULL])[1 + dice(5, 'p' || i)] FROM generate_series(1, 90) AS i;
    INSERT INTO lines
    SELECT o.customer_id, o.order_no,
           o.at + (CASE dice(6, 'later' || i) WHEN 0 THEN 20 WHEN 1 THEN -1 ELSE 0 END) * interval '1 day'
                + dice(3, 'hour' || i) * interval '1 hour',
           CASE dice(8, 'amount' || i) WHEN 0 THEN -50 WHEN 1 THEN NULL WHEN 2 THEN 0 ELSE 10 * dice(9, 'a' || i) END,
           (ARRAY['soap', 'tea', 'Oil', NULL])[1 + dice(4, 'product' || i)],
           (ARRAY['tv', 'web', ''])[1 + dice(3, 'medium' || i)]
    FROM generate_series(1, 900) AS i
    CROSS JOIN LATERAL (SELECT dice(260, 'order' || i) AS n) AS n
    CROSS JOIN LATERAL (
        SELECT 1 + dice(80, 'customer' || n) + 20 AS customer_id,
               CASE WHEN dice(9, 'number' || n) > 0 THEN n END AS order_no,
               timestamp '2024-01-10' + dice(10, 'day' || n) * interval '53 days'
                   + dice(3, 'days' || n) * interval '1 day' AS at
    ) AS o;
    INSERT INTO lines VALUES (NULL, 1, '2024-01-10', 5, 'tea', 'tv'), (1, 9001, NULL, 5, 'tea', 'tv');";

const SEGMENT: &str = "SELECT create_segmentation('shop', 'lines', customer => 'customer_id', ordered_at => 'at',
    amount => 'amount', order_id => 'order_no', customers => 'people', attributes => '{prefecture}',
    first_order => '{product,medium}', as_of => '2025-09-30', track => 'trigger', time_zone => 'UTC')";

const REPORT: &str =
    "SELECT attribute, value, customers, buyers, orders, revenue, judged_90, second_purchase_90, judged_365,
    second_purchase_365, revenue_365 FROM shop_attributes";

fn expected(day: &str) -> String {
    let body = include_str!("../reference/attributes.sql").replace("$1", &format!("date '{day}'"));
    format!("SELECT * FROM ({body}) AS expected")
}

#[test]
fn attributes_equal_plain_sql_over_random_shops() {
    for seed in 1..=4 {
        let database = Database::new(&format!("attributes_{seed}"));
        let mut client = quiet(&database);
        batch(&mut client, &SHOP.replace("SEED", &seed.to_string()));
        batch(&mut client, SEGMENT);
        for day in ["2025-09-30", "2023-12-31", "2024-01-11", "2024-08-01", "2025-01-12"] {
            batch(&mut client, &format!("SELECT refresh_segmentation('shop', as_of => '{day}')"));
            assert_same_rows(&mut client, &format!("seed {seed}, {day}"), REPORT, &expected(day), 4);
        }
        // By the notes: what was first may be gone, another, or come before.
        batch(
            &mut client,
            "UPDATE lines SET product = 'new', medium = 'post' WHERE order_no % 5 = 0;
             DELETE FROM lines WHERE order_no % 7 = 1;
             INSERT INTO lines SELECT customer_id, 10000 + customer_id, '2024-01-01', 3, 'early', NULL FROM people WHERE customer_id % 4 = 0;
             UPDATE people SET prefecture = 'kyoto' WHERE customer_id % 3 = 0;
             SELECT refresh_segmentation('shop')",
        );
        assert_same_rows(&mut client, &format!("seed {seed}, changed"), REPORT, &expected("2025-09-30"), 8);
        // Anew, it is the same.
        let kept = "SELECT to_jsonb(c) FROM shop_customers AS c";
        batch(
            &mut client,
            &format!("CREATE TABLE kept AS {kept}; SELECT refresh_segmentation('shop', \"full\" => true)"),
        );
        assert_same_rows(&mut client, "full", kept, "SELECT * FROM kept", 90);
    }
}

/// Without order numbers each row is an order.
#[test]
fn rows_that_are_orders_have_first_ones_too() {
    let database = Database::new("attributes_rows");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id text, ordered_on date, amount numeric, product text);
         INSERT INTO orders VALUES
             ('refund first', '2024-01-01', -5, 'refunded'), ('refund first', '2024-01-02', 5, 'bought'),
             ('two a day', '2024-01-01', 5, 'small'), ('two a day', '2024-01-01', 9, 'large'),
             ('alike', '2024-01-01', 5, 'b'), ('alike', '2024-01-01', 5, 'a'), ('alike', '2024-01-01', 5, 'B'),
             ('unknown', '2024-01-01', NULL, 'no amount'), ('no product', '2024-01-01', 5, NULL),
             ('later', '2024-07-01', 5, 'not yet'), ('never', '2024-01-01', -5, 'refunded');
         SELECT create_segmentation('shop', 'orders', first_order => '{product}', as_of => '2024-06-30')",
    );
    let found =
        "SELECT string_agg(concat_ws(': ', customer_id, product), ', ' ORDER BY customer_id) FROM shop_customers";
    assert_eq!(
        text(&mut client, found),
        "alike: B, later, never, no product, refund first: bought, two a day: large, unknown: no amount"
    );
    batch(&mut client, "SELECT refresh_segmentation('shop', as_of => '2024-07-01')");
    assert!(text(&mut client, found).contains("later: not yet"));
}

/// What a report says of a value is what a segmentation of its customers alone says.
#[test]
fn each_value_is_as_if_it_stood_alone() {
    let database = Database::new("attributes_alone");
    let mut client = quiet(&database);
    batch(&mut client, &SHOP.replace("SEED", "7"));
    batch(&mut client, SEGMENT);
    for (attribute, value) in [("prefecture", "大阪"), ("prefecture", "tokyo"), ("product", "soap"), ("medium", "web")]
    {
        batch(
            &mut client,
            &format!(
                "CREATE VIEW theirs AS SELECT c.customer_id, p.prefecture FROM shop_customers AS c LEFT JOIN people AS p USING (customer_id)
                 WHERE c.{attribute} = '{value}';
                 SELECT create_segmentation('alone', 'lines', customer => 'customer_id', ordered_at => 'at', amount => 'amount',
                     order_id => 'order_no', as_of => '2025-09-30', time_zone => 'UTC', customers => 'theirs',
                     order_filter => 'EXISTS (SELECT FROM public.theirs AS t WHERE t.customer_id = o.customer_id)')"
            ),
        );
        for view in ["segments", "movement", "cohorts"] {
            let found = format!(
                "SELECT to_jsonb(v) - 'attribute' - 'value' FROM shop_{view}_by AS v WHERE attribute = '{attribute}' AND value = '{value}'"
            );
            let expected = format!("SELECT to_jsonb(v) FROM alone_{view} AS v");
            assert_same_rows(&mut client, &format!("{view} of {attribute} {value}"), &found, &expected, 3);
        }
        batch(&mut client, "SELECT drop_segmentation('alone'); DROP VIEW theirs");
    }
}

/// The tenant comes first; attributes of the same name and first orders are of each shop.
#[test]
fn reports_by_attribute_are_of_each_tenant() {
    let database = Database::new("attributes_tenants");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (shop text, customer_id int, ordered_on date, amount numeric, product text);
         INSERT INTO orders VALUES ('north', 1, '2024-01-01', 5, 'tea'), ('south', 1, '2024-01-02', 7, 'soap'),
                                   ('south', 2, '2024-01-02', 7, 'tea');
         SELECT create_segmentation('shop', 'orders', tenant => 'shop', first_order => '{product}', as_of => '2024-06-30')",
    );
    for view in ["attributes", "segments_by", "cohorts_by", "movement_by"] {
        let found = format!(
            "SELECT string_agg(DISTINCT concat_ws(' ', shop, attribute, value, customers), ', ') FROM shop_{view}"
        );
        assert_eq!(
            text(&mut client, &found),
            "north product tea 1, south product soap 1, south product tea 1",
            "{view}"
        );
    }
    let keys = "SELECT string_agg(unique_key, '; ' ORDER BY relation) FROM segmentation_sql('shop')
                WHERE relation ~ 'attributes|_by|transitions'";
    assert_eq!(
        text(&mut client, keys),
        "shop, attribute, value; shop, attribute, value, first_month, months_after; \
         shop, attribute, value, from_day, to_day, from_state, to_state; \
         shop, attribute, value, lifecycle_state, rfm_segment; shop, dimension, from_day, to_day, from_value, to_value"
    );
}

/// Any name, any type that makes a dimension, any setting of the session; long and odd values.
#[test]
fn names_types_and_values_may_be_anything() {
    let database = Database::new("attributes_odd");
    let mut client = quiet(&database);
    batch(
        &mut client,
        r#"CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, "it's ""x""; %s $1" text, v char(4), u uuid);
           INSERT INTO orders VALUES (1, '2024-01-01', 5, repeat('x', 5000), 'ab', '00000000-0000-0000-0000-000000000001'),
                                     (2, '2024-01-01', 5, E'a\n''b', NULL, NULL);
           CREATE TYPE size AS ENUM ('small', 'large');
           CREATE DOMAIN code AS varchar(3) CHECK (value <> 'bad');
           CREATE COLLATION numbers (provider = icu, locale = 'und-u-kn-true');
           CREATE TABLE people (customer_id int, since date, is_staff boolean, size size, code code, points numeric, sorted text COLLATE numbers);
           INSERT INTO people VALUES (1, '2024-02-03', true, 'small', 'abc', 1.50, 'x'), (3, 'infinity', NULL, NULL, NULL, NULL, NULL);
           SET DateStyle = 'SQL, DMY';
           SELECT create_segmentation('shop', 'orders', customers => 'people', as_of => '2024-06-30', track => 'trigger',
               attributes => '{since,is_staff,size,code,points,sorted}',
               first_order => ARRAY['it''s "x"; %s $1', 'v', 'u'])"#,
    );
    let values = "SELECT string_agg(concat_ws('=', attribute, left(value, 10), customers), ',' ORDER BY attribute COLLATE \"C\", value COLLATE \"C\")
                  FROM shop_attributes WHERE value <> ''";
    let expected = "code=abc=1,is_staff=true=1,it's \"x\"; %s $1=a\n'b=1,it's \"x\"; %s $1=xxxxxxxxxx=1,points=1.50=1,\
                    since=2024-02-03=1,since=infinity=1,size=small=1,sorted=x=1,u=00000000-0=1,v=ab=1";
    assert_eq!(text(&mut client, values), expected);
    assert_eq!(count(&mut client, "SELECT max(length(value))::bigint FROM shop_attributes"), 200);
    assert_eq!(count(&mut client, "SELECT max(length(\"it's \"\"x\"\"; %s $1\"))::bigint FROM shop_customers"), 5000);
    // Every column has a comment, those of the shop too, whatever they are called.
    let said = "SELECT string_agg(col_description(attrelid, attnum), '; ' ORDER BY attnum) FROM pg_attribute
                WHERE attrelid = 'shop_customers'::regclass AND attname IN ('since', 'it''s \"x\"; %s $1')";
    assert_eq!(
        text(&mut client, said),
        "Attribute of the customer, as in public.people.; Of the customer's first order, as in public.orders; NULL for a prospect."
    );
    let silent = "SELECT count(*) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
                  WHERE c.relname ~ '^shop_(attributes|.*_by|transitions|first_orders)$' AND a.attnum > 0
                      AND col_description(attrelid, attnum) IS NULL";
    assert_eq!(count(&mut client, silent), 0);
    let since = "SELECT concat(since, pg_typeof(since), pg_typeof(code)) FROM shop_customers WHERE customer_id = 1";
    batch(&mut client, "SET DateStyle = 'ISO, YMD'");
    assert_eq!(text(&mut client, since), "2024-02-03datecharacter varying");
    batch(&mut client, "SELECT refresh_segmentation('shop', \"full\" => true)");
    assert_eq!(text(&mut client, values), expected);
    // A column of another type is said; a longer text is none.
    batch(
        &mut client,
        "ALTER TABLE people ALTER code TYPE varchar(20); UPDATE people SET code = 'longer' WHERE customer_id = 1",
    );
    batch(&mut client, "SELECT refresh_segmentation('shop')");
    batch(&mut client, "ALTER TABLE people ALTER points TYPE text");
    let (state, message, hint) = expect_error(&mut client, "SELECT refresh_segmentation('shop')");
    assert_eq!(
        (state.as_str(), message.as_str()),
        ("42804", "segmentation \"shop\": columns have another type than before: points")
    );
    assert!(hint.contains("alter_segmentation('shop')"), "{hint}");
    batch(&mut client, "SELECT alter_segmentation('shop')");
    // A person who is erased at the sources is gone from what is kept.
    batch(
        &mut client,
        "DELETE FROM orders WHERE customer_id = 1; DELETE FROM people WHERE customer_id = 1; SELECT refresh_segmentation('shop')",
    );
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_first_orders WHERE customer_id = 1"), 0);
    assert_eq!(count(&mut client, "SELECT count(*) FROM shop_attributes WHERE value IN ('longer', 'small')"), 0);
}

#[test]
fn what_cannot_be_an_attribute_is_refused() {
    let database = Database::new("attributes_refused");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, product text, orders text, at timestamptz);
         CREATE TABLE people (customer_id int, prefecture text, product text, place point);",
    );
    for (arguments, state, says) in [
        ("attributes => '{prefecture}'", "22023", "attributes are given without customers"),
        (
            "customers => 'people', attributes => '{nowhere}'",
            "42703",
            "public.people has no column nowhere, which is named in attributes",
        ),
        ("customers => 'people', attributes => '{NULL}'", "22023", "a name in attributes is NULL"),
        (
            "customers => 'people', attributes => '{ctid}'",
            "42703",
            "public.people has no column ctid, which is named in attributes",
        ),
        (
            "customers => 'people', attributes => '{product}', first_order => '{product}'",
            "22023",
            "attribute product is named twice",
        ),
        ("first_order => '{product,product}'", "22023", "attribute product is named twice"),
        (
            "first_order => '{customer_id}'",
            "22023",
            "an attribute is called like a key column or a column of ours: customer_id",
        ),
        ("first_order => '{orders}'", "22023", "an attribute is called like a key column or a column of ours: orders"),
        (
            "customers => 'people', attributes => '{place}'",
            "42804",
            "column place of public.people is point, which cannot be an attribute",
        ),
        (
            "first_order => '{at}'",
            "42804",
            "column at of public.orders is timestamp with time zone, which cannot be an attribute",
        ),
        ("views => '{segments_by}'", "22023", "views names segments_by, which takes attributes or first_order"),
    ] {
        let (found, message, hint) =
            expect_error(&mut client, &format!("SELECT create_segmentation('shop', 'orders', {arguments})"));
        assert_eq!(found, state, "{arguments}: {message}");
        assert!(message.ends_with(says), "{arguments}: {message}");
        assert!(!hint.is_empty(), "{arguments}");
    }
}

/// Moves between states are the same with transitions and without them.
#[test]
fn movement_is_a_part_of_the_transitions() {
    let database = Database::new("attributes_moves");
    let mut client = quiet(&database);
    batch(&mut client, &SHOP.replace("SEED", "6"));
    batch(&mut client, SEGMENT);
    batch(
        &mut client,
        "CREATE TABLE kept AS SELECT * FROM shop_movement; CREATE TABLE told AS SELECT * FROM shop_transitions;
         SELECT alter_segmentation('shop', views => '{movement}')",
    );
    assert_same_rows(&mut client, "movement", "SELECT * FROM shop_movement", "SELECT * FROM kept", 10);
    // Everybody who moved has moved in each dimension.
    let sums =
        "SELECT dimension, to_day, sum(customers), sum(revenue_before), sum(revenue_after) FROM told GROUP BY 1, 2";
    let of_states = "SELECT d, to_day, sum(customers), sum(revenue_before), sum(revenue_after) FROM kept
                     CROSS JOIN unnest('{lifecycle_state,rfm_segment,vip_tier}'::text[]) AS d GROUP BY 1, 2";
    assert_same_rows(&mut client, "sums", sums, of_states, 36);
    let by_hand = "
        SELECT d.from_day, d.to_day, coalesce(rfm_segment(f.history, d.from_day), 'prospect'), rfm_segment(f.history, d.to_day), count(*)
        FROM shop_facts AS f CROSS JOIN (SELECT DISTINCT from_day, to_day FROM kept) AS d
        WHERE orders(f.history, d.to_day) > 0 GROUP BY 1, 2, 3, 4";
    let found = "SELECT from_day, to_day, from_value, to_value, customers FROM told WHERE dimension = 'rfm_segment'";
    assert_same_rows(&mut client, "segments", found, by_hand, 12);
    let label = "SELECT string_agg(DISTINCT to_label, ',' ORDER BY to_label) FROM told WHERE dimension = 'vip_tier' AND to_value = 'regular'";
    assert_eq!(text(&mut client, label), "Regular");
}

#[test]
fn the_audit_looks_at_attributes() {
    let database = Database::new("attributes_audit");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, product text);
         INSERT INTO orders SELECT i, '2024-01-01', 5, CASE WHEN i > 300 THEN 'p' || i END FROM generate_series(1, 1200) AS i;
         CREATE TABLE people (customer_id int, prefecture text);
         INSERT INTO people VALUES (1, ''), (2, NULL), (3, 'tokyo'), (4, 'tokyo'), (5, 'tokyo')",
    );
    let audit = |arguments: &str| {
        format!(
            "SELECT string_agg(concat_ws(' ', finding, rows, share, example), '; ' ORDER BY finding, example)
             FROM audit_orders('orders', as_of => '2024-06-30'{arguments}) WHERE finding ~ 'attribute'"
        )
    };
    assert_eq!(text(&mut client, &audit("")), "");
    assert_eq!(
        text(&mut client, &audit(", customers => 'people', attributes => '{prefecture}', first_order => '{product}'")),
        "attribute not known 1197 0.997500 prefecture; attribute not known 300 0.250000 product"
    );
    batch(&mut client, "UPDATE orders SET product = customer_id");
    assert_eq!(
        text(&mut client, &audit(", first_order => '{product}'")),
        "attribute with many values 1200 1.000000 product"
    );
}

/// Who has no value is counted as the report counts her: customers, not rows, with refunds, lines, days to come and people
/// without a row of their own.
#[test]
fn attributes_that_are_not_known_are_counted_as_in_the_report() {
    let database = Database::new("attributes_unknown");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, order_no int, ordered_at timestamptz, amount double precision, product text, \"Medium\" int);
         INSERT INTO orders
         SELECT i % 90, i / 3, timestamptz '2024-01-01' + i * 37 % 500 * interval '11 hours', i * 7919 % 900 - 200,
                CASE WHEN i * 31 % 7 > 2 THEN 'p' || i % 5 WHEN i % 2 = 0 THEN '' END, nullif(i % 4, 0)
         FROM generate_series(1, 400) AS i;
         UPDATE orders SET customer_id = order_no % 90;
         INSERT INTO orders SELECT i, 1000 + i, '2025-01-01', CASE WHEN i % 2 = 0 THEN 5 ELSE -5 END, NULL, NULL FROM generate_series(80, 120) AS i;
         CREATE TABLE people (customer_id int, prefecture text);
         INSERT INTO people SELECT i, CASE WHEN i % 3 = 0 THEN 'tokyo' WHEN i % 3 = 1 THEN '' END FROM generate_series(50, 150) AS i",
    );
    for number in ["", ", order_id => 'order_no'"] {
        for day in ["2024-03-01", "2024-06-30", "2025-06-30"] {
            let arguments = format!(
                "'orders', as_of => '{day}', time_zone => 'Asia/Tokyo', customers => 'people', attributes => '{{prefecture}}',
                 first_order => '{{product,Medium}}', order_filter => 'amount < 690'{number}"
            );
            batch(&mut client, &format!("SELECT create_segmentation('shop', {arguments})"));
            let found = format!(
                "SELECT btrim(example, '\"'), rows, share FROM audit_orders({arguments}) WHERE finding = 'attribute not known'"
            );
            let expected = "SELECT attribute, sum(customers) FILTER (WHERE value = ''),
                                   round(sum(customers) FILTER (WHERE value = '') / sum(customers), 6)
                            FROM shop_attributes GROUP BY attribute";
            assert_same_rows(&mut client, &format!("{day}{number}"), &found, expected, 3);
            batch(&mut client, "SELECT drop_segmentation('shop')");
        }
    }
    // What no history takes is a finding of its own.
    batch(
        &mut client,
        "INSERT INTO orders VALUES (1, 1, 'infinity', 'NaN', NULL, 1), (2, 2, NULL, 'infinity', NULL, 1), (3, 3, '2024-01-01', 'NaN', NULL, 1)",
    );
    let found = "SELECT count(*) FROM audit_orders('orders', first_order => '{product}', order_id => 'order_no')
                 WHERE finding IN ('attribute not known', 'not a number', 'infinite date')";
    assert_eq!(count(&mut client, found), 3);
}

/// Only the columns that are named are read, with the rights of the owner; a reader reads the reports and no table behind them.
#[test]
fn only_named_columns_are_read() {
    let database = Database::new("attributes_rights");
    let roles = Roles::create(&database, &["analyst", "reader"]);
    let mut client = quiet(&database);
    batch(
        &mut client,
        &roles.say(
            "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, no int, product text, secret text);
             INSERT INTO orders VALUES (1, '2024-01-01', 5, 1, 'tea', 's');
             CREATE TABLE people (customer_id int, prefecture text, secret text);
             INSERT INTO people VALUES (1, 'tokyo', 's');
             CREATE SCHEMA reports; GRANT ALL ON SCHEMA reports TO @analyst; GRANT USAGE ON SCHEMA rfm, public TO @analyst;
             GRANT USAGE ON SCHEMA reports, rfm TO @reader;
             GRANT SELECT (customer_id, ordered_on, amount, no, product) ON orders TO @analyst;
             GRANT SELECT (customer_id, prefecture) ON people TO @analyst",
        ),
    );
    let mut analyst = roles.client("analyst");
    let create = |first_order: &str, attributes: &str| {
        roles.say(&format!(
            "SELECT create_segmentation('shop', 'public.orders', schema => 'reports', as_of => '2024-06-30', order_id => 'no',
                 customers => 'public.people', readers => '{{@reader}}', first_order => '{first_order}', attributes => '{attributes}')"
        ))
    };
    for sql in [create("{secret}", "{prefecture}"), create("{product}", "{secret}")] {
        let (state, message, _) = expect_error(&mut analyst, &sql);
        assert_eq!(state, "42501", "{message}");
    }
    batch(&mut analyst, &create("{product}", "{prefecture}"));
    batch(&mut analyst, "SELECT refresh_segmentation('shop')");
    let mut reader = roles.client("reader");
    let seen = "SELECT string_agg(attribute || '=' || value, ',' ORDER BY attribute) FROM reports.shop_attributes";
    assert_eq!(text(&mut reader, seen), "prefecture=tokyo,product=tea");
    for view in ["segments_by", "movement_by", "cohorts_by", "transitions"] {
        count(&mut reader, &format!("SELECT count(*) FROM reports.shop_{view}"));
    }
    let (state, _, _) = expect_error(&mut reader, "SELECT * FROM reports.shop_first_orders");
    assert_eq!(state, "42501");
}

/// A dump brings back what is kept, and a refresh goes on from there.
#[test]
fn attributes_are_dumped_and_restored() {
    let database = Database::new("attributes_dump");
    let mut client = quiet(&database);
    batch(&mut client, &SHOP.replace("SEED", "5"));
    batch(&mut client, SEGMENT);
    let dump = run(program("pg_dump").arg(&database.name));
    let restored = Database::new("attributes_restored");
    let script = String::from_utf8(dump).expect("UTF-8").replace("CREATE SCHEMA public;", "");
    restored.psql(&format!("DROP EXTENSION pg_rfm; DROP SCHEMA rfm; {script}"));
    let mut other = quiet(&restored);
    assert_same_rows(&mut other, "restored", REPORT, &expected("2025-09-30"), 8);
    batch(&mut other, "UPDATE lines SET product = 'new' WHERE order_no % 5 = 0; SELECT refresh_segmentation('shop')");
    assert_same_rows(&mut other, "refreshed", REPORT, &expected("2025-09-30"), 8);
}

/// They are set, changed and set back like other arguments; the views that need them come and go.
#[test]
fn attributes_are_altered_and_reset() {
    let database = Database::new("attributes_altered");
    let mut client = quiet(&database);
    batch(
        &mut client,
        "CREATE TABLE orders (customer_id int, ordered_on date, amount numeric, product text, medium text);
         INSERT INTO orders VALUES (1, '2024-01-01', 5, 'tea', 'tv');
         CREATE TABLE people (customer_id int, prefecture text);
         SELECT create_segmentation('shop', 'orders', as_of => '2024-06-30', attributes => '{}', first_order => '{}')",
    );
    let made = "SELECT coalesce(string_agg(relation, ',' ORDER BY relation), '') FROM segmentation_relations
                WHERE relation ~ '_by$|attributes|first_orders'";
    assert_eq!(text(&mut client, made), "");
    batch(&mut client, "SELECT alter_segmentation('shop', first_order => '{medium}')");
    assert_eq!(
        text(&mut client, made),
        "shop_attributes,shop_cohorts_by,shop_first_orders,shop_movement_by,shop_segments_by"
    );
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', customers => 'people', attributes => '{prefecture}', views => '{attributes}')",
    );
    assert_eq!(text(&mut client, made), "shop_attributes,shop_first_orders");
    let seen = "SELECT string_agg(attribute || '=' || value, ',' ORDER BY attribute) FROM shop_attributes";
    assert_eq!(text(&mut client, seen), "medium=tv,prefecture=");
    // Without the table its columns are no attributes any more.
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{customers}')");
    assert_eq!(text(&mut client, seen), "medium=tv");
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{first_order,views}')");
    assert_eq!(text(&mut client, made), "");
    batch(&mut client, "SELECT drop_segmentation('shop')");
}
