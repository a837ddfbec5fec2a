//! Queries, their answers and their errors.

use postgres::Client;
use postgres::types::FromSqlOwned;

/// Executes `sql` and panics with the server's whole error.
#[track_caller]
pub fn batch(client: &mut Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql) {
        match error.as_db_error() {
            Some(error) => panic!("{error:#?}\n{sql}"),
            None => panic!("{error}\n{sql}"),
        }
    }
}

/// SQLSTATE, message and hint (empty where there is none) of the error that `sql` must give.
/// Also checks that the session goes on after it.
#[track_caller]
pub fn expect_error(client: &mut Client, sql: &str) -> (String, String, String) {
    let error = match client.batch_execute(sql) {
        Ok(()) => panic!("no error: {sql}"),
        Err(error) => error,
    };
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {sql}"));
    batch(client, "ROLLBACK"); // a warning only, outside a transaction
    assert_eq!(1_i32, client.query_one("SELECT 1", &[]).expect("the session goes on").get::<_, i32>(0));
    (error.code().code().to_owned(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
}

/// The first column of the only row.
#[track_caller]
pub fn one<T: FromSqlOwned>(client: &mut Client, sql: &str) -> T {
    client.query_one(sql, &[]).unwrap_or_else(|error| panic!("{error:?}: {sql}")).get(0)
}

/// A text, empty where it is NULL.
#[track_caller]
pub fn text(client: &mut Client, sql: &str) -> String {
    one::<Option<String>>(client, sql).unwrap_or_default()
}

/// A number of rows.
#[track_caller]
pub fn count(client: &mut Client, sql: &str) -> i64 {
    one(client, sql)
}

/// Both queries give the same rows, and at least so many of them.
#[track_caller]
pub fn assert_same_rows(client: &mut Client, what: &str, found: &str, expected: &str, at_least: i64) {
    let sql = format!(
        "WITH f AS MATERIALIZED ({found}), e AS MATERIALIZED ({expected})
         SELECT (SELECT count(*) FROM f),
                (SELECT jsonb_agg(d) FROM (TABLE f EXCEPT ALL TABLE e) AS d)::text,
                (SELECT jsonb_agg(d) FROM (TABLE e EXCEPT ALL TABLE f) AS d)::text"
    );
    let row = client.query_one(&sql, &[]).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let [extra, missing] = [1, 2].map(|column| row.get::<_, Option<&str>>(column).unwrap_or_default().to_owned());
    assert!(extra.is_empty() && missing.is_empty(), "{what}\nfound: {extra}\nexpected: {missing}");
    let rows = row.get::<_, i64>(0);
    assert!(rows >= at_least, "{what}: {rows} rows");
}
