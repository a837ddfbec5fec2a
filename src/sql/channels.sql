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

COMMENT ON FUNCTION normalized_email(text) IS
    'An e-mail address as other programs take it: half-width, trimmed, its domain in small letters; NULL where it is '
    'none.';
COMMENT ON FUNCTION normalized_phone(text, text) IS
    'A phone number as in E.164, for example +819012345678; region is the country of a number that names none. NULL '
    'where it is none.';
COMMENT ON FUNCTION normalized_postal_code(text, text) IS
    'A postal code as its country writes it, in Japan 123-4567, there also that of an address; NULL where there is '
    'none.';
