//! The functions that aggregates are made of, called by hand or combined wrongly, and aggregates called in unusual ways.

use super::*;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type};

/// NULL for an argument of type `internal`, which only the extended protocol can send.
#[derive(Debug)]
struct Internal;

impl ToSql for Internal {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    postgres::types::to_sql_checked!();
}

#[test]
fn parts_of_aggregates_called_by_hand() {
    let database = Database::new("by_hand");
    let mut client = client(&database);
    let sql = "SELECT p.proname::text, p.proisstrict, p.prorettype = 'internal'::regtype,
                      ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY a(t, n) ORDER BY n)
               FROM pg_proc p
               WHERE p.pronamespace = 'rfm'::regnamespace AND 'internal'::regtype = ANY (p.proargtypes) ORDER BY 1, p.oid";
    let rows = client.query(sql, &[]).expect("pg_proc can be read");
    assert!(rows.len() >= 50, "{}", rows.len());
    // Some releases of PostgreSQL refuse any such call, its own functions included, by one SQLSTATE or another: the newest when it
    // is prepared, some older ones when the value arrives.
    let of_its_own = client
        .prepare_typed("SELECT pg_catalog.numeric_avg_serialize($1)", &[Type::INTERNAL])
        .and_then(|statement| client.query_one(&statement, &[&Internal]));
    let refusal = of_its_own.err().map(|error| error.code().expect("an error of the server").clone());
    if refusal.is_some() {
        eprintln!("left out: calls with a NULL of type internal: this server refuses them by {refusal:?}");
    }
    for row in rows {
        let (name, is_strict, types): (String, bool, Vec<String>) = (row.get(0), row.get(1), row.get(3));
        // Written by hand, NULL has no type, and PostgreSQL knows no cast to internal.
        let nulls = vec!["NULL"; types.len()].join(", ");
        let (sqlstate, ..) = expect_error(&mut client, &format!("SELECT rfm.{name}({nulls})"));
        assert!(["42883", "42725", "0A000"].contains(&sqlstate.as_str()), "{name}: {sqlstate}");
        let (sqlstate, ..) = expect_error(&mut client, &format!("SELECT rfm.{name}('x'::internal)"));
        assert!(["42846", "42883", "0A000"].contains(&sqlstate.as_str()), "{name}: {sqlstate}");

        let examples = |name: &str| match name {
            "bytea" => r"'\x0102'::bytea".to_owned(),
            "purchase_history" | "engagement_history" | "membership_history" => format!("'{{}}'::{name}"),
            "contact_history" => "'[]'::contact_history".to_owned(),
            "segment_policy" | "purchase_model" => format!("NULL::{name}"),
            "jsonb" => "'{}'::jsonb".to_owned(),
            "text" => "'review'::text".to_owned(),
            "boolean" => "true".to_owned(),
            "interval" => "'1 day'::interval".to_owned(),
            name if name.starts_with("date") || name.starts_with("timestamp") => format!("'2024-01-01'::{name}"),
            name => format!("1::{name}"),
        };
        let internals = types.iter().filter(|name| *name == "internal").count();
        for with_nulls in [false, true] {
            let mut parameter = 0;
            let arguments: Vec<_> = types
                .iter()
                .map(|name| {
                    if name == "internal" {
                        parameter += 1;
                        format!("${parameter}")
                    } else if with_nulls {
                        format!("NULL::{name}")
                    } else {
                        examples(name)
                    }
                })
                .collect();
            let call = format!("SELECT rfm.{name}({}) IS NULL", arguments.join(", "));
            let statement = match client.prepare_typed(&call, &vec![Type::INTERNAL; internals]) {
                Ok(statement) => statement,
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {call}"));
                    assert_eq!(Some(error.code()), refusal.as_ref(), "{error:?}: {call}");
                    continue;
                }
            };
            let nulls: Vec<&(dyn ToSql + Sync)> = vec![&Internal; internals];
            match client.query_one(&statement, &nulls) {
                Ok(row) => {
                    assert!(row.get::<_, bool>(0), "{call} makes something of nothing");
                    // Functions that pass on what they are given, where that is nothing.
                    let passes_on = name.starts_with("_combine")
                        || (with_nulls
                            && [
                                "_collect_history",
                                "_collect_engagement",
                                "_collect_contacts",
                                "_collect_memberships",
                            ]
                            .contains(&name.as_str()));
                    assert!(is_strict || passes_on, "{call} is no error");
                }
                Err(error) if error.code() == refusal.as_ref() => {}
                Err(error) => {
                    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}: {call}"));
                    assert_eq!(error.code().code(), "22023", "{error:?}: {call}");
                    assert!(error.message().contains("part of an aggregate"), "{error:?}: {call}");
                    assert!(error.hint().is_some(), "{error:?}: {call}");
                }
            }
        }
        assert_eq!(value(&mut client, "SELECT 1").as_deref(), Some("1"));
    }
}

