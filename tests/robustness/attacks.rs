//! What somebody tries who owns the schema, was granted something, or holds a lock at the right moment.

use std::thread;
use std::time::Duration;

use crate::common::*;

/// A shop of superusers with a role that attacks it, and a table in which code of hers says whose rights it had.
struct Scene {
    database: Database,
    mallory: String,
}

impl Scene {
    fn new(name: &str) -> (Self, Client) {
        let database = Database::new(name);
        let mallory = format!("{}_mallory", database.name);
        let scene = Scene { database, mallory };
        let mut client = scene.client("postgres");
        batch(
            &mut client,
            &scene.say(
                "CREATE ROLE @; GRANT USAGE ON SCHEMA rfm TO @;
                 CREATE SCHEMA attacks AUTHORIZATION @;
                 CREATE TABLE attacks.gained (rights text); GRANT SELECT, INSERT ON attacks.gained TO PUBLIC;
                 GRANT USAGE ON SCHEMA attacks TO PUBLIC;
                 CREATE FUNCTION attacks.gain() RETURNS text LANGUAGE sql VOLATILE
                     AS 'INSERT INTO attacks.gained SELECT current_user RETURNING rights';
                 CREATE FUNCTION attacks.gain_by_trigger() RETURNS trigger LANGUAGE plpgsql
                     AS 'BEGIN PERFORM attacks.gain(); RETURN NULL; END';
                 CREATE SCHEMA shop; CREATE SCHEMA reports;
                 CREATE TABLE shop.orders (customer_id int, ordered_at date, amount numeric);
                 INSERT INTO shop.orders SELECT i % 20, date '2026-01-01' + i, 100 FROM generate_series(1, 100) AS i",
            ),
        );
        (scene, client)
    }

    fn say(&self, sql: &str) -> String {
        sql.replace('@', &self.mallory)
    }

    fn client(&self, role: &str) -> Client {
        let mut client = self.database.client();
        batch(&mut client, &format!("SET client_min_messages = error; SET ROLE {role}"));
        client
    }

    /// Whose rights code of Mallory's had, besides her own.
    fn gained(&self) -> Vec<String> {
        let gained = self.say("SELECT rights FROM attacks.gained WHERE rights <> '@'");
        self.client("postgres").query(&gained, &[]).expect("it can be read").iter().map(|row| row.get(0)).collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let database = &self.database.name;
        let sql =
            self.say(&format!("ALTER DATABASE {database} OWNER TO postgres; DROP OWNED BY @ CASCADE; DROP ROLE @"));
        if let Err(error) = self.client("postgres").batch_execute(&sql) {
            eprintln!("{} stays: {error}", self.mallory);
        }
    }
}

const CREATE: &str =
    "SELECT create_segmentation('s', 'shop.orders', schema => 'reports', as_of => '2026-06-30', track => 'trigger')";

/// The schema is given away after the segmentation was made: its new owner replaces the table that the trigger function writes.
#[test]
fn notes_are_not_written_to_a_table_of_the_schemas_owner() {
    let (scene, mut client) = Scene::new("attack_notes");
    batch(&mut client, CREATE);
    batch(&mut client, "SELECT refresh_segmentation('s'); SELECT refresh_segmentation('s')");
    batch(&mut client, &scene.say("ALTER SCHEMA reports OWNER TO @"));
    let mut mallory = scene.client(&scene.mallory);
    batch(
        &mut mallory,
        "DROP TABLE reports.s_noted; CREATE TABLE reports.s_noted (customer_id int, taken boolean, noted_at timestamptz);
         GRANT ALL ON reports.s_noted TO PUBLIC;
         CREATE TRIGGER evil BEFORE INSERT ON reports.s_noted FOR EACH ROW EXECUTE FUNCTION attacks.gain_by_trigger()",
    );
    // The shop goes on writing.
    batch(&mut client, "INSERT INTO shop.orders VALUES (500, '2026-06-01', 7); TRUNCATE shop.orders");
    assert_eq!(scene.gained(), [""; 0]);
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_noted"), 0);
    // Whoever owns the schema is not trusted any more; once she is, what was not noted is found.
    assert_eq!(expect_error(&mut client, "SELECT refresh_segmentation('s')").0, "42501");
    batch(&mut client, "INSERT INTO shop.orders VALUES (500, '2026-06-01', 7)");
    batch(
        &mut client,
        "ALTER SCHEMA reports OWNER TO postgres; DROP TABLE reports.s_noted; SELECT refresh_segmentation('s')",
    );
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_customers"), 1);
    for customers in [2, 3] {
        batch(
            &mut client,
            &format!("INSERT INTO shop.orders VALUES ({customers}, '2026-06-01', 7); SELECT refresh_segmentation('s')"),
        );
        assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_customers"), customers);
    }
    assert_eq!(scene.gained(), [""; 0]);
}

