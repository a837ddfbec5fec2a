-- segmentation: words

-- What a shop's own words for kinds of events, memberships and channels mean. Each list of words is an argument and a
-- setting: an object of word and meaning. A word that is not in it means itself. The meanings are put into the SELECTs
-- over the shop's tables, so that whatever a segmentation stores has them.

CREATE FUNCTION _word_lists(s segmentation_settings) RETURNS TABLE (
    argument text, words jsonb, sources text, is_used boolean
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 3 SET search_path = pg_catalog, pg_temp
AS $lists$
BEGIN
    RETURN QUERY VALUES
        ('engagement_kinds', s.engagement_kinds, 'engagement', s.engagement IS NOT NULL),
        ('channel_names', s.channel_names, 'contacts or customers', coalesce(s.contacts, s.customers) IS NOT NULL),
        ('memberships', s.memberships, 'customers or membership_log',
         coalesce(s.customers, s.membership_log) IS NOT NULL);
END
$lists$;
COMMENT ON FUNCTION _word_lists(segmentation_settings) IS
    'Part of segmentations: the lists of a shop''s own words, and the tables that they are for.';

-- The settings with lists of words that can be meant; those for tables that are not named are left out.
CREATE FUNCTION _with_checked_words(s segmentation_settings, given jsonb) RETURNS segmentation_settings
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $checked$
DECLARE
    list record;
BEGIN
    FOR list IN SELECT * FROM @extschema@._word_lists(s) LOOP
        IF NOT list.is_used AND list.words IS NOT NULL AND given ? list.argument THEN
            PERFORM @extschema@._refuse(format('%s is given without %s', list.argument, list.sources),
                                        format('Name the table too: %s => ...', list.sources));
        ELSIF NOT list.is_used THEN
            s := @extschema@._with_changes(s, jsonb_build_object(list.argument, NULL));
        ELSIF jsonb_typeof(list.words) <> 'object' THEN
            PERFORM @extschema@._refuse(format('%s is a JSON %s', list.argument, jsonb_typeof(list.words)),
                                        'Give an object of the shop''s own words and what they mean.');
        ELSE
            PERFORM @extschema@._refuse_meaning(list.argument, w.word, list.words -> w.word)
            FROM jsonb_object_keys(list.words) AS w (word);
        END IF;
    END LOOP;
    RETURN s;
END
$checked$;
COMMENT ON FUNCTION _with_checked_words(segmentation_settings, jsonb) IS
    'Part of segmentations: settings with lists of words checked; refuses what cannot be meant.';

-- The words that are known under a policy, separated by commas.
CREATE FUNCTION _listed_known_words(argument text, policy segment_policy) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $listed$
    SELECT string_agg(k.word, ', ' ORDER BY k.place)
    FROM @extschema@._known_words(argument, policy) WITH ORDINALITY AS k (word, place)
$listed$;
COMMENT ON FUNCTION _listed_known_words(text, segment_policy) IS
    'Part of segmentations: the words that are known under a policy, in one text.';

-- Kinds and channels may be of the shop's own making, memberships not.
CREATE FUNCTION _refuse_meaning(argument text, word text, meaning jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $meaning$
DECLARE
    means text := format('%s: %s means %s', argument, to_json(left(word, 60)), left(meaning::text, 60));
BEGIN
    IF jsonb_typeof(meaning) = 'null' THEN
        RETURN;
    ELSIF jsonb_typeof(meaning) <> 'string' THEN
        PERFORM @extschema@._refuse(means, 'A word means another one in quotes, or null.');
    ELSIF argument = 'memberships' AND meaning #>> '{}' NOT IN (
        SELECT k.word FROM @extschema@._known_words(argument, NULL::@extschema@.segment_policy) AS k (word)
    ) THEN
        PERFORM @extschema@._refuse(
            means || ', which is no membership',
            format('Known are: %s. null is unknown.',
                   @extschema@._listed_known_words(argument, NULL::@extschema@.segment_policy)));
    ELSIF NOT @extschema@._is_name(meaning #>> '{}') THEN
        PERFORM @extschema@._refuse(means || ', which is no name',
                                    'A name has 1 to 63 bytes and no control characters.');
    END IF;
END
$meaning$;
COMMENT ON FUNCTION _refuse_meaning(text, text, jsonb) IS
    'Part of segmentations: an error where a word cannot mean what it is said to mean.';

CREATE FUNCTION _text(alias text, column_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $text$
    SELECT CASE WHEN column_name IS NULL THEN 'NULL::pg_catalog.text'
                ELSE format('%s.%I::pg_catalog.text', alias, column_name) END
$text$;
COMMENT ON FUNCTION _text(text, text) IS 'Part of segmentations: a column as text; NULL where there is none.';

CREATE FUNCTION _meaning(words jsonb, word text, otherwise text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $meaning$
    SELECT CASE WHEN words IS NULL THEN otherwise ELSE format(
        'CASE WHEN pg_catalog.jsonb_exists(%1$L::pg_catalog.jsonb, %2$s) '
        'THEN pg_catalog.jsonb_object_field_text(%1$L::pg_catalog.jsonb, %2$s) ELSE %3$s END',
        words, word, otherwise) END
$meaning$;
COMMENT ON FUNCTION _meaning(jsonb, text, text) IS
    'Part of segmentations: what a word means by a list of words, and otherwise, as SQL.';

-- An empty membership is unknown, unless the list says what it means. Japanese text has a space of its own.
CREATE FUNCTION _word(s segmentation_settings, source text, argument text, alias text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $word$
DECLARE
    words jsonb := (SELECT l.words FROM @extschema@._word_lists(s) AS l WHERE l.argument = _word.argument);
    column_name text := CASE source
        WHEN 'engagement' THEN s.engagement_kind
        WHEN 'contacts' THEN s.contacts_channel
        WHEN 'membership_log' THEN s.membership_log_membership
        WHEN 'customers' THEN s.customers_membership END;
    written text := @extschema@._text(alias, column_name);
    otherwise text := written;
BEGIN
    IF argument = 'memberships' AND column_name IS NOT NULL THEN
        otherwise := format('CASE WHEN pg_catalog.btrim(%1$s, %2$L) <> '''' THEN %1$s END', written, ' ' || chr(12288));
    END IF;
    RETURN @extschema@._meaning(words, written, otherwise);
END
$word$;
COMMENT ON FUNCTION _word(segmentation_settings, text, text, text) IS
    'Part of segmentations: the kind of an event, the channel of a contact or the membership of a customer, as SQL.';

-- The consents of a customer by the names of channels that the list gives. Where two words mean one channel, both have
-- to consent: of two entries with one name the last counts.
CREATE FUNCTION _consents(s segmentation_settings, alias text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $consents$
DECLARE
    written text := format('%s.%s::pg_catalog.jsonb', alias, quote_ident(s.customers_consents));
BEGIN
    IF s.customers_consents IS NULL THEN
        RETURN 'NULL::pg_catalog.jsonb';
    ELSIF s.channel_names IS NULL THEN
        RETURN written;
    END IF;
    RETURN format(
$sql$CASE WHEN pg_catalog.jsonb_typeof(%1$s) = 'object' THEN (
    SELECT coalesce(pg_catalog.jsonb_object_agg(m.channel, m.consent
                                                ORDER BY m.consent = 'true'::pg_catalog.jsonb DESC), '{}')
    FROM (SELECT %2$s AS channel, n.consent FROM pg_catalog.jsonb_each(%1$s) AS n (word, consent)) AS m
    WHERE m.channel IS NOT NULL
) ELSE %1$s END$sql$, written, @extschema@._meaning(s.channel_names, 'n.word', 'n.word'));
END
$consents$;
COMMENT ON FUNCTION _consents(segmentation_settings, text) IS
    'Part of segmentations: the consents of a customer by the names of channels, as SQL.';

-- The words of a source that are not known under a policy, after the list has said what it knows, with their counts;
-- total: how many rows there are. A word that the list has as it is, is one that the shop means so. Channels of the
-- customers' table are those of consents, which have to be known. Bytes decide, as in a history.
CREATE FUNCTION _unknown_words(s segmentation_settings, source text, argument text, policy segment_policy)
    RETURNS TABLE (word text, rows bigint, total bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $unknown$
DECLARE
    are_consents boolean := source = 'customers' AND argument = 'channel_names';
    known text[] := ARRAY(SELECT k.word FROM @extschema@._known_words(argument, policy) AS k (word));
    meant text[] := ARRAY(
        SELECT w.key FROM @extschema@._word_lists(s) AS l CROSS JOIN LATERAL jsonb_each_text(l.words) AS w
        WHERE l.argument = _unknown_words.argument AND w.key = w.value AND NOT are_consents);
    words text := @extschema@._word(s, source, argument, 'r');
    joined text := '';
BEGIN
    IF are_consents THEN
        words := @extschema@._meaning(s.channel_names, 'k.word', 'k.word');
        joined := format(
            ' CROSS JOIN LATERAL jsonb_object_keys('
            'CASE jsonb_typeof(r.%1$I::jsonb) WHEN ''object'' THEN r.%1$I::jsonb ELSE ''{}'' END) AS k (word)',
            s.customers_consents);
    END IF;
    RETURN QUERY EXECUTE format(
$sql$SELECT t.word, t.n, t.total
FROM (
    SELECT w.word, count(*) AS n, (sum(count(*)) OVER ())::bigint AS total
    FROM (SELECT (%s) COLLATE "C" AS word FROM %s AS r%s WHERE %s) AS w
    GROUP BY w.word
) AS t
WHERE t.word <> ALL ($1)$sql$,
        words, @extschema@._source_table(s, source), joined, @extschema@._has_key(s, source, 'r'))
        USING known || meant;
END
$unknown$;
COMMENT ON FUNCTION _unknown_words(segmentation_settings, text, text, segment_policy) IS
    'Part of segmentations: the kinds, channels or memberships of a source that are not known, with their counts.';

-- The same in one row, most frequent first, each with the known word that it may mean. Reasons that customers stated
-- are told apart. The list is the one to give instead of the present one, for the shop to correct: it says of all
-- unknown words what they may mean. No row where all are known.
CREATE FUNCTION _described_words(
    s segmentation_settings, source text, argument text, policy segment_policy, are_stated_reasons boolean
) RETURNS TABLE (rows bigint, share numeric, listed text, list text)
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $described$
DECLARE
    words jsonb := (SELECT l.words FROM @extschema@._word_lists(s) AS l WHERE l.argument = _described_words.argument);
    have_to_be_known boolean := source IN ('customers', 'membership_log');
BEGIN
    RETURN QUERY
        SELECT sum(u.rows) FILTER (WHERE u.is_asked)::bigint,
               round(sum(u.rows) FILTER (WHERE u.is_asked) / min(u.total), 6),
               string_agg(concat_ws(' ', left(u.word, 40), u.rows, '(' || u.nearest || '?)'), ', ' ORDER BY u.place)
                   FILTER (WHERE u.is_asked AND u.place <= 20)
               || CASE WHEN max(u.place) FILTER (WHERE u.is_asked) > 20
                       THEN format(' and %s others', max(u.place) FILTER (WHERE u.is_asked) - 20) ELSE '' END,
               format('%s => %L', argument, coalesce(words, '{}')
                   || jsonb_object_agg(u.word, coalesce(u.nearest, u.itself)) FILTER (WHERE u.place <= 20))
        FROM (
            SELECT w.*, w.is_stated = are_stated_reasons AS is_asked,
                   CASE WHEN w.place <= 20 THEN @extschema@._nearest_word(argument, w.word, policy) END AS nearest,
                   CASE WHEN NOT have_to_be_known THEN w.word END AS itself
            FROM (
                SELECT k.*, t.is_stated,
                       row_number() OVER (PARTITION BY t.is_stated ORDER BY k.rows DESC, k.word) AS place
                FROM @extschema@._unknown_words(s, source, argument, policy) AS k
                CROSS JOIN LATERAL (
                    SELECT argument = 'engagement_kinds' AND starts_with(k.word, 'stated_') AS is_stated
                ) AS t
                WHERE have_to_be_known OR @extschema@._is_name(k.word)
            ) AS w
        ) AS u
        HAVING bool_or(u.is_asked);
END
$described$;
COMMENT ON FUNCTION _described_words(segmentation_settings, text, text, segment_policy, boolean) IS
    'Part of segmentations: the words of a source that are not known, in one row; none where all are known.';

-- Memberships and the channels of consents have to be known; all that are not are said at once.
CREATE FUNCTION _refuse_unknown_words(s segmentation_settings) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $refuse$
DECLARE
    list record;
    found record;
BEGIN
    FOR list IN
        SELECT * FROM (VALUES ('membership_log', 'memberships', 'memberships', s.membership_log_membership),
                              ('customers', 'memberships', 'memberships', s.customers_membership),
                              ('customers', 'channel_names', 'channels in consents', s.customers_consents))
            AS l (source, argument, words, column_name)
        WHERE l.column_name IS NOT NULL
    LOOP
        FOR found IN
            SELECT * FROM @extschema@._described_words(
                s, list.source, list.argument, NULL::@extschema@.segment_policy, false)
        LOOP
            PERFORM @extschema@._refuse(
                format('%s has unknown %s: %s', @extschema@._source_table(s, list.source), list.words, found.listed),
                format('Say what they mean: %s; null is unknown. Known are: %s.', found.list,
                       @extschema@._listed_known_words(list.argument, NULL::@extschema@.segment_policy)));
        END LOOP;
    END LOOP;
END
$refuse$;
COMMENT ON FUNCTION _refuse_unknown_words(segmentation_settings) IS
    'Part of segmentations: an error where memberships or consents of customers are not known.';
