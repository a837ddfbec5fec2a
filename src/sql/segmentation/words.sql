-- segmentation: words

-- What a shop's own words for kinds of events, memberships, channels and test groups mean. Each list of words is an
-- argument and a setting: an object of word and meaning. A word that is not in it means itself. The meanings are put
-- into the SELECTs over the shop's tables, so that whatever a segmentation stores has them.

CREATE FUNCTION _word_lists(s segmentation_settings) RETURNS TABLE (
    argument text, words jsonb, is_used boolean, needs text, hint text
)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 4 SET search_path = pg_catalog, pg_temp
AS $lists$
BEGIN
    RETURN QUERY VALUES
        ('engagement_kinds', s.engagement_kinds, s.engagement IS NOT NULL, 'engagement',
         'Name the table too: engagement => ...'),
        ('channel_names', s.channel_names, coalesce(s.contacts, s.customers) IS NOT NULL, 'contacts or customers',
         'Name the table too: contacts or customers => ...'),
        ('memberships', s.memberships, coalesce(s.customers, s.membership_log) IS NOT NULL,
         'customers or membership_log', 'Name the table too: customers or membership_log => ...'),
        ('test_groups', s.test_groups, s.contacts_group IS NOT NULL, 'a column of contacts with groups',
         'Name it: contacts => ..., contacts_columns => ''{"group": "..."}''.');
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
            PERFORM @extschema@._refuse(format('%s is given without %s', list.argument, list.needs), list.hint);
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

-- The words that are known under a policy, separated by commas. Where a list of words is asked for, it is called by its
-- argument; a column that has none (targets.kpi, costs.purpose) by its own name.
CREATE FUNCTION _listed_known_words(argument text, policy segment_policy) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $listed$
    SELECT string_agg(k.word, ', ' ORDER BY k.place)
    FROM @extschema@._known_words(argument, policy) WITH ORDINALITY AS k (word, place)
$listed$;
COMMENT ON FUNCTION _listed_known_words(text, segment_policy) IS
    'Part of segmentations: the words that are known under a policy, in one text.';

-- Kinds, channels and groups may be of the shop's own making, memberships not.
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

