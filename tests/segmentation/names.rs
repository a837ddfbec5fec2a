//! Whatever schemas, tables, columns, roles and functions are called, their names are only names.

use crate::common::*;
use crate::shop::*;

/// Every name and string is taken as it is. The table `bystander` is what an injection would drop.
#[test]
fn hostile_names_are_only_names() {
    let database = Database::new("segmentation_hostile");
    let mut client = quiet(&database);
    batch(&mut client, "CREATE TABLE bystander (x int)");
    let longest = format!("{}'\"", "x".repeat(45));
    for name in [
        "Order\"s",
        "select",
        "日本語",
        "a'b",
        "a''; DROP TABLE public.bystander; --",
        "a\"; DROP TABLE public.bystander; --",
        "$$x$$ $sql$ $body$",
        "back\\slash %s %I %1$s",
        "{\"a\": [1]}",
        "line\nbreak",
        "/* a comment",
        &longest,
    ] {
        let literal = format!("E'{}'", name.replace('\\', "\\\\").replace('\'', "''"));
        let ident = |prefix: &str| format!("\"{}{}\"", prefix, name.replace('"', "\"\""));
        let quoted = |prefix: &str| literal.replacen("E'", &format!("E'{prefix}"), 1);
        // The filter is SQL: the column is quoted in it.
        let filter = format!("'o.' || quote_ident({}) || ' <> '''''", quoted("customer "));
        let both = |schema: &str, table: &str| format!("format('%I.%I', {}, {})", quoted(schema), quoted(table));
        batch(
            &mut client,
            &format!(
                "CREATE SCHEMA {schema};
                 CREATE TABLE {schema}.{table} ({customer} text, {day} date, {amount} numeric, {discounted} bool, {id} text, {tenant} text,
                     {currency} text);
                 CREATE TABLE {schema}.{people} ({customer} text, {tenant} text, {email} text, {member} text);
                 CREATE TABLE {schema}.{events} ({customer} text, {tenant} text, {kind} text, {day} date);
                 INSERT INTO {schema}.{table} VALUES ({value}, '2026-01-01', 10, false, {value}, {value}, {value});
                 INSERT INTO {schema}.{people} VALUES ({value}, {value}, {value}, 'paused'), ({value} || 2, {value}, NULL, NULL);
                 INSERT INTO {schema}.{events} VALUES ({value}, {value}, 'line_friend', '2026-01-01');
                 SELECT create_segmentation({value}, {orders_text}::regclass, customer => {customer_text}, ordered_at => {day_text},
                     amount => {amount_text}, tenant => {tenant_text}, discounted => {discounted_text}, order_id => {id_text},
                     currency => {currency_text}, track => 'trigger', schema => {schema_text}, as_of => '2026-06-30',
                     order_filter => {filter} || '-- ; DROP TABLE public.bystander',
                     customers => {people_text}::regclass,
                     attributes => ARRAY[{email_text}], first_order => ARRAY[{currency_text}, {discounted_text}],
                     customers_columns => jsonb_build_object('email', {email_text}, 'membership', {member_text}),
                     engagement => {events_text}::regclass,
                     engagement_columns => jsonb_build_object('kind', {kind_text}, 'happened_at', {day_text}));
                 SELECT refresh_segmentation({value});
                 INSERT INTO {schema}.{table} VALUES ({value}, '2026-02-01', 10, false, {value} || 2, {value}, {value});
                 UPDATE {schema}.{table} SET {amount} = 20;
                 SELECT refresh_segmentation({value});
                 SELECT alter_segmentation({value}, time_zone => 'Asia/Tokyo');
                 SELECT count(*) FROM audit_orders({orders_text}::regclass, {customer_text}, {day_text}, {amount_text}, {tenant_text},
                     {discounted_text}, {id_text}, {currency_text}, {filter}, customers => {people_text}::regclass)",
                value = literal,
                schema = ident("schema "),
                schema_text = quoted("schema "),
                table = ident("table "),
                people = ident("people "),
                events = ident("events "),
                orders_text = both("schema ", "table "),
                people_text = both("schema ", "people "),
                events_text = both("schema ", "events "),
                customer = ident("customer "),
                customer_text = quoted("customer "),
                day = ident("day "),
                day_text = quoted("day "),
                amount = ident("amount "),
                amount_text = quoted("amount "),
                discounted = ident("discounted "),
                discounted_text = quoted("discounted "),
                id = ident("id "),
                id_text = quoted("id "),
                tenant = ident("tenant "),
                tenant_text = quoted("tenant "),
                currency = ident("currency "),
                currency_text = quoted("currency "),
                email = ident("email "),
                email_text = quoted("email "),
                member = ident("member "),
                member_text = quoted("member "),
                kind = ident("kind "),
                kind_text = quoted("kind "),
            ),
        );
        let customers = format!(
            "SELECT string_agg(concat_ws(' ', orders, monetary), ', ' ORDER BY orders) FROM {}.\"{}_customers\"",
            ident("schema "),
            name.replace('"', "\"\"")
        );
        assert_eq!(text(&mut client, &customers), "0 0, 2 40", "{name}");
        let listed = format!(
            "SELECT count(*) FROM segmentations WHERE name = {literal} AND customers = 2 AND notes_waiting = 1"
        );
        assert_eq!(count(&mut client, &listed), 1, "{name}");
        assert_eq!(count(&mut client, &format!("SELECT count(*) FROM segmentation_sql({literal})")), 17, "{name}");
        assert_eq!(text(&mut client, &wrong_reads(&literal)), "", "{name}");
        batch(&mut client, &format!("SELECT drop_segmentation({literal}); DROP SCHEMA {} CASCADE", ident("schema ")));
        assert_eq!(count(&mut client, "SELECT count(*) FROM pg_class WHERE relname = 'bystander'"), 1, "{name}");
        assert_eq!(count(&mut client, "SELECT count(*) FROM segmentations"), 0, "{name}");
    }
}

