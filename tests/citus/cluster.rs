//! A database of each test on all servers of the cluster that `make test-citus` starts.

use crate::common::*;
use postgres::NoTls;
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};

/// The coordinator's database, with workers of the same name, Citus, and pg_rfm in schema `rfm`.
pub struct Cluster {
    pub database: Database,
    /// The folders of the workers' sockets.
    pub workers: Vec<String>,
    /// That of a server that is no worker yet.
    pub spare: String,
}

impl Cluster {
    /// `name` is a part of the database's name; `None`, said in words, where no cluster was started.
    pub fn new(name: &str) -> Option<Self> {
        let Ok(workers) = env::var("PG_RFM_CITUS_WORKERS") else {
            eprintln!("skipped: {name}: `make test-citus` starts a Citus cluster");
            return None;
        };
        let database = Database::empty(name);
        let mut workers: Vec<_> = workers.split_whitespace().map(str::to_owned).collect();
        let spare = workers.pop().expect("there is a spare server");
        let cluster = Cluster { database, workers, spare };
        let name = &cluster.database.name;
        for worker in cluster.workers.iter().chain([&cluster.spare]) {
            batch(&mut cluster.connect(worker, "postgres"), &format!("CREATE DATABASE {name}"));
            batch(&mut cluster.worker(worker), "CREATE EXTENSION citus");
        }
        let mut client = cluster.database.client();
        let host = env::var("PGHOST").expect("the coordinator has a socket");
        batch(&mut client, "CREATE EXTENSION citus");
        batch(&mut client, &format!("SELECT citus_set_coordinator_host('{host}', 5432)"));
        for worker in &cluster.workers {
            batch(&mut client, &format!("SELECT citus_add_node('{worker}', 5432)"));
        }
        batch(
            &mut client,
            &format!(
                "CREATE SCHEMA rfm; CREATE EXTENSION pg_rfm SCHEMA rfm;
                 ALTER DATABASE {name} SET jit = off; ALTER DATABASE {name} SET citus.shard_count = 8"
            ),
        );
        Some(cluster)
    }

    /// A connection to the coordinator that hears no notices. Its search path is its own: Citus gives one of the database to
    /// the workers too.
    pub fn client(&self) -> Client {
        let mut client = quiet(&self.database);
        batch(&mut client, "SET search_path = public, rfm");
        client
    }

    /// A connection to a worker.
    pub fn worker(&self, worker: &str) -> Client {
        self.connect(worker, &self.database.name)
    }

    /// Whether the coordinator takes connections.
    pub fn coordinator_answers(&self) -> bool {
        self.answers(&env::var("PGHOST").expect("the coordinator has a socket"))
    }

    fn answers(&self, server: &str) -> bool {
        Client::connect(&address(server, &self.database.name), NoTls).is_ok()
    }

    /// Kills the second worker and all of its sessions.
    pub fn kill_second_worker(&self) {
        let data = text(&mut self.worker(&self.workers[1]), "SELECT current_setting('data_directory')");
        let postmaster = fs::read_to_string(format!("{data}/postmaster.pid")).expect("the worker runs");
        kill(postmaster.lines().next().expect("its first line is its process"));
    }

    /// Starts it again. Its processes go only when they see that it went.
    pub fn start_second_worker(&self) {
        wait_until("the worker comes back", || {
            Command::new("tests/support/cluster.sh")
                .args(["start", "citus_worker_2"])
                .output()
                .expect("cluster.sh starts");
            self.answers(&self.workers[1])
        });
    }

    fn connect(&self, worker: &str, database: &str) -> Client {
        Client::connect(&address(worker, database), NoTls)
            .unwrap_or_else(|error| panic!("cannot connect to {worker}: {error}"))
    }
}

/// Ends a process that cannot help it.
pub fn kill(process: &str) {
    run(Command::new("kill").args(["-9", process]));
}

/// Waits until it is so, for half a minute at most.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("never: {what}");
}

/// Runs SQL for both schemas of [`SHOP`]: `{}` stands for the schema, and for the segmentation of its tables.
pub fn for_both(client: &mut Client, sql: &str) {
    for place in ["near", "far"] {
        batch(client, &sql.replace("{}", place));
    }
}