/// A trigger that somebody put on the notes with a granted right does not run either.
#[test]
fn triggers_on_the_notes_do_not_run() {
    let (scene, mut client) = Scene::new("attack_trigger");
    batch(&mut client, CREATE);
    batch(
        &mut client,
        &scene.say("GRANT USAGE ON SCHEMA reports TO @; GRANT ALL ON ALL TABLES IN SCHEMA reports TO @"),
    );
    let mut mallory = scene.client(&scene.mallory);
    for table in ["noted", "settings", "status", "policies", "histories", "changes"] {
        batch(
            &mut mallory,
            &format!(
                "CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON reports.s_{table}
                 FOR EACH STATEMENT EXECUTE FUNCTION attacks.gain_by_trigger()"
            ),
        );
        batch(&mut client, "INSERT INTO shop.orders VALUES (500, '2026-06-01', 7)");
        for call in [
            "refresh_segmentation('s')",
            "alter_segmentation('s', time_zone => 'Asia/Tokyo')",
            "drop_segmentation('s')",
        ] {
            let (sqlstate, message, _) = expect_error(&mut client, &format!("SELECT {call}"));
            assert_eq!(sqlstate, "42501", "{table} {call}: {message}");
            let expected = format!("segmentation \"s\": reports.s_{table} has triggers that are not of pg_rfm: evil");
            assert_eq!(message, expected, "{call}");
        }
        batch(&mut client, &format!("TABLE segmentations; DROP TRIGGER evil ON reports.s_{table}"));
        assert_eq!(scene.gained(), [""; 0], "{table}");
    }
    batch(&mut client, "SELECT refresh_segmentation('s')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_customers"), 21);
}

/// The table is replaced by a view in a transaction that ends while the reader waits for its lock. The schema belongs to a role
/// that the reader is a member of, and so trusts; another member is Mallory.
#[test]
fn what_is_read_is_locked_and_checked_first() {
    let (scene, mut client) = Scene::new("attack_swap");
    let [analyst, team] = ["analyst", "team"].map(|role| format!("{}_{role}", scene.mallory));
    batch(
        &mut client,
        &scene.say(&format!(
            "CREATE ROLE {team}; CREATE ROLE {analyst} IN ROLE {team}; GRANT {team} TO @; GRANT USAGE ON SCHEMA rfm TO {analyst};
             GRANT USAGE ON SCHEMA shop TO {analyst}; GRANT SELECT, TRIGGER ON shop.orders TO {analyst}"
        )),
    );
    for table in ["settings", "status", "noted"] {
        for call in [
            "TABLE rfm.segmentations",
            "SELECT * FROM rfm.segmentation_sql('s')",
            "SELECT rfm.refresh_segmentation('s')",
            "SELECT rfm.alter_segmentation('s', time_zone => 'Asia/Tokyo')",
            "SELECT rfm.drop_segmentation('s')",
        ] {
            batch(
                &mut client,
                &format!(
                    "DROP SCHEMA reports CASCADE; CREATE SCHEMA reports AUTHORIZATION {team};
                          GRANT USAGE, CREATE ON SCHEMA reports TO {analyst}"
                ),
            );
            let mut reader = scene.client(&analyst);
            batch(&mut reader, &CREATE.replace("SELECT ", "SELECT rfm."));
            let mut mallory = scene.client(&scene.mallory);
            batch(
                &mut mallory,
                &format!(
                    "BEGIN; DROP TABLE reports.s_{table} CASCADE;
                     CREATE VIEW reports.s_{table} AS
                     SELECT attacks.gain() AS name, 1 AS settings_version, 'shop.orders' AS orders, 'trigger' AS track,
                            current_date AS as_of, 1::bigint AS customers,
                            now() AS refreshed_at, 1 AS seconds, 1 AS customer_id, true AS taken;
                     GRANT ALL ON reports.s_{table} TO PUBLIC"
                ),
            );
            let reading = thread::spawn(move || reader.batch_execute(call));
            thread::sleep(Duration::from_millis(150));
            batch(&mut mallory, "COMMIT");
            let _ = reading.join().expect("it does not panic");
            assert_eq!(scene.gained(), [""; 0], "{table}: {call}");
        }
    }
    let roles = format!("{analyst}, {team}");
    batch(&mut client, &format!("DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}"));
}

