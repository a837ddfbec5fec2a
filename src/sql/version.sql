-- version

-- A session keeps the library that it once loaded, and files can be installed in part. Upgrade scripts begin with a call
-- of this function; a library that is newer than the script is what every upgrade begins with.
CREATE FUNCTION _refuse_older_library() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path = pg_catalog, pg_temp
AS $refuse$
DECLARE
    script text := (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'pg_rfm');
    library text := @extschema@._library_version();
BEGIN
    IF string_to_array(library, '.')::integer[] < string_to_array(script, '.')::integer[] THEN
        RAISE EXCEPTION 'the SQL script of pg_rfm is of version %, the library that this session has loaded of %',
            script, library
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = format('Install all files of version %s, start a new session, and try again.', script);
    END IF;
END
$refuse$;
COMMENT ON FUNCTION _refuse_older_library() IS
    'Part of upgrades: an error where the library that the session has loaded is older than the installed script.';

SELECT @extschema@._refuse_older_library();