/// Aggregates over an `internal` state are a superuser's to make: a wrong combination is as dangerous as with PostgreSQL's own
/// functions, and nobody else can make one.
#[test]
fn only_a_superuser_can_build_aggregates_over_the_parts() {
    let database = Database::new("evil");
    let mut client = client(&database);
    let role = format!("{}_user", database.name);
    batch(
        &mut client,
        &format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA rfm TO {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}; SET ROLE {role}"
        ),
    );
    for parts in [
        "(date, numeric) (SFUNC = rfm._collect_order, STYPE = internal, FINALFUNC = rfm._finish_history)",
        "(text, date) (SFUNC = rfm._collect_event, STYPE = internal, FINALFUNC = rfm._finish_history)",
    ] {
        let (sqlstate, ..) = expect_error(&mut client, &format!("CREATE AGGREGATE public.evil{parts}"));
        assert!(["42P13", "42501"].contains(&sqlstate.as_str()), "{sqlstate}: {parts}");
    }
    batch(&mut client, "RESET ROLE");
    // A right combination works: the parts are those of a documented aggregate.
    batch(
        &mut client,
        "CREATE AGGREGATE public.mine(date, numeric) (SFUNC = rfm._collect_order, STYPE = internal, FINALFUNC = rfm._finish_history,
            COMBINEFUNC = rfm._combine_orders, SERIALFUNC = rfm._serialize_orders, DESERIALFUNC = rfm._deserialize_orders, PARALLEL = SAFE)",
    );
    let mine = "SELECT public.mine(date '2024-01-01', 5) = purchase_history(date '2024-01-01', 5)";
    assert_eq!(value(&mut client, mine).as_deref(), Some("t"));
    batch(&mut client, &format!("DROP AGGREGATE public.mine(date, numeric); DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A superuser who puts parts of different aggregates together gets an error, not a crash.
#[test]
fn the_state_of_another_aggregate_is_refused() {
    let database = Database::new("mixed");
    let mut client = client(&database);
    batch(
        &mut client,
        "CREATE AGGREGATE public.mixed(text, date) (SFUNC = rfm._collect_event, STYPE = internal, FINALFUNC = rfm._finish_rfm_score);
         CREATE AGGREGATE public.mixed(date, numeric) (SFUNC = rfm._collect_order, STYPE = internal, FINALFUNC = rfm._finish_engagement);
         CREATE AGGREGATE public.mixed(purchase_history, date, segment_policy)
             (SFUNC = rfm._collect_customer, STYPE = internal, FINALFUNC = rfm._finish_history)",
    );
    for call in [
        "mixed('abc' || i, '2024-01-01')",
        "mixed('2024-01-01'::date, i)",
        "mixed('{}'::purchase_history, '2024-01-01', NULL)",
    ] {
        let (sqlstate, message, hint) =
            expect_error(&mut client, &format!("SELECT {call} FROM generate_series(1, 1000) AS i"));
        assert!(
            sqlstate == "22023" && message.contains("another aggregate") && !hint.is_empty(),
            "{sqlstate} {message}"
        );
    }
}

/// Aggregates as window functions, with FILTER, DISTINCT and ORDER BY, and over several grouping sets.
#[test]
fn unusual_ways_of_calling_the_aggregates() {
    let database = Database::new("unusual");
    let mut client = client(&database);
    let rows = "(SELECT i, date '2024-01-01' + i AS d, i::numeric AS a FROM generate_series(1, 50) i) r";
    for sql in [
        // A running history is the history of the rows so far.
        "SELECT count(*) FROM (SELECT i, orders(purchase_history(d, a) OVER (ORDER BY i), '2099-01-01') AS n FROM %rows%) x WHERE n <> i",
        "SELECT count(*) FROM (SELECT i, orders(purchase_history(d, a) OVER (ORDER BY i ROWS 4 PRECEDING), '2099-01-01') AS n FROM %rows%) x
            WHERE n <> least(i, 5)",
        "SELECT count(*) FROM (SELECT rfm_score(d, a, '2024-12-31') OVER (PARTITION BY i % 7 ORDER BY i) AS s FROM %rows%) x WHERE s IS NULL",
        "SELECT orders(purchase_history(d, a) FILTER (WHERE i > 50), '2099-01-01') FROM %rows%",
        "SELECT 50 - orders(purchase_history(DISTINCT d, a ORDER BY d DESC, a), '2099-01-01') FROM %rows%",
        "SELECT sum(orders(h, '2099-01-01')) - 150 FROM (SELECT purchase_history(d, a) FROM %rows% GROUP BY GROUPING SETS ((), (i % 2), (i % 3))) x(h)",
    ] {
        assert_eq!(value(&mut client, &sql.replace("%rows%", rows)).as_deref(), Some("0"), "{sql}");
    }
}

/// What PostgreSQL keeps between the rows of `proportion` is an array, which anybody can write: any other array is an error, and
/// one that is passed by hand stays as it is.
#[test]
fn the_state_of_a_proportion_by_hand() {
    let database = Database::new("counts");
    let mut client = client(&database);
    let kept = "SELECT string_agg(format('%s %s %s', s, _count_answer(s, true), _count_answer(s, false)), '; ')
                FROM (VALUES ('{3,1}'::bigint[])) AS v (s)";
    assert_eq!(value(&mut client, kept).as_deref(), Some("{3,1} {4,2} {4,1}"));
    assert_eq!(value(&mut client, "SELECT _count_answer('{3,1}', NULL)::text"), None);
    assert_eq!(value(&mut client, "SELECT _count_answer('[7:8]={3,1}', true)::text").as_deref(), Some("[7:8]={4,2}"));
    for state in ["{}", "{1}", "{1,2,3}", "{NULL,1}", "{1,NULL}", "{{1,2}}", "{{1},{2}}"] {
        let (sqlstate, message, hint) = expect_error(&mut client, &format!("SELECT _count_answer('{state}', true)"));
        assert_eq!(
            (sqlstate.as_str(), message.as_str()),
            ("22023", "the state of proportion is an array of two bigint")
        );
        assert!(!hint.is_empty());
    }
    for state in ["array_fill(1::bigint, '{100000}')", "array_agg(i::bigint) FROM generate_series(1, 1000) AS i"] {
        assert_eq!(
            expect_error(&mut client, &format!("SELECT _count_answer(s, true) FROM (SELECT {state}) AS v (s)")).0,
            "22023"
        );
    }
    for state in ["{9223372036854775807,1}", "{1,9223372036854775807}"] {
        let (sqlstate, message, _) = expect_error(&mut client, &format!("SELECT _count_answer('{state}', true)"));
        assert_eq!((sqlstate.as_str(), message.as_str()), ("22003", "too many answers to count"));
    }
    // Stored, short or compressed: a copy is counted.
    batch(&mut client, "CREATE TABLE public.states AS SELECT '{3,1}'::bigint[] AS s FROM generate_series(1, 3)");
    assert_eq!(
        value(&mut client, "SELECT count(*)::text FROM states WHERE _count_answer(s, true) = '{4,2}'").as_deref(),
        Some("3")
    );
    assert_eq!(value(&mut client, "SELECT count(*)::text FROM states WHERE s = '{3,1}'").as_deref(), Some("3"));
    // As the first value of another aggregate, which starts with it anew for each group.
    batch(
        &mut client,
        "CREATE AGGREGATE public.counted(boolean) (SFUNC = rfm._count_answer, STYPE = bigint[], INITCOND = '{3,1}');
         CREATE AGGREGATE public.wrong(boolean) (SFUNC = rfm._count_answer, STYPE = bigint[], INITCOND = '{3}')",
    );
    let counted = "SELECT string_agg(c::text, ' ') FROM (SELECT counted(i % 3 = 0) AS c FROM generate_series(1, 6) AS i GROUP BY i % 2) AS q";
    assert_eq!(value(&mut client, counted).as_deref(), Some("{6,2} {6,2}"));
    assert_eq!(expect_error(&mut client, "SELECT wrong(true)").0, "22023");
}
