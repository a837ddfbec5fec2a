//! Days and amounts of every type, and a great many of them.

use super::*;

fn backend_megabytes(client: &mut Client) -> Option<u64> {
    memory(&backend(client).to_string(), "VmHWM").map(|kilobytes| kilobytes / 1024)
}

#[test]
fn a_million_orders_of_one_customer() {
    let database = Database::new("million");
    let mut client = client(&database);
    batch(&mut client, "SET work_mem = '4MB'; SET max_parallel_workers_per_gather = 0");
    let same_day = "SELECT orders(h, '2024-01-01') || ' ' || purchase_days(h, '2024-01-01') || ' ' || monetary(h, '2024-01-01')
        FROM (SELECT purchase_history(date '2024-01-01', (i % 1000 - 100) / 100.0) FROM generate_series(1, 1000000) i) x(h)";
    let expected = "SELECT count(*) FILTER (WHERE a >= 0) || ' 1 ' || sum(a)
        FROM (SELECT (i % 1000 - 100) / 100.0 FROM generate_series(1, 1000000) i) x(a)";
    let (result, expected) = (value(&mut client, same_day), value(&mut client, expected));
    let as_numbers = |text: Option<String>| {
        let text = text.unwrap_or_default();
        let mut words = text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        words[2] = words[2].trim_end_matches('0').to_owned();
        words
    };
    assert_eq!(as_numbers(result), as_numbers(expected));
    let after_same_day = backend_megabytes(&mut client);

    let other_days = "SELECT orders(h, 'today') || ' ' || purchase_days(h, 'today') || ' ' || monetary(h, 'today') || ' ' || first_purchase_on(h, 'today')
        FROM (SELECT purchase_history(date '0001-01-01' + (i::bigint * 7919 % 1000000)::int, i) FROM generate_series(0, 999999) i) x(h)";
    let other_days = other_days.replace("'today'", "'9999-12-31'");
    assert_eq!(value(&mut client, &other_days).as_deref(), Some("1000000 1000000 499999500000 0001-01-01"));
    let after_other_days = backend_megabytes(&mut client);
    println!("peak of the backend: {after_same_day:?} MB on one day, {after_other_days:?} MB on a million days");
    assert!(
        after_same_day.is_none_or(|megabytes| megabytes < 100),
        "{after_same_day:?} MB for a million orders on one day"
    );
    assert!(after_other_days.is_none_or(|megabytes| megabytes < 400), "{after_other_days:?} MB for a million days");

    // A million events of one kind, and as many rows for each aggregate with a question.
    let events = "SELECT relation_score(engagement_history('review', date '2024-01-01' - i % 300), '2024-01-01') FROM generate_series(1, 300000) i";
    assert_eq!(value(&mut client, events).as_deref(), Some("30.00"));
    let question = "SELECT rfm_score(date '2024-01-01' - i % 3000, 1, '2024-01-01') FROM generate_series(1, 300000) i";
    assert_eq!(value(&mut client, question).as_deref(), Some("555"));
}

