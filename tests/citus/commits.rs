//! A refresh writes on all workers in one transaction of two phases: each prepares, then the coordinator commits, then each commits
//! what it prepared. Servers die between these here.
//!
//! PostgreSQL waits for a standby after a commit, or what it prepares, is written and before anybody hears of it: with the name of
//! one that is not there a server stops just then.

use std::thread;

use crate::cluster::*;
use crate::common::*;

fn stop_at_commits(server: &mut Client) {
    batch(server, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    batch(server, "SELECT pg_reload_conf()");
}

fn go_on(server: &mut Client) {
    batch(server, "ALTER SYSTEM RESET synchronous_standby_names");
    batch(server, "SELECT pg_reload_conf()");
}

/// Waits until a session of this database stopped at a commit, or at what it prepares.
#[track_caller]
fn wait_for_stop(server: &mut Client) {
    let stopped = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'";
    wait_until("a commit", || count(server, stopped) > 0);
}

/// Kills the coordinator's session that refreshes, with which the whole server starts anew.
fn kill_coordinator(cluster: &Cluster) -> Client {
    let mut client = cluster.client();
    kill(&text(
        &mut client,
        "SELECT pid::text FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE '%refresh_segmentation(''far'')%' AND pid <> pg_backend_pid()",
    ));
    wait_until("the server falls", || client.batch_execute("SELECT").is_err());
    wait_until("the server comes back", || cluster.coordinator_answers());
    cluster.client()
}

fn prepared(cluster: &Cluster, worker: &str) -> i64 {
    let prepared = "SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database()";
    count(&mut cluster.worker(worker), prepared)
}

/// The same orders come to both shops.
fn orders_come(client: &mut Client, first_number: i32) {
    let came =
        "INSERT INTO {}.orders SELECT # + i, i * 3, '2026-06-29', 10.5 + i, false, 1 FROM generate_series(1, 150) AS i";
    for_both(client, &came.replace('#', &first_number.to_string()));
}

#[test]
fn a_commit_in_two_phases_is_done_or_undone_everywhere() {
    let Some(cluster) = Cluster::new("citus_commits") else { return };
    let mut client = cluster.client();
    // What is committed outlives its server.
    let lasts = format!("ALTER DATABASE {} SET synchronous_commit = on", cluster.database.name);
    batch(&mut client, &lasts);
    for worker in &cluster.workers {
        batch(&mut cluster.worker(worker), &format!("SET citus.enable_ddl_propagation = off; {lasts}"));
    }
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    for_both(
        &mut client,
        "SELECT create_segmentation('{}', '{}.orders', as_of => '2026-06-30', order_id => 'order_no', customers => '{}.customers')",
    );
    let [first, second] = [&cluster.workers[0], &cluster.workers[1]];
    let refresh_far = || {
        let mut client = cluster.client();
        client.batch_execute("SELECT refresh_segmentation('far')").is_ok()
    };

    // All workers prepared, and the coordinator died before it committed.
    orders_come(&mut client, 9000);
    stop_at_commits(&mut cluster.worker(second));
    thread::scope(|scope| {
        let refresh = scope.spawn(refresh_far);
        wait_for_stop(&mut cluster.worker(second));
        wait_until("the other one prepares", || prepared(&cluster, first) > 0);
        client = kill_coordinator(&cluster);
        assert!(!refresh.join().expect("the thread ends"), "the refresh failed");
    });
    go_on(&mut cluster.worker(second));
    wait_until("both prepared", || prepared(&cluster, first) * prepared(&cluster, second) > 0);
    batch(&mut client, "SELECT recover_prepared_transactions()");
    assert_eq!(prepared(&cluster, first) + prepared(&cluster, second), 0);
    assert_alike(&mut client, "undone");
    for_both(&mut client, "SELECT refresh_segmentation('{}')");
    assert_alike(&mut client, "after it was undone");

    // The coordinator committed, and died before it told the workers.
    orders_come(&mut client, 10000);
    batch(&mut client, "SELECT refresh_segmentation('near')");
    stop_at_commits(&mut client);
    thread::scope(|scope| {
        let refresh = scope.spawn(refresh_far);
        wait_for_stop(&mut cluster.client());
        client = kill_coordinator(&cluster);
        assert!(!refresh.join().expect("the thread ends"), "nobody knows that it was committed");
    });
    go_on(&mut client);
    assert!(prepared(&cluster, first) > 0 && prepared(&cluster, second) > 0, "the workers wait to be told");
    batch(&mut client, "SELECT recover_prepared_transactions()");
    assert_eq!(prepared(&cluster, first) + prepared(&cluster, second), 0);
    assert_alike(&mut client, "committed after all");

    // The coordinator committed, and a worker died before it heard of it.
    orders_come(&mut client, 11000);
    batch(&mut client, "SELECT refresh_segmentation('near')");
    stop_at_commits(&mut client);
    thread::scope(|scope| {
        let refresh = scope.spawn(refresh_far);
        wait_for_stop(&mut cluster.client());
        cluster.kill_second_worker();
        cluster.start_second_worker();
        go_on(&mut client);
        assert!(refresh.join().expect("the thread ends"), "it is committed");
    });
    assert!(prepared(&cluster, second) > 0, "it was not told");
    let mut client = cluster.client(); // the other one has connections to the worker that died
    batch(&mut client, "SELECT recover_prepared_transactions()");
    assert_eq!(prepared(&cluster, first) + prepared(&cluster, second), 0);
    assert_alike(&mut client, "committed on the worker that died");
}
