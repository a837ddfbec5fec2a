//! Segmentations on shards whose sources are tracked: who is noted, what becomes of the notes, and that a refresh of those who
//! are noted leaves what one server has.

use std::thread;

use crate::cluster::*;
use crate::common::*;
use crate::shards::{LIFE, MORE, assert_changes_alike, create};

/// The shop with both segmentations, tracked, and their first refreshes over, which read everything.
fn tracked_shop(name: &str) -> Option<(Cluster, Client)> {
    let cluster = Cluster::new(name)?;
    let mut client = cluster.client();
    batch(&mut client, "SET citus.enable_unsafe_triggers = on");
    let tracked = ", track => 'trigger'";
    for sql in [SHOP, MORE, &create("near", tracked), &create("far", tracked)] {
        batch(&mut client, sql);
    }
    for _ in 0..2 {
        both(&mut client, "SELECT refresh_segmentation('{}')");
    }
    assert_eq!(rebuilt(&mut client), "false");
    Some((cluster, client))
}

fn both(client: &mut Client, happens: &str) {
    for place in ["near", "far"] {
        batch(client, &happens.replace("{}", place));
    }
}

fn rebuilt(client: &mut Client) -> String {
    text(client, "SELECT rebuilt::text FROM far_status")
}

fn refresh_far(client: &mut Client) {
    batch(client, "SELECT refresh_segmentation('far')");
}

const NOTED: &str =
    "SELECT coalesce(string_agg(DISTINCT changed_source || ' ' || coalesce(customer_id::text, 'everybody'), ', '), '')
                     FROM far_noted";

#[test]
fn every_view_is_that_of_one_server() {
    let Some((_cluster, mut client)) = tracked_shop("citus_tracking_alike") else { return };
    let beside = "SELECT count(DISTINCT colocationid) FROM pg_dist_partition
                  WHERE logicalrelid IN ('far.orders'::regclass, 'far_noted', 'far_customers')";
    assert_eq!(count(&mut client, beside), 1);
    let settings_only = "SELECT refresh_segmentation('{}', as_of => '2026-08-06')";
    let a_month_ends = "INSERT INTO {}.orders VALUES (9998, 3, '2026-08-31', 12, true, 0);
                        SELECT refresh_segmentation('{}', as_of => '2026-09-01')";
    let earlier = "DELETE FROM {}.orders WHERE customer_id = 30; UPDATE {}.orders SET amount = -amount WHERE customer_id = 31;
                   DELETE FROM {}.customers WHERE customer_id = 30; SELECT refresh_segmentation('{}', as_of => '2026-09-01')";
    let steps = LIFE.into_iter().chain([settings_only, a_month_ends, earlier]).enumerate();
    for (place, happens) in steps {
        both(&mut client, happens);
        assert_alike(&mut client, &format!("after change {place}"));
        assert_changes_alike(&mut client, &format!("after change {place}"));
        // Other settings build, and the next refresh reads everything.
        if happens.contains("reset => ") {
            both(&mut client, "SELECT refresh_segmentation('{}', as_of => '2026-07-31')");
        } else {
            assert_eq!(rebuilt(&mut client), "false", "{happens}");
        }
        assert_eq!(text(&mut client, NOTED), "");
    }
}