/// The same days as `::date`, whatever the zone's past and future.
#[test]
fn days_of_timestamptz_are_those_of_the_session() {
    let database = Database::new("zones");
    let mut client = client(&database);
    batch(
        &mut client,
        "SELECT setseed(0.42);
         CREATE TABLE instants AS
         SELECT i, CASE i % 4
                WHEN 0 THEN timestamptz '0001-01-02 00:00+00' + random() * interval '9998 years'
                WHEN 1 THEN timestamptz '1840-01-01 00:00+00' + random() * interval '110 years'
                ELSE timestamptz '1950-01-01 00:00+00' + random() * interval '120 years' END AS t
         FROM generate_series(1, 4000) i",
    );
    let mut zones: Vec<String> = [
        "Asia/Kathmandu",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Europe/Lisbon",
        "Africa/Monrovia",
        "Europe/Amsterdam",
        "Asia/Tokyo",
        "America/New_York",
        "Europe/Dublin",
        "Africa/Casablanca",
        "Africa/Windhoek",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
        "America/St_Johns",
        "Asia/Gaza",
        "Pacific/Kiritimati",
        "Asia/Manila",
        "America/Juneau",
        "Europe/Prague",
        "Africa/El_Aaiun",
        "EST5EDT",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+0545>-5:45",
        "XYZ-14",
        "ABC+12:34",
        "JST-9",
        "-3:30",
        "+15:59",
    ]
    .map(str::to_owned)
    .to_vec();
    // Four thousand instants in each of these; around every local midnight of ten years besides.
    let check = "SELECT count(*) FILTER (WHERE by_timestamptz IS DISTINCT FROM by_date) FROM (
        SELECT purchase_history(t, 1::bigint) AS by_timestamptz, purchase_history(t::date, 1::bigint) AS by_date
        FROM %instants% GROUP BY i % 400) x";
    let midnights = "(SELECT i, ((date '2005-01-01' + i)::timestamp AT TIME ZONE current_setting('TimeZone')) + d AS t
        FROM generate_series(0, 3660) i, unnest(ARRAY[interval '-1 microsecond', '0', '1 microsecond', '59 minutes']) d) m";
    for zone in &zones {
        batch(&mut client, &format!("SET TimeZone = '{zone}'"));
        assert_eq!(value(&mut client, &check.replace("%instants%", "instants")).as_deref(), Some("0"), "{zone}");
        if !zone.starts_with(['-', '+', '<']) {
            assert_eq!(
                value(&mut client, &check.replace("%instants%", midnights)).as_deref(),
                Some("0"),
                "{zone}, midnights"
            );
        }
    }
    for interval in ["+05:45", "-11:30", "+00:00:01"] {
        batch(&mut client, &format!("SET TIME ZONE INTERVAL '{interval}' HOUR TO MINUTE"));
        assert_eq!(value(&mut client, &check.replace("%instants%", "instants")).as_deref(), Some("0"), "{interval}");
    }

    // Every zone there is, one after the other in one session.
    zones = client
        .query("SELECT name FROM pg_timezone_names WHERE name !~ '^(posix|right)/'", &[])
        .expect("the zones")
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert!(zones.len() > 300);
    let some = "(SELECT * FROM instants WHERE i % 20 < 4) s";
    for zone in zones {
        batch(&mut client, &format!("SET TimeZone = '{zone}'"));
        assert_eq!(value(&mut client, &check.replace("%instants%", some)).as_deref(), Some("0"), "{zone}");
    }

    // The zone may change from one statement to the next, and inside of one.
    batch(
        &mut client,
        "SET TimeZone = 'UTC';
         CREATE FUNCTION day_in_tokyo(timestamptz) RETURNS purchase_history LANGUAGE sql SET TimeZone = 'Asia/Tokyo'
         AS 'SELECT rfm.purchase_history($1, 1::bigint)'",
    );
    let both =
        "SELECT purchase_history(t, 1::bigint) || ' ' || day_in_tokyo(max(t)) || ' ' || purchase_history(t, 1::bigint)
        FROM (VALUES (timestamptz '2024-01-01 20:00+00')) v(t)"
            .replace("purchase_history(t, 1::bigint)", "purchase_history(t, 1::bigint)::text")
            .replace("day_in_tokyo(max(t))", "day_in_tokyo(max(t))::text");
    let [utc, tokyo] = ["2024-01-01", "2024-01-02"].map(|day| format!(r#"{{"{day}": {{"orders": 1, "amount": 1}}}}"#));
    assert_eq!(value(&mut client, &both), Some(format!("{utc} {tokyo} {utc}")));
}

/// `double precision` amounts are what `::numeric` makes of them, and sums of them the sums of that.
#[test]
fn float_amounts_are_converted_as_numeric_does() {
    let database = Database::new("floats");
    let mut client = client(&database);
    batch(
        &mut client,
        "SET extra_float_digits = 1;
         SELECT setseed(0.77);
         CREATE TABLE floats AS
         SELECT row_number() OVER () AS i, x FROM (
            SELECT (random() - 0.3) * 10::float8 ^ (random() * 52 - 16) AS x FROM generate_series(1, 160000)
            UNION ALL SELECT round((random() * 1e7)::numeric, 2)::float8 FROM generate_series(1, 20000)
            UNION ALL SELECT (i / 8.0)::float8 FROM generate_series(-100, 100) i
            UNION ALL SELECT 10::float8 ^ i FROM generate_series(-20, 37) i
            UNION ALL SELECT unnest(ARRAY[0, '-0', 0.1::float8 + 0.2, 9007199254740993, 1.5e-5, 123456789.123456789, 0.1::real, 1e15, 999999999999999.5, 5e-20])
         ) v WHERE scale(x::numeric) <= 20 AND abs(x::numeric) < 1e37 AND length(trim(trim_scale(abs(x::numeric))::text, '0.')) <= 38",
    );
    let compared = value(&mut client, "SELECT count(*) FROM floats").and_then(|count| count.parse::<i64>().ok());
    assert!(compared > Some(100_000), "{compared:?}");
    let each = "SELECT string_agg(x::text || ' is ' || m || ', not ' || n, '; ')
        FROM (SELECT x, x::numeric::text AS n, (SELECT monetary(purchase_history(date '2024-01-01', v.x), '2024-01-01')::text FROM (VALUES (floats.x)) v(x)) AS m FROM floats) y
        WHERE m <> n";
    assert_eq!(value(&mut client, each), None);
    let sums = "SELECT count(*) FROM (
            SELECT sum(x::numeric)::text AS n, monetary(purchase_history(date '2024-01-01' + i::int % 50, x), '2099-01-01')::text AS m
            FROM floats WHERE abs(x) < 1e14 GROUP BY i % 1000) y
        WHERE m <> n";
    assert_eq!(value(&mut client, sums).as_deref(), Some("0"));
}

/// The same for `numeric`: what has at most 38 digits and 20 decimals is accepted, to the last digit.
#[test]
fn numeric_amounts_of_up_to_38_digits() {
    let database = Database::new("numerics");
    let mut client = client(&database);
    let each = "SELECT string_agg(a::text || ' is ' || m, '; ') FROM (
            SELECT a, (SELECT monetary(purchase_history(date '2024-01-01', w.a), '2024-01-01')::text FROM (VALUES (v.a)) w(a)) AS m
            FROM (SELECT (sign || left(repeat('9876543210', 4), digits) || 'e-' || decimals)::numeric AS a
                  FROM generate_series(1, %digits%) digits, generate_series(0, 20) decimals, unnest(ARRAY['', '-']) sign) v
        ) y WHERE m <> a::text";
    assert_eq!(value(&mut client, &each.replace("%digits%", "35")), None);
    // 36 to 38 digits, where the decimals do not fill up groups of four.
    assert_eq!(value(&mut client, &each.replace("%digits%", "38")), None);
}