/// Where others could replace what is made, nothing is made.
#[test]
fn a_schema_of_others_is_refused() {
    let (scene, mut client) = Scene::new("attack_schema");
    let analyst = format!("{}_analyst", scene.mallory);
    batch(
        &mut client,
        &scene.say(&format!(
            "CREATE ROLE {analyst}; GRANT USAGE ON SCHEMA rfm, shop TO {analyst}; GRANT SELECT, TRIGGER ON shop.orders TO {analyst};
             CREATE SCHEMA hers AUTHORIZATION @; GRANT ALL ON SCHEMA hers, reports TO {analyst}"
        )),
    );
    let create = |schema: &str, track: &str| {
        format!(
            "SELECT rfm.create_segmentation('s', 'shop.orders', schema => '{schema}', as_of => '2026-06-30', track => '{track}')"
        )
    };
    for role in ["postgres", &analyst] {
        let (sqlstate, message, hint) = expect_error(&mut scene.client(role), &create("hers", "none"));
        assert_eq!(sqlstate, "42501", "{message}");
        let expected = scene.say("schema hers belongs to @, who could replace what is in it and so act as ");
        assert!(message.starts_with(&expected) && message.ends_with(role), "{message}");
        assert!(hint.contains("CREATE SCHEMA"), "{hint}");
        // One that belongs to a superuser.
        batch(&mut scene.client(role), &create("reports", "trigger"));
        batch(&mut scene.client(role), "SELECT rfm.drop_segmentation('s')");
    }
    // One of a role that she is a member of.
    batch(&mut client, &scene.say(&format!("GRANT @ TO {analyst}")));
    batch(&mut scene.client(&analyst), &format!("{}; SELECT rfm.drop_segmentation('s')", create("hers", "trigger")));

    // public belongs to the owner of the database from PostgreSQL 14 on.
    if count(&mut client, "SELECT current_setting('server_version_num')::bigint") >= 140_000 {
        let database = &scene.database.name;
        batch(
            &mut client,
            &scene
                .say(&format!("ALTER SCHEMA public OWNER TO pg_database_owner; ALTER DATABASE {database} OWNER TO @")),
        );
        assert_eq!(expect_error(&mut client, &create("public", "none")).0, "42501");
    }
    // Superusers do not track what belongs to others.
    batch(&mut client, &scene.say("ALTER TABLE shop.orders OWNER TO @"));
    let (sqlstate, message, hint) = expect_error(&mut client, &create("reports", "trigger"));
    assert_eq!(
        (sqlstate.as_str(), message.as_str()),
        ("42501", "a superuser cannot track what belongs to others: shop.orders")
    );
    assert!(hint.contains("track => 'none'"), "{hint}");
    batch(&mut client, &create("reports", "none"));
    batch(&mut client, &format!("DROP OWNED BY {analyst} CASCADE; DROP ROLE {analyst}"));
}

// ---- Writes that no trigger of ours sees ---------------------------------------------------------------------------

