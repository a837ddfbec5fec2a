//! One version of pg_rfm on all servers.

use crate::cluster::*;
use crate::common::*;

#[test]
fn another_version_on_a_worker_is_named() {
    let Some(cluster) = Cluster::new("citus_versions") else { return };
    let mut client = cluster.client();
    batch(&mut client, SHOP);
    batch(&mut client, "SELECT create_segmentation('s', 'far.orders', as_of => '2026-06-30', views => '{}')");
    let versions = "SELECT count(DISTINCT result) FROM run_command_on_workers($$
                        SELECT extversion FROM pg_extension WHERE extname = 'pg_rfm'$$)";
    assert_eq!(count(&mut client, versions), 1);
    let worker = &cluster.workers[1];
    let set = |version: &str| {
        batch(
            &mut cluster.worker(worker),
            &format!("UPDATE pg_extension SET extversion = '{version}' WHERE extname = 'pg_rfm'"),
        );
    };
    let own = text(&mut client, "SELECT extversion::text FROM pg_extension WHERE extname = 'pg_rfm'");
    set("0.0.9");
    for call in [
        "SELECT refresh_segmentation('s')",
        "SELECT create_segmentation('t', 'far.orders')",
        "SELECT alter_segmentation('s', lang => 'ja')",
    ] {
        let (sqlstate, message, hint) = expect_error(&mut client, call);
        assert_eq!(sqlstate, "55000", "{message}");
        let expected = format!("worker {worker}:5432 has another pg_rfm than the coordinator: 0.0.9, not {own}");
        assert!(message.ends_with(&expected), "{message}");
        assert!(hint.contains("ALTER EXTENSION pg_rfm UPDATE"), "{hint}");
    }
    // Whoever has nothing there does not care.
    batch(&mut client, "SELECT create_segmentation('here', 'near.orders', as_of => '2026-06-30', views => '{}')");
    set(&own);
    batch(&mut client, "SELECT refresh_segmentation('s')");
}