/// Strings that are no names: they end as an error or as a value.
#[test]
fn hostile_strings_in_every_argument() {
    let (_database, mut client) = with_orders("segmentation_strings");
    batch(&mut client, "CREATE TABLE bystander (x int); CREATE TABLE people (customer_id int, email text)");
    let attack = "E'x'' || \"; DROP TABLE public.bystander; -- $$ $sql$ \\\\'";
    let before = objects(&mut client);
    for argument in [
        "customer",
        "ordered_at",
        "amount",
        "tenant",
        "discounted",
        "order_id",
        "currency",
        "time_zone",
        "policy",
        "schema",
        "lang",
        "track",
    ] {
        let (sqlstate, ..) = expect_error(
            &mut client,
            &format!("SELECT create_segmentation('s', 'sales.orders', {argument} => {attack})"),
        );
        assert!(["22023", "42703", "22P02"].contains(&sqlstate.as_str()), "{argument}: {sqlstate}");
        assert_eq!(objects(&mut client), before, "{argument}");
    }
    for call in [
        format!("create_segmentation('s', 'sales.orders', readers => ARRAY[{attack}])"),
        format!(
            "create_segmentation('s', 'sales.orders', customers => 'people', customers_columns => jsonb_build_object('email', {attack}))"
        ),
        format!(
            "create_segmentation('s', 'sales.orders', customers => 'people', customers_columns => jsonb_build_object({attack}, 'email'))"
        ),
        format!("create_segmentation('s', {attack})"),
        format!("alter_segmentation({attack})"),
        format!("audit_orders('sales.orders', customer => {attack})"),
        format!("audit_orders('sales.orders', time_zone => {attack})"),
    ] {
        expect_error(&mut client, &format!("SELECT {call}"));
        assert_eq!(objects(&mut client), before, "{call}");
    }
    batch(&mut client, CREATE);
    let before = objects(&mut client);
    expect_error(&mut client, &format!("SELECT alter_segmentation('shop', reset => ARRAY[{attack}])"));
    expect_error(&mut client, &format!("SELECT alter_segmentation('shop', policy => {attack})"));
    assert_eq!(objects(&mut client), before);
    // The filter is SQL; comments in it end with it, and quotes are its own.
    batch(
        &mut client,
        "SELECT alter_segmentation('shop', order_filter => E'amount > 100 -- only )these\\n AND /* and ) these */ order_no::text <> $$''; --$$ --')",
    );
    let found = count(&mut client, "SELECT sum(orders)::bigint FROM shop_customers");
    assert_eq!(found, count(&mut client, "SELECT count(*) FROM sales.orders WHERE amount > 100"));
}