/// What is noted, and by whom: sessions of the coordinator and of workers, whose writes Citus carries out in the session
/// itself where the shard lies there.
#[test]
fn writers_note_beside_their_rows() {
    let Some((cluster, mut client)) = tracked_shop("citus_tracking_writers") else { return };
    for (happens, noted) in [
        ("BEGIN; UPDATE far.orders SET amount = 5 WHERE customer_id < 90; DELETE FROM far.log; ROLLBACK", ""),
        ("BEGIN; SAVEPOINT a; DELETE FROM far.events WHERE customer_id < 90; ROLLBACK TO a; COMMIT", ""),
        ("UPDATE far.orders SET amount = amount WHERE customer_id = 5000", ""),
        ("UPDATE far.orders SET amount = amount + 1 WHERE customer_id IN (5, 6)", "orders 5, orders 6"),
        ("INSERT INTO far.orders VALUES (9001, NULL, '2026-06-01', 1, false, 1)", "refused"),
        ("INSERT INTO far.customers VALUES (901, 'paused', NULL, 'Osaka')", "customers 901"),
        ("DELETE FROM far.memberships WHERE customer_id = 11", "membership_log 11"),
        ("INSERT INTO far.events SELECT * FROM far.events WHERE customer_id = 31", "engagement 31"),
        // Of a table that is not what it was for a moment, no key is known.
        ("DELETE FROM far.log WHERE customer_id = 13", "contacts everybody"),
    ] {
        if noted == "refused" {
            expect_error(&mut client, happens);
            continue;
        }
        if noted.ends_with("everybody") {
            batch(&mut client, "ALTER TABLE far.log RENAME contacted_at TO at");
            batch(&mut client, happens);
            batch(&mut client, "ALTER TABLE far.log RENAME at TO contacted_at");
        } else {
            batch(&mut client, happens);
        }
        assert_eq!(text(&mut client, NOTED), noted, "{happens}");
        refresh_far(&mut client);
        assert_eq!((rebuilt(&mut client).as_str(), text(&mut client, NOTED).as_str()), ("false", ""), "{happens}");
    }
    thread::scope(|scope| {
        let cluster = &cluster;
        for writer in 0..4 {
            scope.spawn(move || {
                let mut writes = match writer {
                    0 | 1 => cluster.worker(&cluster.workers[writer]),
                    _ => cluster.client(),
                };
                batch(&mut writes, "SET client_min_messages = error");
                for row in 0..30 {
                    let (number, customer) = (20_000 + writer * 100 + row, 1_000 + writer * 100 + row);
                    let values = format!("({number}, {customer}, '2026-06-20', 9, false, 1)");
                    batch(&mut writes, &format!("INSERT INTO far.orders VALUES {values}"));
                }
                batch(&mut writes, "UPDATE far.orders SET amount = 10 WHERE customer_id = 1000");
                batch(
                    &mut writes,
                    "INSERT INTO far.events SELECT 40 + i, 'review', '2026-06-01' FROM generate_series(1, 9) AS i",
                );
            });
        }
        // Refreshes take the notes that are there, and those of others stay.
        for _ in 0..3 {
            refresh_far(&mut client);
            assert_eq!(rebuilt(&mut client), "false");
        }
    });
    refresh_far(&mut client);
    assert_eq!(rebuilt(&mut client), "false");
    assert_eq!(text(&mut client, NOTED), "");
    let found = "SELECT t::text FROM (SELECT * FROM far_customers OFFSET 0) AS t";
    batch(&mut client, &format!("CREATE TEMP TABLE found AS {}", found.replace("t::text", "t::text AS t")));
    batch(&mut client, "SELECT refresh_segmentation('far', \"full\" => true)");
    assert_same_rows(&mut client, "what all orders say", "SELECT t FROM found", found, 500);
}

/// Until they are committed, triggers on shards do not find the notes: whoever writes and refreshes in the transaction that
/// makes them reads everything, and so does the refresh after it.
#[test]
fn one_transaction_makes_writes_and_refreshes() {
    let Some(cluster) = Cluster::new("citus_tracking_one") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    batch(&mut client, MORE);
    batch(&mut client, "SET citus.enable_unsafe_triggers = on");
    let row = "INSERT INTO {}.orders SELECT max(order_no) + 1, i, '2026-06-20', 7, false, 1
               FROM {}.orders, generate_series(1, 20) AS i GROUP BY i";
    for place in ["near", "far"] {
        let made = create(place, ", track => 'trigger'");
        let refresh = format!("SELECT refresh_segmentation('{place}')");
        let row = row.replace("{}", place);
        batch(&mut client, &format!("BEGIN; {made}; {row}; {refresh}; {row}; {refresh}; {row}; COMMIT; {refresh}"));
    }
    assert_alike(&mut client, "after the transaction");
    both(&mut client, row);
    both(&mut client, "SELECT refresh_segmentation('{}')");
    assert_eq!(rebuilt(&mut client), "false");
    assert_alike(&mut client, "after another one");
}