/// What a subscription fills, or a parent that is not tracked, is read anew by every refresh, and that is said.
#[test]
fn writes_that_fire_no_triggers_are_not_missed() {
    let (scene, mut client) = Scene::new("attack_unseen");
    batch(
        &mut client,
        "CREATE TABLE shop.all_orders (customer_id int, ordered_at date, amount numeric) PARTITION BY RANGE (ordered_at);
         ALTER TABLE shop.all_orders ATTACH PARTITION shop.orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    );
    batch(&mut client, CREATE);
    batch(&mut client, "SELECT refresh_segmentation('s')");
    batch(&mut client, "INSERT INTO shop.all_orders VALUES (500, '2026-06-01', 7); SELECT refresh_segmentation('s')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_customers"), 21);
    let unseen = scene.database.said("SELECT refresh_segmentation('s')");
    let expected = "s: shop.orders cannot be tracked: what is written through shop.all_orders fires no triggers of its children; every refresh reads all orders";
    assert!(unseen.contains(expected), "{unseen}");
    batch(&mut client, "ALTER TABLE shop.all_orders DETACH PARTITION shop.orders");
    batch(&mut client, "SELECT refresh_segmentation('s'); SELECT refresh_segmentation('s')");
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_status WHERE NOT rebuilt"), 1);

    // A subscription without a publisher does for the catalog.
    batch(
        &mut client,
        "CREATE SUBSCRIPTION incoming CONNECTION 'dbname=nowhere' PUBLICATION outgoing WITH (connect = false);
         INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT oid, 'shop.orders'::regclass, 'r' FROM pg_subscription WHERE subname = 'incoming';
         SET session_replication_role = replica; INSERT INTO shop.orders VALUES (501, '2026-06-01', 7); RESET session_replication_role",
    );
    let unseen = scene.database.said("SELECT refresh_segmentation('s')");
    let expected = "s: shop.orders cannot be tracked: a logical subscription fills it, which fires no triggers of statements; every refresh reads all orders";
    assert!(unseen.contains(expected), "{unseen}");
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_customers"), 22);
    assert_eq!(count(&mut client, "SELECT count(*) FROM reports.s_status WHERE rebuilt"), 1);
    batch(&mut client, "ALTER SUBSCRIPTION incoming SET (slot_name = NONE); DROP SUBSCRIPTION incoming");
}