fn address(worker: &str, database: &str) -> String {
    let user = env::var("PGUSER").expect("the servers have a user");
    format!("host='{worker}' port=5432 user={user} dbname={database}")
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for worker in self.workers.iter().chain([&self.spare]) {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", self.database.name);
            if let Err(error) = self.connect(worker, "postgres").batch_execute(&drop) {
                eprintln!("database {} stays on {worker}: {error}", self.database.name);
            }
        }
    }
}

/// A shop of which each table is there twice: distributed by customer in schema `far`, and on the coordinator in `near`.
pub const SHOP: &str = r#"
    CREATE SCHEMA near;
    CREATE SCHEMA far;
    CREATE TABLE near.orders AS
    SELECT i AS order_no, (i * 7919 % 331)::bigint AS customer_id, date '2023-01-01' + i * 53 % 1200 AS ordered_at,
           (i * 104729 % 40000) / 100.0 - CASE WHEN i % 23 = 0 THEN 300 ELSE 0 END AS amount,
           i % 5 = 0 AS discounted, i % 3 AS shop_id
    FROM generate_series(1, 4000) AS i;
    CREATE TABLE near.events AS
    SELECT (i * 31 % 331)::bigint AS customer_id, (ARRAY['review', 'point_use', 'complaint'])[1 + i % 3] AS kind,
           date '2024-01-01' + i * 17 % 900 AS happened_at
    FROM generate_series(1, 900) AS i;
    CREATE TABLE near.contacts AS
    SELECT (i * 13 % 400)::bigint AS customer_id, (ARRAY['email', 'sms'])[1 + i % 2] AS channel,
           date '2025-01-01' + i * 7 % 500 AS contacted_at
    FROM generate_series(1, 700) AS i;
    CREATE TABLE near.customers AS
    SELECT i::bigint AS customer_id, (ARRAY['continuing', 'paused', 'ad_hoc'])[1 + i % 3] AS membership,
           'c' || i || '@example.com' AS email, (ARRAY['Tokyo', 'Osaka'])[1 + i % 2] AS prefecture
    FROM generate_series(0, 420) AS i;
    CREATE TABLE far.orders (LIKE near.orders);
    CREATE TABLE far.events (LIKE near.events);
    CREATE TABLE far.contacts (LIKE near.contacts);
    CREATE TABLE far.customers (LIKE near.customers);
    SELECT create_distributed_table('far.' || name, 'customer_id')
    FROM unnest('{orders,events,contacts,customers}'::text[]) AS t (name);
    INSERT INTO far.orders SELECT * FROM near.orders;
    INSERT INTO far.events SELECT * FROM near.events;
    INSERT INTO far.contacts SELECT * FROM near.contacts;
    INSERT INTO far.customers SELECT * FROM near.customers;
    ANALYZE"#;

/// Both segmentations have the same rows in every table and view.
#[track_caller]
pub fn assert_alike(client: &mut Client, when: &str) {
    let relations: Vec<String> = client
        .query("SELECT substring(relation FROM 'far_(.*)$') FROM segmentation_sql('far')", &[])
        .expect("segmentation_sql lists its relations")
        .iter()
        .map(|row| row.get(0))
        .filter(|name| name != "status")
        .collect();
    assert!(relations.len() >= 10, "{relations:?}");
    for name in relations {
        // On shards prospects stand among the histories. Workers know no type of a view's rows.
        let condition = if name == "histories" { "WHERE history IS NOT NULL" } else { "" };
        let [far, near] = ["far", "near"]
            .map(|place| format!("SELECT t::text FROM (SELECT * FROM {place}_{name} {condition} OFFSET 0) AS t"));
        assert_same_rows(client, &format!("{name} {when}"), &far, &near, 0);
    }
    let (far, near) = (text(client, &status("far")), text(client, &status("near")));
    assert_eq!(far, near, "{when}");
}

fn status(place: &str) -> String {
    format!("SELECT concat_ws(' ', as_of, customers, histories_written, policy::text) FROM {place}_status")
}

/// The plan of a query as text.
pub fn plan(client: &mut Client, query: &str) -> String {
    let rows = client.query(&format!("EXPLAIN (VERBOSE, COSTS OFF) {query}"), &[]);
    let rows = rows.unwrap_or_else(|error| panic!("{error:?}: {query}"));
    rows.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
}