/// Citus puts no triggers for TRUNCATE on shards; from wherever it is called, the next refresh reads everything.
#[test]
fn truncated_tables_are_noticed() {
    let Some((cluster, mut client)) = tracked_shop("citus_tracking_truncate") else { return };
    batch(&mut client, "BEGIN; TRUNCATE far.orders; ROLLBACK");
    refresh_far(&mut client);
    assert_eq!(rebuilt(&mut client), "false");
    batch(&mut cluster.worker(&cluster.workers[0]), "TRUNCATE far.events");
    batch(&mut client, "TRUNCATE near.events");
    both(&mut client, "INSERT INTO {}.events VALUES (3, 'review', '2026-06-01'); SELECT refresh_segmentation('{}')");
    assert_eq!(rebuilt(&mut client), "true");
    assert_alike(&mut client, "after events were truncated by a worker");
    both(&mut client, "BEGIN; TRUNCATE {}.orders; INSERT INTO {}.orders SELECT * FROM near.orders; COMMIT");
    both(
        &mut client,
        "BEGIN; TRUNCATE {}.orders; INSERT INTO {}.orders VALUES (1, 8, '2026-06-20', 5, true, 1);
         SELECT refresh_segmentation('{}'); COMMIT",
    );
    assert_alike(&mut client, "after orders were truncated in the transaction that refreshes");
    refresh_far(&mut client);
    refresh_far(&mut client);
    assert_eq!(rebuilt(&mut client), "false");
}

#[test]
fn notes_and_triggers_move_with_the_shards() {
    let Some((cluster, mut client)) = tracked_shop("citus_tracking_moved") else { return };
    batch(&mut client, "SET citus.enable_unsafe_triggers = off"); // moving takes it not
    let [a, b] = [&cluster.workers[0], &cluster.workers[1]];
    let shard = count(&mut client, "SELECT get_shard_id_for_distribution_column('far.orders', 5)");
    let place = format!("SELECT nodename FROM citus_shards WHERE shardid = {shard}");
    let happens = |row: i32| format!("INSERT INTO {{}}.orders VALUES ({row}, 5, '2026-06-20', 7, false, 1)");
    for (round, mode) in ["block_writes", "force_logical"].into_iter().enumerate() {
        let row = 9100 + 10 * i32::try_from(round).expect("two rounds");
        both(&mut client, &happens(row));
        if round == 0 {
            // Everybody of a source is noted without a key, and moves too.
            batch(&mut client, "ALTER TABLE far.orders RENAME ordered_at TO day");
            batch(&mut client, "UPDATE far.orders SET amount = amount WHERE customer_id = 5");
            batch(&mut client, "ALTER TABLE far.orders RENAME day TO ordered_at");
        }
        let from = text(&mut client, &place);
        let to = if from == *a { b } else { a };
        batch(
            &mut client,
            &format!("SELECT citus_move_shard_placement({shard}, '{from}', 5432, '{to}', 5432, '{mode}')"),
        );
        assert_eq!(text(&mut client, &place), *to);
        both(&mut client, &happens(row + 1));
        let noted = if round == 0 { "orders 5, orders everybody" } else { "orders 5" };
        assert_eq!(text(&mut client, NOTED), noted, "{mode}");
        both(&mut client, "SELECT refresh_segmentation('{}')");
        assert_eq!(rebuilt(&mut client), if round == 0 { "true" } else { "false" }, "{mode}");
        assert_alike(&mut client, mode);
    }
    batch(&mut client, &format!("SELECT citus_add_node('{}', 5432)", cluster.spare));
    batch(&mut client, "SELECT rebalance_table_shards('far.orders', shard_transfer_mode => 'block_writes')");
    both(
        &mut client,
        "UPDATE {}.orders SET amount = amount + 1 WHERE customer_id % 9 = 1; SELECT refresh_segmentation('{}')",
    );
    assert_alike(&mut client, "after a server was added");
    // It holds files of the shop's tables too: everything was read once.
    refresh_far(&mut client);
    assert_eq!(rebuilt(&mut client), "false");
    both(
        &mut client,
        "UPDATE {}.orders SET amount = amount + 1 WHERE customer_id % 9 = 1; SELECT refresh_segmentation('{}')",
    );
    assert_eq!(rebuilt(&mut client), "false");
    assert_alike(&mut client, "on three servers");
}