/// Rows of a view of somebody else are not written, whatever one's rights: its definition and its indexes run what its owner put
/// there. Nor does a function of Mallory's in the definition, in an index or in the query of keys do what outlives the refresh
/// or find its way to other rights, where the owner trusted her with one.
#[test]
fn rows_of_views_are_written_as_their_owner_in_a_restricted_operation() {
    let (scene, mut client) = Scene::new("attack_rows");
    let mut mallory = scene.client(&scene.mallory);
    batch(
        &mut mallory,
        "CREATE TABLE attacks.o (a int, b int); INSERT INTO attacks.o VALUES (1, 1);
         CREATE MATERIALIZED VIEW attacks.v AS SELECT a, b, attacks.gain() AS g FROM attacks.o WITH NO DATA;
         CREATE UNIQUE INDEX ON attacks.v (a); REFRESH MATERIALIZED VIEW attacks.v",
    );
    let (sqlstate, message, _) = expect_error(&mut client, "SELECT rfm.refresh_rows('attacks.v', 'SELECT 1 AS a')");
    assert_eq!((sqlstate.as_str(), message.as_str()), ("42501", "\"v\" belongs to somebody else"));
    let write = "SELECT rfm._write_view_rows('attacks.v'::regclass, 'SELECT ctid, ''keep'', * FROM attacks.v', NULL)";
    assert_eq!(expect_error(&mut client, write).0, "42501");
    // Nor is it told in a table of somebody else who changed in a view of one's own.
    batch(
        &mut client,
        "CREATE MATERIALIZED VIEW shop.v AS SELECT 'x' AS a; CREATE UNIQUE INDEX ON shop.v (a); CREATE SEQUENCE shop.ids",
    );
    batch(
        &mut mallory,
        "CREATE TABLE attacks.told (change_id bigint, changed_at timestamptz, as_of date, a text DEFAULT attacks.gain(), what text,
             from_value text, to_value text, CHECK (attacks.gain() <> what));
         GRANT ALL ON attacks.told TO PUBLIC;
         CREATE TRIGGER evil BEFORE INSERT ON attacks.told FOR EACH ROW EXECUTE FUNCTION attacks.gain_by_trigger()",
    );
    for told in ["attacks.told", "attacks.v", "shop.v", "shop.ids"] {
        let tell = format!(
            "SELECT rfm._write_watched_rows('shop.v'::regclass, 'SELECT ctid, ''update'', ''y''::text FROM shop.v', NULL, '{{a}}',
                                            '{told}'::regclass, 'shop.ids'::regclass, '2026-06-30', NULL)"
        );
        let expected = if told == "attacks.told" { "42501" } else { "42809" };
        assert_eq!(expect_error(&mut client, &tell).0, expected, "{told}");
    }
    assert_eq!(scene.gained(), [""; 0]);

    // What her function may try, called from each place.
    batch(&mut client, "CREATE TABLE shop.o (a int, b int); INSERT INTO shop.o VALUES (1, 1), (2, 2)");
    for attempt in [
        &scene.say("SET ROLE @"),
        "RESET ROLE",
        "SET SESSION AUTHORIZATION DEFAULT",
        "CREATE TEMP TABLE stays (a int)",
        "DECLARE stays CURSOR WITH HOLD FOR SELECT 1",
    ] {
        batch(
            &mut mallory,
            // What an index calls has to say that it is immutable; what that calls need not.
            &format!(
                "CREATE OR REPLACE FUNCTION attacks.attempt() RETURNS void LANGUAGE plpgsql VOLATILE AS
                 $$ BEGIN EXECUTE '{attempt}'; END $$;
                 CREATE OR REPLACE FUNCTION attacks.try(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
                 $$ BEGIN IF i >= 2 THEN PERFORM attacks.attempt(); END IF; RETURN i; END $$"
            ),
        );
        for (definition, index, keys) in [
            ("a, attacks.try(b) AS b", "b", "SELECT a FROM shop.o"),
            ("a, b", "attacks.try(b)", "SELECT a FROM shop.o"),
            ("a, b", "b) WHERE (attacks.try(b) > 0", "SELECT a FROM shop.o"),
            ("a, b", "b", "SELECT attacks.try(a + 1) AS a FROM shop.o"),
        ] {
            batch(
                &mut client,
                &format!(
                    "DROP MATERIALIZED VIEW IF EXISTS shop.v; UPDATE shop.o SET b = 1;
                     CREATE MATERIALIZED VIEW shop.v AS SELECT {definition} FROM shop.o;
                     CREATE UNIQUE INDEX ON shop.v (a); CREATE INDEX ON shop.v ({index}); UPDATE shop.o SET b = 5"
                ),
            );
            let sql = format!("SELECT rfm.refresh_rows('shop.v', '{keys}')");
            let (sqlstate, message, _) = expect_error(&mut client, &sql);
            assert!(
                matches!(sqlstate.as_str(), "42501" | "42P11"),
                "{attempt}, {definition}, {index}, {keys}: {message}"
            );
        }
    }
    // Through search_path nothing of hers is found, and the caller's own is as it was.
    batch(
        &mut mallory,
        "CREATE FUNCTION attacks.lower(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT attacks.gain()';
         CREATE FUNCTION attacks.same(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT attacks.gain() IS NULL';
         CREATE OPERATOR attacks.= (FUNCTION = attacks.same, LEFTARG = int, RIGHTARG = int)",
    );
    batch(
        &mut client,
        "CREATE FUNCTION shop.small(int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower($1::text); END';
         DROP MATERIALIZED VIEW shop.v; CREATE MATERIALIZED VIEW shop.v AS SELECT a, b, shop.small(b) AS t FROM shop.o;
         CREATE UNIQUE INDEX ON shop.v (a); CREATE INDEX ON shop.v (shop.small(b)); UPDATE shop.o SET b = 9;
         SET search_path = attacks, pg_catalog; SELECT rfm.refresh_rows('shop.v', 'SELECT a FROM shop.o WHERE a = 1')",
    );
    assert_eq!(text(&mut client, "SHOW search_path"), "attacks, pg_catalog");
    batch(&mut client, "RESET search_path");
    assert_eq!(text(&mut client, "SELECT t FROM shop.v WHERE a OPERATOR(pg_catalog.=) 1"), "9");
    assert_eq!(scene.gained(), [""; 0]);
}
