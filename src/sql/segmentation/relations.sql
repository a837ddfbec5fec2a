-- segmentation: relations

-- The catalogue: the relations that a segmentation can have, in the order in which they are made; they are dropped in
-- the opposite order. Locks and checks, building and dropping, grants, segmentation_sql and the view
-- segmentation_relations go by it.
--
--   suffix       the relation is called NAME_suffix
--   is_wanted    whether the settings ask for it; everything where somebody deleted them, so that a drop finds it all
--   reason       why it is there
--   is_readable  whether the readers may read it
--   keys         the columns of its unique key
--   query        the SELECT that fills or defines it, only with `with_queries`: it takes the shop's tables to be there
--   comment      what it is for
CREATE FUNCTION _relations(s segmentation_settings, with_queries boolean DEFAULT false) RETURNS TABLE (
    place integer, suffix text, kind text, is_wanted boolean, reason text, is_readable boolean, keys text[], query text,
    comment text
)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $relations$
    SELECT r.place, r.suffix, r.kind, r.is_asked_for OR s.settings_version IS NULL, r.reason, r.is_readable, r.keys,
           r.query, r.comment
    FROM (
        SELECT @extschema@._keys(s) AS customer, 'every segmentation has it' AS always,
               coalesce('views => ' || quote_literal(s.views::text),
                        'views is not given, and this is one of the usual five') AS chosen
    ) AS t
    CROSS JOIN LATERAL (VALUES
        (1, 'settings', 'TABLE', true, t.always, false, '{name}'::text[], NULL,
            'Settings of a segmentation of pg_rfm. Only its owner writes them: they hold SQL that runs with the '
            'owner''s rights.'),
        (2, 'policies', 'TABLE', true, t.always, false, '{valid_from}', NULL,
            'Each policy that was in force, with its first day.'),
        (3, 'histories', 'TABLE', true, t.always, false, t.customer,
            CASE WHEN with_queries THEN @extschema@._histories_sql(s) END,
            format('Purchase histories of %s.', s.orders)),
        (4, 'engagement', 'TABLE', s.engagement IS NOT NULL, 'engagement => ' || quote_literal(s.engagement), false,
            t.customer,
            CASE WHEN with_queries AND s.engagement IS NOT NULL THEN @extschema@._engagement_sql(s) END,
            format('Engagement histories of %s.', s.engagement)),
        (5, 'contacts', 'TABLE', s.contacts IS NOT NULL, 'contacts => ' || quote_literal(s.contacts), false,
            t.customer,
            CASE WHEN with_queries AND s.contacts IS NOT NULL THEN @extschema@._contacts_sql(s) END,
            format('Logs of contacts of %s.', s.contacts)),
        (6, 'profiles', 'TABLE', s.customers IS NOT NULL, 'customers => ' || quote_literal(s.customers), false,
            t.customer,
            CASE WHEN with_queries AND s.customers IS NOT NULL THEN @extschema@._profiles_sql(s) END,
            format('Memberships, channels and last contacts of %s.', s.customers)),
        (7, 'status', 'TABLE', true, t.always, true, '{segmentation}', NULL,
            'The day and policy that the views answer for, and figures of the last refresh: one row.'),
        (8, 'noted', 'TABLE', s.track = 'trigger', 'track => ' || quote_literal(s.track), false, NULL, NULL,
            'Customers whose orders changed since the last refresh; a row without a key: all of them.'),
        (9, 'facts', 'VIEW', true, t.always, true, NULL,
            CASE WHEN with_queries THEN @extschema@._facts_sql(s) END,
            'All that is known of a customer: the arguments of segment_customer and its like. Prospects have no '
            'history.'),
        (10, 'customers', 'MATERIALIZED VIEW', true, t.always, true, t.customer,
            CASE WHEN with_queries THEN @extschema@._customers_sql(s) END,
            'One row a customer, as of the day in the status table.'),
        (11, 'customers_today', 'VIEW', true, t.always, true, NULL,
            CASE WHEN with_queries THEN @extschema@._customers_today_sql(s) END,
            'The customers with what changes by itself every day.'),
        (12, 'segments', 'MATERIALIZED VIEW', 'segments' = ANY (s.views) IS NOT FALSE, t.chosen, true,
            '{lifecycle_state,rfm_segment}',
            CASE WHEN with_queries THEN @extschema@._segments_sql(s) END,
            'How many customers and how much revenue, by lifecycle state and RFM segment.'),
        (13, 'movement', 'MATERIALIZED VIEW', 'movement' = ANY (s.views) IS NOT FALSE, t.chosen, true,
            '{from_day,to_day,from_state,to_state}',
            CASE WHEN with_queries THEN @extschema@._movement_sql(s) END,
            'Who moved from which lifecycle state to which in each of the last twelve months that are over; '
            'who was still a prospect at its end is left out.'),
        (14, 'cohorts', 'MATERIALIZED VIEW', 'cohorts' = ANY (s.views) IS NOT FALSE, t.chosen, true,
            '{first_month,months_after}',
            CASE WHEN with_queries THEN @extschema@._cohorts_sql(s) END,
            'What those who first bought in a month did in the year after it, month by month.'),
        (15, 'actions', 'MATERIALIZED VIEW', 'actions' = ANY (s.views) IS NOT FALSE, t.chosen, true,
            '{action_rule,action_channel}',
            CASE WHEN with_queries THEN @extschema@._actions_sql(s) END,
            'How many customers wait for which next step, by channel.')
    ) AS r (place, suffix, kind, is_asked_for, reason, is_readable, keys, query, comment)
