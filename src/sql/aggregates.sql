-- aggregates

-- One collecting function and one state serve all aggregates over order rows, for every type of day and amount. PostgreSQL
-- shares one pass among aggregates with the same collecting function and the same arguments: rfm_score, lifecycle_state,
-- vip_score and next_action of the same columns, as_of and policy cost one.

CREATE FUNCTION _combine_orders(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_orders_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_orders(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_orders_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_orders(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_orders_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_history(internal) RETURNS purchase_history
    AS 'MODULE_PATHNAME', 'finish_history_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION _finish_rfm_score(internal) RETURNS integer
    AS 'MODULE_PATHNAME', 'finish_rfm_score_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _finish_lifecycle_state(internal) RETURNS text
    AS 'MODULE_PATHNAME', 'finish_lifecycle_state_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _finish_vip_score(internal) RETURNS numeric
    AS 'MODULE_PATHNAME', 'finish_vip_score_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 50;
CREATE FUNCTION _finish_next_action(internal) RETURNS text
    AS 'MODULE_PATHNAME', 'finish_next_action_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 100;
CREATE FUNCTION _collect_history(internal, history purchase_history) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_history_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;

DO $aggregates$
DECLARE
    day text;
    amount text;
    main text[];
    volatility text;
    arguments text;
    -- SSPACE: what the planner expects a group to take; the state grows with its orders.
    parallel CONSTANT text := 'STYPE = internal, SSPACE = 160, COMBINEFUNC = _combine_orders, '
        'SERIALFUNC = _serialize_orders, DESERIALFUNC = _deserialize_orders, FINALFUNC_MODIFY = READ_ONLY, PARALLEL = SAFE';
BEGIN
    FOREACH day IN ARRAY ARRAY['date', 'timestamp', 'timestamptz'] LOOP
        -- The day of a timestamptz depends on the session's TimeZone.
        volatility := CASE day WHEN 'timestamptz' THEN 'STABLE' ELSE 'IMMUTABLE' END;
        FOREACH amount IN ARRAY ARRAY['numeric', 'double precision', 'bigint'] LOOP
            FOREACH arguments IN ARRAY ARRAY['', ', discounted boolean', ', discounted boolean, is_purchase boolean'] LOOP
                arguments := pg_catalog.format('ordered_on %s, amount %s%s', day, amount, arguments);
                EXECUTE pg_catalog.format(
                    'CREATE FUNCTION _collect_order(internal, %s) RETURNS internal '
                    'AS ''MODULE_PATHNAME'', ''collect_order_wrapper'' LANGUAGE c %s PARALLEL SAFE', arguments, volatility);
                EXECUTE pg_catalog.format(
                    'CREATE AGGREGATE purchase_history(%s) (SFUNC = _collect_order, FINALFUNC = _finish_history, %s)',
                    arguments, parallel);
            END LOOP;
            FOREACH arguments IN ARRAY ARRAY['', ', policy segment_policy'] LOOP
                arguments := pg_catalog.format('ordered_on %s, amount %s, as_of date%s', day, amount, arguments);
                EXECUTE pg_catalog.format(
                    'CREATE FUNCTION _collect_order_until(internal, %s) RETURNS internal '
                    'AS ''MODULE_PATHNAME'', ''collect_order_until_wrapper'' LANGUAGE c %s PARALLEL SAFE', arguments, volatility);
                FOREACH main SLICE 1 IN ARRAY ARRAY[
                    ['rfm_score', '_finish_rfm_score'],
                    ['lifecycle_state', '_finish_lifecycle_state'],
                    ['vip_score', '_finish_vip_score'],
                    ['next_action', '_finish_next_action']
                ] LOOP
                    EXECUTE pg_catalog.format(
                        'CREATE AGGREGATE %s(%s) (SFUNC = _collect_order_until, FINALFUNC = %s, %s)',
                        main[1], arguments, main[2], parallel);
                END LOOP;
            END LOOP;
        END LOOP;
    END LOOP;
    EXECUTE pg_catalog.format(
        'CREATE AGGREGATE rollup(history purchase_history) (SFUNC = _collect_history, FINALFUNC = _finish_history, %s)',
        parallel);
END
$aggregates$;

CREATE FUNCTION _collect_event(internal, kind text, happened_on date) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_event_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _collect_engagement(internal, e engagement_history) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_engagement_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION _combine_events(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'combine_events_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _serialize_events(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'serialize_events_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _deserialize_events(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'deserialize_events_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _finish_engagement(internal) RETURNS engagement_history
    AS 'MODULE_PATHNAME', 'finish_engagement_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;

CREATE AGGREGATE engagement_history(kind text, happened_on date) (
    SFUNC = _collect_event, STYPE = internal, SSPACE = 160, FINALFUNC = _finish_engagement, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = _combine_events, SERIALFUNC = _serialize_events, DESERIALFUNC = _deserialize_events, PARALLEL = SAFE
);
CREATE AGGREGATE rollup(e engagement_history) (
    SFUNC = _collect_engagement, STYPE = internal, SSPACE = 160, FINALFUNC = _finish_engagement,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = _combine_events, SERIALFUNC = _serialize_events, DESERIALFUNC = _deserialize_events, PARALLEL = SAFE
);

CREATE FUNCTION _collect_contact(internal, channel text, contacted_on date, scenario text, step text, "group" text)
    RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_contact_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _collect_contacts(internal, c contact_history) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_contacts_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION _finish_contacts(internal) RETURNS contact_history
    AS 'MODULE_PATHNAME', 'finish_contacts_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;

CREATE AGGREGATE contact_history(channel text, contacted_on date, scenario text, step text, "group" text) (
    SFUNC = _collect_contact, STYPE = internal, SSPACE = 160, FINALFUNC = _finish_contacts, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = _combine_events, SERIALFUNC = _serialize_events, DESERIALFUNC = _deserialize_events, PARALLEL = SAFE
);
CREATE AGGREGATE rollup(c contact_history) (
    SFUNC = _collect_contacts, STYPE = internal, SSPACE = 160, FINALFUNC = _finish_contacts, FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = _combine_events, SERIALFUNC = _serialize_events, DESERIALFUNC = _deserialize_events, PARALLEL = SAFE
);

CREATE FUNCTION _collect_membership(internal, membership text, since date) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_membership_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION _collect_memberships(internal, m membership_history) RETURNS internal
    AS 'MODULE_PATHNAME', 'collect_memberships_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;
CREATE FUNCTION _finish_memberships(internal) RETURNS membership_history
    AS 'MODULE_PATHNAME', 'finish_memberships_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 20;

CREATE AGGREGATE membership_history(membership text, since date) (
    SFUNC = _collect_membership, STYPE = internal, SSPACE = 160, FINALFUNC = _finish_memberships,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = _combine_events, SERIALFUNC = _serialize_events, DESERIALFUNC = _deserialize_events, PARALLEL = SAFE
);
CREATE AGGREGATE rollup(m membership_history) (
    SFUNC = _collect_memberships, STYPE = internal, SSPACE = 160, FINALFUNC = _finish_memberships,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = _combine_events, SERIALFUNC = _serialize_events, DESERIALFUNC = _deserialize_events, PARALLEL = SAFE
);
