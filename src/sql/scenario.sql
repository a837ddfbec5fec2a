-- scenario

CREATE TYPE due_step AS (
    scenario text,
    step text,
    channel text,
    offer text,
    message_key text,
    due_on date,
    due boolean,
    why text,
    waits_for text
);
COMMENT ON TYPE due_step IS 'A row of due_steps: the step of one scenario for a customer, the day it is due, and why.';

CREATE FUNCTION due_steps(
    scenarios scenario[],
    history purchase_history,
    as_of date,
    policy segment_policy DEFAULT NULL,
    engagement engagement_history DEFAULT NULL,
    membership text DEFAULT NULL,
    channels text[] DEFAULT NULL,
    contacts contact_history DEFAULT NULL,
    memberships membership_history DEFAULT NULL,
    model purchase_model DEFAULT NULL
) RETURNS SETOF due_step
    AS 'MODULE_PATHNAME', 'due_steps_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 300 ROWS 5;
COMMENT ON FUNCTION due_steps(
    scenario[], purchase_history, date, segment_policy, engagement_history, text, text[], contact_history,
    membership_history, purchase_model
) IS
    'What each scenario has for one customer on a day, and why: at most one step is due. The log of contacts says what was done.';

COMMENT ON FUNCTION preset_scenario(text) IS 'A ready-made scenario; scenario_presets() lists them.';
COMMENT ON FUNCTION scenario_presets() IS 'The ready-made scenarios in order of priority.';
COMMENT ON FUNCTION check_scenario(scenario, segment_policy) IS
    'What in a scenario has no effect or is delayed by the policy: rows of severity, path and message; none for NULL.';
COMMENT ON FUNCTION message_keys() IS
    'The messages that steps name, with titles in English and Japanese and a line in Japanese that invites the customer.';
COMMENT ON FUNCTION due_step_reasons() IS 'What due_steps says in why, with labels in English and Japanese.';
COMMENT ON FUNCTION last_contacted_on(contact_history, date) IS
    'The day of the last contact up to as_of; NULL where there was none. Entries of the group holdout are no contacts.';
COMMENT ON FUNCTION contact_allowed_on(contact_history, date, segment_policy, engagement_history, text) IS
    'The first day from as_of on which the contact policy allows a contact, over a channel or, where that is NULL, at all.';