$relations$;
COMMENT ON FUNCTION _relations(segmentation_settings, boolean) IS
    'Part of segmentations: the relations that one can have, and which of them its settings ask for.';

-- What the columns of the relations say; those of segment_customer say what customer_columns() says. A name means the
-- same wherever it stands, but for a few of the relation NAME_suffix alone.
CREATE FUNCTION _column_comments() RETURNS TABLE (suffix text, name text, comment text, comment_ja text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $columns$
    SELECT NULL::text, c.name, c.description, c.description_ja FROM @extschema@.customer_columns() AS c
    UNION ALL
    VALUES
    (NULL::text, 'as_of', 'The day the question is asked for; everything after it is invisible.',
        '集計の基準日。これより後のことは見えない。'),
    (NULL, 'policy', 'The policy that decided.', '判定に使ったポリシー。'),
    (NULL, 'history', 'The customer''s purchases by day; NULL for a prospect.', '日ごとの購入履歴。見込み客は NULL。'),
    (NULL, 'engagement', 'The customer''s events; NULL where no table of events is named.',
        '購入以外の行動の履歴。行動の表を指定していなければ NULL。'),
    (NULL, 'membership', 'Membership as given by the customers'' table.', '会員種別（顧客の表のとおり）。'),
    (NULL, 'contacts', 'The log of what was sent to the customer; NULL where none is named.',
        '顧客への連絡の履歴。連絡の表を指定していなければ NULL。'),
    (NULL, 'channels', 'Channels over which the customer can be reached; NULL where no address is tracked.',
        '顧客に連絡できる手段。連絡先の記録がなければ NULL。'),
    (NULL, 'average_order_value', 'monetary / orders, rounded to 6 decimals.',
        'monetary / orders（小数第 6 位に四捨五入）。'),
    ('segments', 'rfm_segment', 'Name of the RFM segment; of prospects: prospect.',
        'RFM セグメントの名前。見込み客は prospect。'),
    (NULL, 'lifecycle_label', 'The lifecycle state in the language of the segmentation.', '顧客の状態の表示名。'),
    (NULL, 'state_since', 'First day of the present lifecycle state; NULL for a prospect.',
        '現在の状態になった日。見込み客は NULL。'),
    (NULL, 'previous_state', 'The lifecycle state before the present one.', '一つ前の状態。'),
    (NULL, 'stage_label', 'The purchase stage in the language of the segmentation.', '購入段階の表示名。'),
    (NULL, 'tier_label', 'The VIP tier in the language of the segmentation.', 'VIP 区分の表示名。'),
    (NULL, 'reachable_by', 'Channels over which the customer can be reached, separated by commas; NULL: not tracked.',
        '顧客に連絡できる手段（カンマ区切り）。NULL は記録なし。'),
    (NULL, 'last_contacted_on', 'Day of the last contact.', '最後に連絡した日。'),
    (NULL, 'action_title', 'The next step in the language of the segmentation.', '次の一手の表示名。'),
    ('actions', 'action_rule', 'The rule of the policy that decided the next step; empty: no rule did.',
        '次の一手を決めたポリシーのルール。空はどのルールにも当てはまらない。'),
    ('actions', 'action_channel', 'The channel for the next step; none: there is none, or channels are not tracked.',
        '次の一手の連絡手段。none は手段がない、または記録なし。'),
    (NULL, 'wait_until', 'First day on which a contact is allowed again (of a group: the earliest); NULL: now.',
        '連絡が再び許される最初の日（集計では最も早い日）。NULL は今。'),
    (NULL, 'customers', 'Number of customers.', '顧客数。'),
    (NULL, 'customer_share', 'Share of all customers, 0 to 1.', '全顧客に占める割合、0 から 1。'),
    (NULL, 'revenue', 'Sum of all amounts, refunds included, in currency units.',
        '購入金額の合計（返金込み、通貨単位）。'),
    (NULL, 'revenue_share', 'Share of all revenue, 0 to 1.', '全売上に占める割合、0 から 1。'),
    (NULL, 'vips', 'Number of customers of tier vip.', 'VIP の顧客数。'),
    (NULL, 'from_day', 'Last day of the month before.', '前月の末日。'),
    (NULL, 'to_day', 'Last day of the month.', 'その月の末日。'),
    (NULL, 'from_state', 'Lifecycle state on from_day.', 'from_day の顧客の状態。'),
    (NULL, 'to_state', 'Lifecycle state on to_day.', 'to_day の顧客の状態。'),
    (NULL, 'revenue_before', 'Their revenue in as many days up to from_day as the month has.',
        'from_day までの同じ日数の売上。'),
    (NULL, 'revenue_after', 'Their revenue in the month.', 'その月の売上。'),
    (NULL, 'first_month', 'First day of the month of the first purchase.', '初回購入月の初日。'),
    (NULL, 'months_after', 'Calendar months after it; 0 is the month itself.', '初回購入月からの月数。0 はその月。'),
    (NULL, 'active_customers', 'How many of them bought in that month.', 'その月に購入した人数。'),
    (NULL, 'active_share', 'active_customers / customers, 0 to 1.', 'active_customers / customers、0 から 1。'),
    (NULL, 'segmentation', 'Name of the segmentation.', 'セグメンテーションの名前。'),
    (NULL, 'refreshed_at', 'When the last refresh ended.', '最後の更新が終わった時刻。'),
    (NULL, 'seconds', 'How long it took.', '更新にかかった秒数。'),
    (NULL, 'rebuilt', 'Whether it read all orders, not only those of noted customers.',
        '全注文を読み直したか（変更のあった顧客だけでなく）。'),
    (NULL, 'histories_written', 'Number of purchase histories that were another than before.',
        '変わった購入履歴の数。'),
    (NULL, 'currency', 'The only currency of the orders; NULL where no column is named.',
        '注文の唯一の通貨。列を指定していなければ NULL。'),
    (NULL, 'time_zone', 'Time zone of the calendar days.', '暦日のタイムゾーン。'),
    (NULL, 'order_tables',
        'OIDs of the tables of orders that carry triggers; others after a restore: all orders are read once.',
        'トリガーを付けた注文の表の OID。復元後は変わり、全注文を一度読み直す。'),
    (NULL, 'valid_from', 'First day of the policy.', 'ポリシーの適用開始日。')
$columns$;
COMMENT ON FUNCTION _column_comments() IS
    'Part of segmentations: what each column of the relations says, in English and Japanese.';

-- The comment on a column of NAME_suffix in the language of the segmentation.
CREATE FUNCTION _column_comment(s segmentation_settings, suffix text, name text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $comment$
    SELECT coalesce(
        (SELECT CASE s.lang WHEN 'ja' THEN c.comment_ja ELSE c.comment END
         FROM @extschema@._column_comments() AS c
         WHERE c.name = _column_comment.name AND coalesce(c.suffix, _column_comment.suffix) = _column_comment.suffix
         ORDER BY c.suffix LIMIT 1),
        format(CASE s.lang WHEN 'ja' THEN '顧客のキー（%s のとおり）。' ELSE 'Key of the customer, as in %s.' END, s.orders))
$comment$;
COMMENT ON FUNCTION _column_comment(segmentation_settings, text, text) IS
    'Part of segmentations: the comment on a column of one of its relations.';

-- Puts a comment on every relation and every column. The columns of the settings have theirs from the type.
CREATE FUNCTION _comment_relations(s segmentation_settings) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp
AS $comment$
DECLARE
    part record;
    found record;
BEGIN
    FOR part IN SELECT r.*, @extschema@._relation(s, r.suffix) AS name
                FROM @extschema@._relations(s) AS r WHERE r.is_wanted LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', part.kind, part.name, part.comment);
        FOR found IN
            SELECT a.attname, @extschema@._column_comment(s, part.suffix, a.attname) AS comment
            FROM pg_attribute AS a
            WHERE a.attrelid = to_regclass(part.name) AND a.attnum > 0 AND part.suffix <> 'settings'
        LOOP
            EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', part.name, found.attname, found.comment);
        END LOOP;
    END LOOP;
END
$comment$;
COMMENT ON FUNCTION _comment_relations(segmentation_settings) IS
    'Part of segmentations: puts a comment on every relation and column.';
