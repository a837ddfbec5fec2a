-- types

CREATE TYPE purchase_history;
CREATE TYPE engagement_history;
CREATE TYPE contact_history;
CREATE TYPE membership_history;
CREATE TYPE segment_policy;
CREATE TYPE purchase_model;
CREATE TYPE scenario;

CREATE FUNCTION purchase_history_in(cstring) RETURNS purchase_history
    AS 'MODULE_PATHNAME', 'purchase_history_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION purchase_history_out(purchase_history) RETURNS cstring
    AS 'MODULE_PATHNAME', 'purchase_history_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION purchase_history_recv(internal) RETURNS purchase_history
    AS 'MODULE_PATHNAME', 'purchase_history_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION purchase_history_send(purchase_history) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE purchase_history (
    INPUT = purchase_history_in, OUTPUT = purchase_history_out,
    RECEIVE = purchase_history_recv, SEND = purchase_history_send,
    STORAGE = extended
);

CREATE FUNCTION engagement_history_in(cstring) RETURNS engagement_history
    AS 'MODULE_PATHNAME', 'engagement_history_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engagement_history_out(engagement_history) RETURNS cstring
    AS 'MODULE_PATHNAME', 'engagement_history_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engagement_history_recv(internal) RETURNS engagement_history
    AS 'MODULE_PATHNAME', 'engagement_history_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION engagement_history_send(engagement_history) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE engagement_history (
    INPUT = engagement_history_in, OUTPUT = engagement_history_out,
    RECEIVE = engagement_history_recv, SEND = engagement_history_send,
    STORAGE = extended
);

CREATE FUNCTION contact_history_in(cstring) RETURNS contact_history
    AS 'MODULE_PATHNAME', 'contact_history_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION contact_history_out(contact_history) RETURNS cstring
    AS 'MODULE_PATHNAME', 'contact_history_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION contact_history_recv(internal) RETURNS contact_history
    AS 'MODULE_PATHNAME', 'contact_history_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION contact_history_send(contact_history) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE contact_history (
    INPUT = contact_history_in, OUTPUT = contact_history_out,
    RECEIVE = contact_history_recv, SEND = contact_history_send,
    STORAGE = extended
);

CREATE FUNCTION membership_history_in(cstring) RETURNS membership_history
    AS 'MODULE_PATHNAME', 'membership_history_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION membership_history_out(membership_history) RETURNS cstring
    AS 'MODULE_PATHNAME', 'membership_history_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION membership_history_recv(internal) RETURNS membership_history
    AS 'MODULE_PATHNAME', 'membership_history_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION membership_history_send(membership_history) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE membership_history (
    INPUT = membership_history_in, OUTPUT = membership_history_out,
    RECEIVE = membership_history_recv, SEND = membership_history_send,
    STORAGE = extended
);

CREATE FUNCTION segment_policy_in(cstring) RETURNS segment_policy
    AS 'MODULE_PATHNAME', 'segment_policy_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION segment_policy_out(segment_policy) RETURNS cstring
    AS 'MODULE_PATHNAME', 'segment_policy_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION segment_policy_recv(internal) RETURNS segment_policy
    AS 'MODULE_PATHNAME', 'segment_policy_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION segment_policy_send(segment_policy) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE segment_policy (
    INPUT = segment_policy_in, OUTPUT = segment_policy_out,
    RECEIVE = segment_policy_recv, SEND = segment_policy_send,
    STORAGE = extended
);

CREATE FUNCTION purchase_model_in(cstring) RETURNS purchase_model
    AS 'MODULE_PATHNAME', 'purchase_model_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION purchase_model_out(purchase_model) RETURNS cstring
    AS 'MODULE_PATHNAME', 'purchase_model_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION purchase_model_recv(internal) RETURNS purchase_model
    AS 'MODULE_PATHNAME', 'purchase_model_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION purchase_model_send(purchase_model) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE purchase_model (
    INPUT = purchase_model_in, OUTPUT = purchase_model_out,
    RECEIVE = purchase_model_recv, SEND = purchase_model_send,
    STORAGE = extended
);

CREATE FUNCTION scenario_in(cstring) RETURNS scenario
    AS 'MODULE_PATHNAME', 'scenario_in_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION scenario_out(scenario) RETURNS cstring
    AS 'MODULE_PATHNAME', 'scenario_out_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION scenario_recv(internal) RETURNS scenario
    AS 'MODULE_PATHNAME', 'scenario_recv_wrapper' LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION scenario_send(scenario) RETURNS bytea
    AS 'byteasend' LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE scenario (
    INPUT = scenario_in, OUTPUT = scenario_out,
    RECEIVE = scenario_recv, SEND = scenario_send,
    STORAGE = extended
);
