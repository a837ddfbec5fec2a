-- channels

CREATE FUNCTION reachable_channels(
    email text DEFAULT NULL,
    phone text DEFAULT NULL,
    postal_address text DEFAULT NULL,
    line_id text DEFAULT NULL,
    consents jsonb DEFAULT NULL
) RETURNS text[]
    AS 'MODULE_PATHNAME', 'reachable_channels_wrapper' LANGUAGE c IMMUTABLE PARALLEL SAFE COST 500;
COMMENT ON FUNCTION reachable_channels(text, text, text, text, jsonb) IS
    'The channels over which a customer can be reached: the address is valid and the channel consented to (consents NULL: every channel counts). Never an error for a bad address.';
