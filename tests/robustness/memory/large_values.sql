-- Large values, each in a row of a table, so that a session without memory can ask for them.
-- Uncompressed: packing and unpacking them would take longer than all else.
CREATE TABLE texts (name text, value text);
ALTER TABLE texts ALTER value SET STORAGE EXTERNAL;
INSERT INTO texts
-- 50 MB each: more entries than there may be, as many as there may be, one entry many times, other JSON, none.
SELECT 'contacts', '[' || string_agg('{"on": "2024-01-01", "channel": "c' || i || '"}', ',') || ']' FROM generate_series(1, 1100000) i
UNION ALL SELECT 'same contact', '[' || repeat('{"on": "2024-01-01", "channel": "email"},', 1250000) || '{"on": "2024-01-02"}]'
UNION ALL SELECT 'short contacts', '[' || rtrim(repeat('{"on":"2024-01-01"},', 2500000), ',') || ']'
UNION ALL SELECT 'kinds', '{' || string_agg('"kind of event no ' || i || '": {"2024-01-01": 1}', ',') || '}' FROM generate_series(1, 1000000) i
UNION ALL SELECT 'days', '{"review": {' || string_agg('"' || date '0001-01-01' + i || '": 1', ',') || '}}' FROM generate_series(0, 2900000) i
UNION ALL SELECT 'memberships', '{' || string_agg('"' || date '0001-01-01' + i || '": "paused"', ',') || '}'
    FROM generate_series(0, 1900000) i
UNION ALL SELECT 'purchases', '{' || string_agg('"' || date '0001-01-01' + i || '": {"orders": 2, "discounted": 1, "amount": 12.50}', ',') || '}'
    FROM generate_series(0, 800000) i
UNION ALL SELECT 'policy', '{"segments": {"rules": [' || repeat('{"name":"a","any":[{}]},', 2000000) || '{"name":"b","any":[]}]}}'
UNION ALL SELECT 'long name', '[{"on": "2024-01-01", "channel": "' || repeat(repeat('\\n', 1000), 25000) || '"}]'
UNION ALL SELECT 'long number', '{"2024-01-01": {"orders": 1, "amount": ' || repeat(repeat('1', 1000), 50000) || '}}'
UNION ALL SELECT 'lists', repeat(repeat('[],', 1000), 17000)
UNION ALL SELECT 'quarter', '{"learned": {"a": [' || rtrim(repeat('{"":1},', 37000), ',') || ']}}'
UNION ALL SELECT 'blank', repeat(repeat(' ', 1000), 50000);

CREATE TABLE large (name text, h purchase_history, e engagement_history, c contact_history, m membership_history, p segment_policy, s scenario,
                    l purchase_model);
ALTER TABLE large ALTER h SET STORAGE EXTERNAL, ALTER e SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL, ALTER m SET STORAGE EXTERNAL;
INSERT INTO large
SELECT 'large', (SELECT purchase_history(date '0001-01-01' + i, i / 100.0, i % 2 = 0) FROM generate_series(0, 999999) i),
    (SELECT engagement_history('review no ' || i, date '2000-01-01' + i % 9000) FROM generate_series(1, 300000) i),
    (SELECT contact_history('channel ' || i, date '2000-01-01' + i % 9000, 'a', 'b', NULL) FROM generate_series(1, 300000) i),
    (SELECT membership_history((ARRAY['continuing', 'paused', 'withdrawn', 'ad_hoc'])[1 + i % 4], date '0001-01-01' + i)
     FROM generate_series(0, 999999) i),
    (SELECT value::segment_policy FROM texts WHERE name = 'quarter'), preset_scenario('at_risk_check_in'),
    format('{"model": "bgnbd", "purchases": {"r": 1, "alpha": 9, "a": 1, "b": 1}, "findings": [%s]}',
           (SELECT string_agg('{"severity": "info", "code": "weak", "message": ""}', ',') FROM generate_series(1, 4500))
    )::purchase_model
UNION ALL
SELECT 'many days', (SELECT purchase_history(date '0001-01-01' + 2 * i, 1) FROM generate_series(0, 999999) i),
    (SELECT engagement_history('review', date '0001-01-01' + 2 * i) FROM generate_series(0, 999999) i),
    (SELECT contact_history('email', date '0001-01-01' + 2 * i, NULL, NULL, NULL) FROM generate_series(0, 999999) i),
    '{"0001-01-01": "continuing"}', NULL, preset_scenario('vip_advocacy'),
    NULL;

-- A view for the functions that write rows of one, and a table for who changed by them.
CREATE MATERIALIZED VIEW one_row AS SELECT 1 AS n, 'x'::text AS name;
CREATE UNIQUE INDEX ON one_row (n);
CREATE TABLE who_changed (change_id bigint GENERATED ALWAYS AS IDENTITY, changed_at timestamptz, as_of date, what text,
    from_value text, to_value text);
CREATE TABLE notes (changed_source text, changed_from date, customer_id int, taken boolean, noted_at timestamptz);