-- A text without the blanks around it; Japanese text has one of its own.
CREATE FUNCTION _trimmed(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $trimmed$ SELECT format('pg_catalog.btrim(%s, %L)', word, ' ' || chr(12288)) $trimmed$;
COMMENT ON FUNCTION _trimmed(text) IS 'Part of segmentations: a text without the blanks around it, as SQL.';

-- A text without what people write one way or another; line ends are left behind by files.
CREATE FUNCTION _folded(word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $folded$ SELECT format('lower(btrim(normalize(%s::text, NFKC), E'' \t\r\n''))', word) $folded$;
COMMENT ON FUNCTION _folded(text) IS
    'Part of segmentations: a text in one width and case, without the blanks around it, as SQL.';

-- The word that a row of a source has, as it stands there.
CREATE FUNCTION _written(s segmentation_settings, source text, argument text, alias text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $written$
BEGIN
    RETURN @extschema@._text(alias, CASE source
        WHEN 'engagement' THEN s.engagement_kind
        WHEN 'contacts' THEN CASE argument WHEN 'test_groups' THEN s.contacts_group ELSE s.contacts_channel END
        WHEN 'membership_log' THEN s.membership_log_membership
        WHEN 'customers' THEN s.customers_membership
        WHEN 'targets' THEN s.targets_kpi
        WHEN 'costs' THEN s.costs_purpose END);
END
$written$;
COMMENT ON FUNCTION _written(segmentation_settings, text, text, text) IS
    'Part of segmentations: the word that a row of a source has, as SQL.';

-- An empty membership is unknown, unless the list says what it means.
CREATE FUNCTION _word(s segmentation_settings, source text, argument text, alias text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $word$
DECLARE
    words jsonb := (SELECT l.words FROM @extschema@._word_lists(s) AS l WHERE l.argument = _word.argument);
    written text := @extschema@._written(s, source, argument, alias);
    otherwise text := written;
BEGIN
    IF argument = 'memberships' AND written <> @extschema@._text(alias, NULL::text) THEN
        otherwise := format('CASE WHEN %s <> '''' THEN %s END', @extschema@._trimmed(written), written);
    END IF;
    RETURN @extschema@._meaning(words, written, otherwise);
END
$word$;
COMMENT ON FUNCTION _word(segmentation_settings, text, text, text) IS
    'Part of segmentations: what the word of a row of a source means, as SQL.';

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

-- The words of a source that are not known under a policy, after the list has said what it knows, with their counts and
-- as they are written there; total: how many rows there are. A word that the list has as it is, is one that the shop
-- means so. Channels of the customers' table are those of consents, which have to be known. Bytes decide, as in a
-- history. With `among`, a SELECT of keys, only the rows of these customers.
CREATE FUNCTION _unknown_words(
    s segmentation_settings, source text, argument text, policy segment_policy, among text DEFAULT NULL
) RETURNS TABLE (word text, rows bigint, total bigint, written text[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $unknown$
DECLARE
    are_consents boolean := source = 'customers' AND argument = 'channel_names';
    known text[] := ARRAY(SELECT k.word FROM @extschema@._known_words(argument, policy) AS k (word));
    meant text[] := ARRAY(
        SELECT w.key FROM @extschema@._word_lists(s) AS l CROSS JOIN LATERAL jsonb_each_text(l.words) AS w
        WHERE l.argument = _unknown_words.argument AND w.key = w.value AND NOT are_consents);
    means text := @extschema@._word(s, source, argument, 'r');
    written text := @extschema@._written(s, source, argument, 'r');
    joined text := '';
BEGIN
    IF are_consents THEN
        means := @extschema@._meaning(s.channel_names, 'k.word', 'k.word');
        written := 'k.word';
        joined := format(
            ' CROSS JOIN LATERAL jsonb_object_keys('
            'CASE jsonb_typeof(r.%1$I::jsonb) WHEN ''object'' THEN r.%1$I::jsonb ELSE ''{}'' END) AS k (word)',
            s.customers_consents);
    END IF;
    RETURN QUERY EXECUTE format(
$sql$SELECT t.word, t.n, t.total, t.written
FROM (
    SELECT w.word, sum(w.n)::bigint AS n, (sum(sum(w.n)) OVER ())::bigint AS total,
           array_agg(w.written ORDER BY w.written) AS written
    FROM (
        SELECT (%s) COLLATE "C" AS word, (%s) COLLATE "C" AS written, count(*) AS n
        FROM %s AS r%s WHERE %s GROUP BY 1, 2
    ) AS w
    GROUP BY w.word
) AS t
WHERE t.word <> ALL ($1)$sql$,
        means, written, @extschema@._source_table(s, source), joined,
        coalesce(@extschema@._has_key(s, source, 'r'), 'true') || @extschema@._and_among(s, source, 'r', among))
        USING known || meant;
END
$unknown$;
COMMENT ON FUNCTION _unknown_words(segmentation_settings, text, text, segment_policy, text) IS
    'Part of segmentations: the words of a source that are not known, with their counts.';

-- A word of the shop's in a message, with its count and what it may mean. Quoted: it may be a number or have blanks.
CREATE FUNCTION _shown_word(word text, rows bigint, nearest text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $shown$ SELECT concat_ws(' ', to_json(left(word, 40)), rows, '(' || nearest || '?)') $shown$;
COMMENT ON FUNCTION _shown_word(text, bigint, text) IS
    'Part of segmentations: a word in a message, with its count and the known word that it may mean.';

-- The same in one row, most frequent first, each with the known word that it may mean. Reasons that customers stated
-- are told apart. The list is the one to give instead of the present one, for the shop to correct: it says of all
-- unknown words what they may mean, of one that came by the present list as it is written at the source. No row where
-- all are known.
CREATE FUNCTION _described_words(
    s segmentation_settings, source text, argument text, policy segment_policy, are_stated_reasons boolean,
    among text DEFAULT NULL
) RETURNS TABLE (rows bigint, share numeric, listed text, list text)
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $described$
DECLARE
    words jsonb := (SELECT l.words FROM @extschema@._word_lists(s) AS l WHERE l.argument = _described_words.argument);
    have_to_be_known boolean := source IN ('customers', 'membership_log');
    have_to_be_names boolean := source IN ('engagement', 'contacts');
BEGIN
    RETURN QUERY
        WITH unknown AS MATERIALIZED (
            SELECT w.*, w.is_stated = are_stated_reasons AS is_asked,
                   CASE WHEN w.place <= 20 THEN @extschema@._nearest_word(argument, w.word, policy) END AS nearest
            FROM (
                SELECT k.*, t.is_stated,
                       row_number() OVER (PARTITION BY t.is_stated ORDER BY k.rows DESC, k.word) AS place
                FROM @extschema@._unknown_words(s, source, argument, policy, among) AS k
                CROSS JOIN LATERAL (
                    SELECT argument = 'engagement_kinds' AND starts_with(k.word, 'stated_') AS is_stated
                ) AS t
                WHERE NOT have_to_be_names OR @extschema@._is_name(k.word)
            ) AS w
        ), meanings AS (
            SELECT w.word, u.nearest AS meaning
            FROM unknown AS u CROSS JOIN LATERAL unnest(u.written) AS w (word)
            WHERE u.place <= 20 AND (u.nearest IS NOT NULL OR have_to_be_known)
            UNION ALL
            SELECT u.word, u.word FROM unknown AS u
            WHERE u.place <= 20 AND u.nearest IS NULL AND NOT have_to_be_known
        )
        SELECT sum(u.rows) FILTER (WHERE u.is_asked)::bigint,
               round(sum(u.rows) FILTER (WHERE u.is_asked) / min(u.total), 6),
               string_agg(@extschema@._shown_word(u.word, u.rows, u.nearest), ', ' ORDER BY u.place)
                   FILTER (WHERE u.is_asked AND u.place <= 20)
               || CASE WHEN max(u.place) FILTER (WHERE u.is_asked) > 20
                       THEN format(' and %s others', max(u.place) FILTER (WHERE u.is_asked) - 20) ELSE '' END,
               format('%s => %L', argument, coalesce(words, '{}') || (
                   SELECT jsonb_object_agg(m.word, m.meaning) FROM meanings AS m WHERE m.word IS NOT NULL))
        FROM unknown AS u
        HAVING bool_or(u.is_asked);
END
$described$;
COMMENT ON FUNCTION _described_words(segmentation_settings, text, text, segment_policy, boolean, text) IS
    'Part of segmentations: the words of a source that are not known, in one row; none where all are known.';

-- Consents that say neither yes nor no, in one row; no row where all do. Where two words mean one channel, both have to
-- be readable. What the list leaves out is not looked at. With `among`, a SELECT of keys, only these customers.
CREATE FUNCTION _unreadable_consents(s segmentation_settings, among text DEFAULT NULL) RETURNS TABLE (
    rows bigint, share numeric, listed text, example text
)
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp
AS $consents$
BEGIN
    IF s.customers_consents IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
$sql$WITH given AS (
    SELECT CAST(ROW(%1$s) AS text) AS customer, ARRAY(
               SELECT jsonb_build_object(n.word, n.consent)::text
               FROM jsonb_each(CASE jsonb_typeof(e.consents) WHEN 'object' THEN e.consents ELSE '{}' END)
                   AS n (word, consent)
               WHERE jsonb_typeof(n.consent) NOT IN ('boolean', 'null') AND %5$s IS NOT NULL
               UNION ALL
               SELECT e.consents::text WHERE jsonb_typeof(e.consents) <> 'object'
           ) AS entries
    FROM %3$s AS c CROSS JOIN LATERAL (SELECT c.%2$I::jsonb AS consents) AS e WHERE %4$s
), placed AS (
    SELECT e.entry, count(*) AS n, min(g.customer) AS example,
           row_number() OVER (ORDER BY count(*) DESC, e.entry COLLATE "C") AS place
    FROM given AS g CROSS JOIN LATERAL unnest(g.entries) AS e (entry)
    GROUP BY e.entry
)
SELECT t.bad, round(t.bad::numeric / t.total, 6),
       string_agg(left(p.entry, 60) || ' ' || p.n, ', ' ORDER BY p.place) FILTER (WHERE p.place <= 20)
       || CASE WHEN max(p.place) > 20 THEN format(' and %%s others', max(p.place) - 20) ELSE '' END,
       left(min(p.example) FILTER (WHERE p.place = 1), 120)
FROM placed AS p
CROSS JOIN (SELECT count(*) FILTER (WHERE g.entries <> '{}') AS bad, count(*) AS total FROM given AS g) AS t
GROUP BY t.bad, t.total$sql$,
        (SELECT string_agg(format('c.%I', k.name), ', ' ORDER BY k.place)
         FROM unnest(@extschema@._source_keys(s, 'customers')) WITH ORDINALITY AS k (name, place)
         WHERE k.name IS NOT NULL),
        s.customers_consents, @extschema@._source_table(s, 'customers'),
        @extschema@._has_key(s, 'customers', 'c') || @extschema@._and_among(s, 'customers', 'c', among),
        @extschema@._meaning(s.channel_names, 'n.word', 'n.word'));
END
$consents$;
COMMENT ON FUNCTION _unreadable_consents(segmentation_settings, text) IS
    'Part of segmentations: consents of customers that are neither true nor false, in one row.';

-- Memberships and the channels of consents have to be known, and consents to be readable; all that are not are said at
-- once. With the sources of which all rows are read; of another one only the rows of the customers noted are looked at.
CREATE FUNCTION _refuse_unknown_words(s segmentation_settings, read_whole text[]) RETURNS void
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
                s, list.source, list.argument, NULL::@extschema@.segment_policy, false,
                @extschema@._noted_of(s, list.source, read_whole))
        LOOP
            PERFORM @extschema@._refuse(
                format('%s has unknown %s: %s', @extschema@._source_table(s, list.source), list.words, found.listed),
                format('Say what they mean: %s; null is unknown. Known are: %s.', found.list,
                       @extschema@._listed_known_words(list.argument, NULL::@extschema@.segment_policy)));
        END LOOP;
    END LOOP;
    FOR found IN SELECT * FROM @extschema@._unreadable_consents(
        s, @extschema@._noted_of(s, 'customers'::text, read_whole)) LOOP
        PERFORM @extschema@._refuse(
            format('%s has consents that cannot be read: %s; for example of customer %s',
                   @extschema@._source_table(s, 'customers'), found.listed, found.example),
            'They are an object of channel and true, false or null: {"email": true}; NULL where consent is not '
            'tracked. A view over the table can write them so.');
    END LOOP;
END
$refuse$;
COMMENT ON FUNCTION _refuse_unknown_words(segmentation_settings, text[]) IS
    'Part of segmentations: an error where memberships or channels of consents are not known, or consents unreadable.';