#[test]
fn triggers_that_are_missing_are_noticed() {
    let Some((cluster, mut client)) = tracked_shop("citus_tracking_missing") else { return };
    let worker = &cluster.workers[0];
    let mut there = cluster.worker(worker);
    let shard = format!(
        "SELECT shard_name FROM citus_shards WHERE table_name = 'far.orders'::regclass AND nodename = '{worker}' LIMIT 1"
    );
    let shard = text(&mut client, &shard);
    let number = shard.rsplit('_').next().expect("a shard has a number");
    let blind = [
        (true, format!("DROP TRIGGER pg_rfm_far_insert_{number} ON {shard}")),
        (true, format!("ALTER TABLE {shard} DISABLE TRIGGER pg_rfm_far_insert_{number}")),
        (false, "ALTER TABLE far.orders DISABLE TRIGGER pg_rfm_far_insert".to_owned()),
    ];
    let row = "INSERT INTO {}.orders SELECT max(order_no) + 1, i, '2026-06-20', 7, false, 1
               FROM {}.orders, generate_series(1, 20) AS i GROUP BY i";
    for (is_of_worker, sql) in &blind {
        batch(if *is_of_worker { &mut there } else { &mut client }, sql);
        both(&mut client, row);
        both(&mut client, "SELECT refresh_segmentation('{}')");
        assert_eq!(rebuilt(&mut client), "true", "{sql}");
        assert_alike(&mut client, sql);
        if !is_of_worker {
            batch(&mut client, "ALTER TABLE far.orders ENABLE TRIGGER pg_rfm_far_insert");
        }
        refresh_far(&mut client);
        refresh_far(&mut client);
        assert_eq!(rebuilt(&mut client), "false", "they are back: {sql}");
    }
    // Where Citus puts no triggers, nothing fails, and all is read.
    batch(&mut there, &format!("DROP TRIGGER pg_rfm_far_delete_{number} ON {shard}"));
    for _ in 0..2 {
        let said = cluster.database.said("SELECT rfm.refresh_segmentation('far')");
        let notice = "far: triggers are missing, and citus.enable_unsafe_triggers is off: every refresh reads all rows";
        assert!(said.contains(notice) && !said.contains("ERROR"), "{said}");
        assert_eq!(rebuilt(&mut client), "true");
    }
    refresh_far(&mut client);
    refresh_far(&mut client);
    refresh_far(&mut client);
    assert_eq!(rebuilt(&mut client), "false");
}

/// To make them takes the setting, to alter what leaves them and to drop them does not. Nothing of them stays on any server.
#[test]
fn dropping_takes_the_triggers_off_everywhere() {
    let Some((cluster, mut client)) = tracked_shop("citus_tracking_dropped") else { return };
    batch(&mut client, "SET citus.enable_unsafe_triggers = off");
    batch(&mut client, "SELECT alter_segmentation('far', lang => 'ja', attributes => '{prefecture}')");
    refresh_far(&mut client);
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT alter_segmentation('far', reset => '{contacts}')");
    assert_eq!(sqlstate, "55000", "{message}");
    let rows = "INSERT INTO far.orders SELECT 9100 + i, i, '2026-06-20', 7, false, 1 FROM generate_series(1, 20) AS i";
    batch(&mut client, rows);
    assert_eq!(count(&mut client, "SELECT count(*) FROM far_noted"), 20, "the refused one left them");
    let left = |cluster: &Cluster, client: &mut Client| {
        let left = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'pg\\_rfm\\_far%')
                           + (SELECT count(*) FROM pg_proc WHERE proname LIKE 'far\\_%')";
        let mut sum = count(client, left);
        for worker in &cluster.workers {
            sum += count(&mut cluster.worker(worker), left);
        }
        sum
    };
    assert!(left(&cluster, &mut client) > 100);
    batch(&mut client, "SELECT alter_segmentation('far', track => 'none')");
    assert_eq!(left(&cluster, &mut client), 0);
    batch(&mut client, rows);
    batch(&mut client, "SET citus.enable_unsafe_triggers = on");
    batch(&mut client, "SELECT alter_segmentation('far', track => 'trigger')");
    assert!(left(&cluster, &mut client) > 100);
    batch(&mut client, "SELECT alter_segmentation('far', reset => '{contacts}')");
    refresh_far(&mut client);
    refresh_far(&mut client);
    assert_eq!(rebuilt(&mut client), "false");
    batch(&mut client, "INSERT INTO far.orders VALUES (1, 1, '2026-06-20', 7, false, 1)");
    batch(&mut client, "SET citus.enable_unsafe_triggers = off");
    batch(&mut client, "BEGIN; SELECT drop_segmentation('far'); ROLLBACK");
    assert_eq!(text(&mut client, NOTED), "orders 1");
    batch(&mut client, "SELECT drop_segmentation('far')");
    assert_eq!(left(&cluster, &mut client), 0);
    batch(&mut client, rows);
}