/// PostgreSQL's own REFRESH CONCURRENTLY builds a name of a quoted one there.
#[test]
fn identifiers_may_all_be_quoted() {
    let (_database, mut client) = shop("segmentation_quoted");
    batch(&mut client, "SET quote_all_identifiers = on");
    batch(&mut client, "INSERT INTO sales.orders SELECT max(order_no) + 1, 2, '2026-06-03', 77 FROM sales.orders");
    refresh(&mut client);
    assert_histories(&mut client);
}

#[test]
fn a_rule_may_be_called_none() {
    let (_database, mut client) = shop("segmentation_rule_none");
    let policy = r#"{"next_action": {"rules": [{"id": "none", "action": "greet", "behavior": "care", "title": "Greet", "when": {"orders": {"at_least": 2}}}]}}"#;
    batch(&mut client, &format!("SELECT alter_segmentation('shop', policy => '{policy}')"));
    let rules = text(
        &mut client,
        "SELECT string_agg(format('%s:%s', action_rule, next_action), ' ' ORDER BY 1) FROM shop_actions",
    );
    assert!(rules.contains("none:greet"), "{rules}");
}

/// Functions of other types in the extension's schema are never called by ours.
#[test]
fn functions_of_our_names_are_not_taken_for_ours() {
    let (database, mut client) = with_orders("segmentation_overloads");
    // Each of ours with text in the place of every type but jsonb: what a bare NULL or literal is taken for.
    batch(&mut client, include_str!("overloads.sql"));
    batch(&mut client, CREATE);
    for call in [
        "refresh_segmentation('shop')",
        "refresh_segmentation('shop', as_of => '2026-05-31')",
        "alter_segmentation('shop', customers => 'people', policy => 'learn')",
        "alter_segmentation('shop', currency => 'customer_id', order_filter => 'customer_id = 1')",
        "alter_segmentation('shop', reset => '{currency,order_filter,policy}')",
        "drop_segmentation('shop')",
    ] {
        batch(
            &mut client,
            &format!(
                "SELECT {call}; SELECT count(customers) FROM segmentations; SELECT FROM audit_orders('sales.orders', customers => 'people')"
            ),
        );
    }
    drop(database);
}

/// Only `public` in lower case is everybody; a role called "PUBLIC" is a role like others.
#[test]
fn a_role_called_public_is_not_everybody() {
    let (database, mut client) = with_orders("segmentation_public");
    let roles = Roles::create(&database, &["other"]);
    batch(&mut client, "DROP ROLE IF EXISTS \"PUBLIC\"");
    let create = |readers: &str| {
        format!("SELECT create_segmentation('shop', 'sales.orders', as_of => '2026-06-30', readers => '{readers}')")
    };
    for readers in ["{PUBLIC}", "{public,Public}"] {
        let (sqlstate, message, hint) = expect_error(&mut client, &create(readers));
        assert_eq!(sqlstate, "42704");
        assert!(
            message.contains("does not exist") && hint.contains("Only public in lower case is everybody"),
            "{hint}"
        );
    }
    let may_read = |role: &str| {
        let sql = format!(
            "SELECT CASE WHEN has_table_privilege('{role}', 'shop_customers', 'SELECT') THEN 'yes' ELSE 'no' END"
        );
        text(&mut quiet(&database), &sql)
    };
    batch(&mut client, "CREATE ROLE \"PUBLIC\"");
    batch(&mut client, &create("{PUBLIC}"));
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["yes", "no"]);
    batch(&mut client, "SELECT alter_segmentation('shop', readers => '{public}')");
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["yes", "yes"]);
    batch(&mut client, "SELECT alter_segmentation('shop', readers => '{PUBLIC}')");
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["yes", "no"]);
    batch(&mut client, "SELECT alter_segmentation('shop', reset => '{readers}')");
    assert_eq!([may_read("PUBLIC"), may_read(&roles.name("other"))], ["no", "no"]);
    batch(&mut client, "DROP ROLE \"PUBLIC\"");
}