/// The plans of what a refresh of noted customers does, told by PostgreSQL while it does it.
#[test]
fn every_shard_has_a_task_of_each_command() {
    let Some((cluster, mut client)) = tracked_shop("citus_tracking_plans") else { return };
    batch(&mut client, "INSERT INTO far.orders VALUES (9001, 5, '2026-06-20', 7, false, 1)");
    let said = cluster.database.said(
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;
         SET auto_explain.log_level = notice; SET auto_explain.log_verbose = on;
         SELECT rfm.refresh_segmentation('far', as_of => '2026-07-02')",
    );
    assert_eq!(rebuilt(&mut client), "false");
    let plans: Vec<_> = said.split("NOTICE:").collect();
    for (table, statements) in [
        ("customers", ["INSERT INTO", "DELETE FROM"].as_slice()),
        ("histories", &["INSERT INTO", "DELETE FROM"]),
        ("profiles", &["INSERT INTO", "DELETE FROM"]),
        ("noted", &["INSERT INTO", "DELETE FROM", "UPDATE"]),
    ] {
        for statement in statements {
            let text = format!("Query Text: {statement} public.far_{table} ");
            let mut found = plans.iter().filter(|plan| plan.contains(&text)).peekable();
            assert!(found.peek().is_some(), "{text}\n{said}");
            for plan in found {
                assert!(plan.contains("Custom Scan (Citus Adaptive)") && plan.contains("Task Count: 8"), "{plan}");
                assert!(!plan.contains("INSERT/SELECT"), "{plan}");
            }
        }
    }
}

/// Who owns a segmentation is no superuser, who writes the shop's tables has no right on it, and whoever else has tables beside
/// them notes nothing in it.
#[test]
fn writers_have_no_right_on_notes_and_others_cannot_write_them() {
    let Some(cluster) = Cluster::new("citus_tracking_roles") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    let roles = Roles::create(&cluster.database, &["owner", "writer", "stranger"]);
    let [owner, writer, stranger] = ["owner", "writer", "stranger"].map(|role| roles.name(role));
    let database = &cluster.database.name;
    batch(
        &mut client,
        &format!(
            "ALTER ROLE {owner} LOGIN; ALTER ROLE {writer} LOGIN; ALTER ROLE {stranger} LOGIN;
             GRANT CONNECT ON DATABASE {database} TO {owner}, {writer}, {stranger};
             CREATE SCHEMA segments; GRANT ALL ON SCHEMA segments TO {owner}; ALTER SCHEMA segments OWNER TO {owner};
             CREATE SCHEMA strange; GRANT ALL ON SCHEMA strange TO {stranger};
             GRANT USAGE ON SCHEMA far, rfm TO {owner}, {stranger}; GRANT USAGE ON SCHEMA far TO {writer};
             GRANT USAGE ON SCHEMA segments TO {stranger};
             GRANT SELECT, TRIGGER ON far.orders TO {owner}; GRANT SELECT ON far.customers TO {owner};
             GRANT SELECT, INSERT, UPDATE, DELETE ON far.orders TO {writer}; GRANT SELECT ON far.orders TO {stranger}"
        ),
    );
    let mut owns = roles.client("owner");
    batch(
        &mut owns,
        "SET citus.enable_unsafe_triggers = on;
         SELECT rfm.create_segmentation('far', 'far.orders', order_id => 'order_no', as_of => '2026-06-30',
             customers => 'far.customers', schema => 'segments', track => 'trigger')",
    );
    batch(&mut owns, "SELECT rfm.refresh_segmentation('far')");
    let noted = "SELECT count(*) FROM segments.far_noted";
    let mut writes = roles.client("writer");
    batch(
        &mut writes,
        "INSERT INTO far.orders VALUES (9001, 5, '2026-06-20', 7, false, 1); DELETE FROM far.orders WHERE customer_id = 9",
    );
    let (sqlstate, ..) = expect_error(&mut writes, "DELETE FROM segments.far_noted");
    assert_eq!(sqlstate, "42501");
    assert_eq!(count(&mut owns, noted), 2);

    // The function may be called by nobody else's trigger; on workers, where Citus repeats no REVOKE, it notes nothing.
    let mut strange = roles.client("stranger");
    batch(
        &mut strange,
        "SET citus.enable_unsafe_triggers = on; CREATE TABLE strange.orders AS SELECT * FROM far.orders WHERE false;
         SELECT create_distributed_table('strange.orders', 'customer_id', colocate_with => 'far.orders')",
    );
    let trigger = "CREATE TRIGGER t AFTER INSERT ON strange.orders REFERENCING NEW TABLE AS new_rows
                       EXECUTE FUNCTION segments.far_note_changes('orders')";
    let (sqlstate, ..) = expect_error(&mut strange, trigger);
    assert_eq!(sqlstate, "42501");
    let shards = "SELECT shard_name || ' ' || nodename FROM citus_shards WHERE table_name = 'strange.orders'::regclass";
    let shards: Vec<String> =
        client.query(shards, &[]).expect("shards are listed").iter().map(|row| row.get(0)).collect();
    for shard in &shards {
        let (shard, worker) = shard.split_once(' ').expect("a shard and its place");
        let mut there = cluster.worker(worker);
        let trigger = trigger.replace("strange.orders", shard);
        batch(&mut there, &format!("SET ROLE {stranger}; {trigger}"));
    }
    batch(&mut strange, "SET client_min_messages = error; INSERT INTO strange.orders SELECT * FROM far.orders");
    assert_eq!(count(&mut owns, noted), 2);

    // What the owner may put no triggers on is compared.
    batch(
        &mut client,
        "UPDATE far.customers SET membership = 'withdrawn' WHERE customer_id = 12; DELETE FROM far.customers WHERE customer_id = 390;
         INSERT INTO far.customers VALUES (900, 'paused', NULL, 'Osaka')",
    );
    batch(&mut owns, "SELECT rfm.refresh_segmentation('far')");
    assert_eq!(text(&mut owns, "SELECT rebuilt::text FROM segments.far_status"), "false");
    let membership = "SELECT membership FROM segments.far_customers WHERE customer_id = 12";
    assert_eq!(text(&mut owns, membership), "withdrawn");
    assert_eq!(count(&mut owns, "SELECT count(*) FROM segments.far_customers WHERE customer_id IN (390, 900)"), 1);
    assert_eq!(count(&mut owns, "SELECT orders FROM segments.far_customers WHERE customer_id = 5"), 13);
    batch(&mut owns, "SELECT rfm.drop_segmentation('far')");
    batch(&mut strange, "SET citus.enable_unsafe_triggers = on; DROP TABLE strange.orders");
}

#[test]
fn keys_of_every_type_are_noted() {
    let Some(cluster) = Cluster::new("citus_tracking_keys") else { return };
    let mut client = cluster.client();
    batch(
        &mut client,
        "SET citus.enable_unsafe_triggers = on; CREATE SCHEMA near; CREATE SCHEMA far;
         CREATE DOMAIN code AS text COLLATE \"C\" CHECK (value <> ''); CREATE DOMAIN number AS int NOT NULL",
    );
    for key in ["int", "int2", "numeric", "uuid", "text", "varchar(40)", "text COLLATE \"C\"", "date", "code", "number"]
    {
        let value = match key {
            "uuid" => "('00000000-0000-0000-0000-' || lpad((i % 40)::text, 12, '0'))",
            "date" => "date '2000-01-01' + i % 40",
            _ => "i % 40 + 1",
        };
        let of_type = key.split(" COLLATE").next().expect("a type");
        for place in ["near", "far"] {
            batch(
                &mut client,
                &format!(
                    "CREATE TABLE {place}.orders (customer {key}, ordered_at date, amount int);
                     CREATE TABLE {place}.people (customer {key}, membership text);
                     CREATE TABLE {place}.log (customer {key}, membership text, since timestamptz)"
                ),
            );
            if place == "far" {
                batch(
                    &mut client,
                    "SELECT create_distributed_table('far.' || n, 'customer') FROM unnest('{orders,people,log}'::text[]) AS n",
                );
            }
            batch(
                &mut client,
                &format!(
                    "INSERT INTO {place}.orders SELECT ({value})::{of_type}, date '2026-01-01' + i, i FROM generate_series(1, 90) AS i;
                     INSERT INTO {place}.people SELECT ({value})::{of_type}, 'paused' FROM generate_series(1, 40) AS i;
                     INSERT INTO {place}.log SELECT ({value})::{of_type}, 'continuing', '2026-02-03 10:00Z' FROM generate_series(1, 9) AS i;
                     SELECT create_segmentation('{place}', '{place}.orders', customer => 'customer', as_of => '2026-06-30',
                         customers => '{place}.people', membership_log => '{place}.log', track => 'trigger')"
                ),
            );
            batch(&mut client, &format!("SELECT refresh_segmentation('{place}')"));
            batch(
                &mut client,
                &format!(
                    "INSERT INTO {place}.orders SELECT ({value})::{of_type}, '2026-06-20', i FROM generate_series(3, 5) AS i;
                     DELETE FROM {place}.people WHERE customer IN (SELECT ({value})::{of_type} FROM generate_series(4, 8) AS i);
                     INSERT INTO {place}.log SELECT ({value})::{of_type}, 'withdrawn', now() FROM generate_series(5, 6) AS i;
                     SELECT refresh_segmentation('{place}')"
                ),
            );
        }
        assert_eq!(rebuilt(&mut client), "false", "{key}");
        assert_alike(&mut client, key);
        both(&mut client, "SELECT drop_segmentation('{}'); DROP TABLE {}.orders, {}.people, {}.log");
    }
}

#[test]
fn partitions_are_tracked() {
    let Some(cluster) = Cluster::new("citus_tracking_partitions") else { return };
    let mut client = cluster.client();
    batch(&mut client, "SET citus.enable_unsafe_triggers = on; CREATE SCHEMA near; CREATE SCHEMA far");
    both(
        &mut client,
        "CREATE TABLE {}.orders (customer_id int, ordered_at date, amount int, shop int DEFAULT 1, till int DEFAULT 2) PARTITION BY RANGE (ordered_at);
         CREATE TABLE {}.winter PARTITION OF {}.orders FOR VALUES FROM ('2026-01-01') TO ('2026-04-01')",
    );
    batch(&mut client, "SELECT create_distributed_table('far.orders', 'customer_id')");
    both(
        &mut client,
        "CREATE TABLE {}.spring PARTITION OF {}.orders FOR VALUES FROM ('2026-04-01') TO ('2026-07-01');
         INSERT INTO {}.orders SELECT i % 40, date '2026-01-01' + i, i FROM generate_series(1, 90) AS i",
    );
    both(
        &mut client,
        "SELECT create_segmentation('{}', '{}.orders', as_of => '2026-06-30', first_order => '{shop,till}', track => 'trigger')",
    );
    let attach = "ALTER TABLE {}.orders ATTACH PARTITION {}.winter FOR VALUES FROM ('2026-01-01') TO ('2026-04-01')";
    let write = "INSERT INTO {}.orders SELECT i, date '2026-03-28' + i, i FROM generate_series(1, 9) AS i;
                 UPDATE {}.spring SET amount = amount + 1 WHERE customer_id = 20; INSERT INTO {}.winter VALUES (3, '2026-01-03', 4)";
    for happens in [
        "SELECT 1",
        write,
        "CREATE TABLE {}.summer PARTITION OF {}.orders FOR VALUES FROM ('2026-07-01') TO ('2026-09-01');
         INSERT INTO {}.summer VALUES (50, '2026-07-01', 4)",
        "TRUNCATE {}.spring",
        "ALTER TABLE {}.orders DETACH PARTITION {}.winter",
        attach,
        write,
    ] {
        both(&mut client, happens);
        both(&mut client, "SELECT refresh_segmentation('{}')");
        assert_alike(&mut client, happens);
        both(&mut client, "SELECT refresh_segmentation('{}')");
    }
    both(&mut client, write);
    both(&mut client, "SELECT refresh_segmentation('{}')");
    assert_eq!(rebuilt(&mut client), "false");
    assert_alike(&mut client, "at last");
}
