//! What the columns of a segmentation's relations say, in English and Japanese. Here and not in a file of SQL, because a script
//! with other letters than ASCII cannot be read into a database of another encoding to say that it must be UTF8.

use pgrx::prelude::*;

use crate::column::COLUMNS;

/// Columns that are none of `segment_customer`, and those that say something else in the relation NAME_suffix: suffix (empty
/// where it does not matter), name, what it says. Without a name: columns of the key, with %s for the
/// orders.
const VIEW_COLUMNS: &[(&str, &str, &str, &str)] = &[
    ("", "", "Key of the customer, as in %s.", "顧客のキー（%s のとおり）。"),
    ("segments", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("movement", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("cohorts", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("transitions", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("actions", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("attributes", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("segments_by", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("movement_by", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("cohorts_by", "", "The tenant, as in %s.", "店舗（%s のとおり）。"),
    ("(attributes)", "", "Attribute of the customer, as in %s.", "顧客の属性（%s のとおり）。"),
    (
        "(first_order)",
        "",
        "Of the customer's first order, as in %s; NULL for a prospect.",
        "初回注文の内容（%s のとおり）。見込み客は NULL。",
    ),
    ("first_orders", "first_order_on", "Day of the first order.", "初回注文の日。"),
    (
        "",
        "attribute",
        "Name of the attribute: a column of NAME_customers. Each attribute has all customers by itself.",
        "属性の名前（NAME_customers の列）。属性ごとに全顧客を数える。",
    ),
    (
        "",
        "value",
        "Value of the attribute as text, at most 200 characters; empty: not known.",
        "属性の値（テキスト、200 文字まで）。空は不明。",
    ),
    ("", "buyers", "How many of them have bought.", "購入した人数。"),
    ("", "dormant", "How many of them are dormant.", "休眠顧客の人数。"),
    ("", "judged_90", "Customers whose 90 days after the first purchase are over.", "初回購入から 90 日が過ぎた人数。"),
    (
        "",
        "second_purchase_90",
        "Share of them who bought again within the 90 days (F2), 0 to 1; NULL: nobody can be judged.",
        "そのうち 90 日以内に 2 回目を購入した割合（F2 転換率）、0 から 1。NULL は対象者なし。",
    ),
    ("", "second_purchase_90_low", "Lower bound of its 95 %% interval.", "その 95 %% 信頼区間の下限。"),
    ("", "second_purchase_90_high", "Upper bound of its 95 %% interval.", "その 95 %% 信頼区間の上限。"),
    (
        "",
        "judged_365",
        "Customers whose 365 days after the first purchase are over.",
        "初回購入から 365 日が過ぎた人数。",
    ),
    (
        "",
        "second_purchase_365",
        "Share of them who bought again within the 365 days (F2), 0 to 1; NULL: nobody can be judged.",
        "そのうち 365 日以内に 2 回目を購入した割合（F2 転換率）、0 から 1。NULL は対象者なし。",
    ),
    ("", "second_purchase_365_low", "Lower bound of its 95 %% interval.", "その 95 %% 信頼区間の下限。"),
    ("", "second_purchase_365_high", "Upper bound of its 95 %% interval.", "その 95 %% 信頼区間の上限。"),
    (
        "",
        "revenue_365",
        "Mean revenue of these from the first purchase day to 365 days after it, refunds included, rounded to 6 decimals.",
        "その 1 人あたりの初回購入日から 365 日後までの売上（返金込み、小数第 6 位に四捨五入）。",
    ),
    (
        "",
        "dimension",
        "What moved: lifecycle_state, rfm_segment or vip_tier.",
        "何の移り変わりか: lifecycle_state、rfm_segment、vip_tier のいずれか。",
    ),
    ("", "from_value", "The state, segment or tier on from_day.", "from_day の状態・セグメント・VIP 区分。"),
    ("", "to_value", "The state, segment or tier on to_day.", "to_day の状態・セグメント・VIP 区分。"),
    ("", "from_label", "from_value in the language of the segmentation.", "from_value の表示名。"),
    ("", "to_label", "to_value in the language of the segmentation.", "to_value の表示名。"),
    (
        "",
        "as_of",
        "The day the question is asked for; everything after it is invisible.",
        "集計の基準日。これより後のことは見えない。",
    ),
    ("", "policy", "The policy that decided.", "判定に使ったポリシー。"),
    ("", "history", "The customer's purchases by day; NULL for a prospect.", "日ごとの購入履歴。見込み客は NULL。"),
    (
        "",
        "engagement",
        "The customer's events; NULL where no table of events is named.",
        "購入以外の行動の履歴。行動の表を指定していなければ NULL。",
    ),
    ("", "membership", "Membership as given by the customers' table.", "会員種別（顧客の表のとおり）。"),
    (
        "",
        "contacts",
        "The log of what was sent to the customer; NULL where none is named.",
        "顧客への連絡の履歴。連絡の表を指定していなければ NULL。",
    ),
    (
        "",
        "channels",
        "Channels over which the customer can be reached; NULL where no address is tracked.",
        "顧客に連絡できる手段。連絡先の記録がなければ NULL。",
    ),
    (
        "",
        "average_order_value",
        "monetary / orders, rounded to 6 decimals.",
        "monetary / orders（小数第 6 位に四捨五入）。",
    ),
    (
        "segments",
        "rfm_segment",
        "Name of the RFM segment; of prospects: prospect.",
        "RFM セグメントの名前。見込み客は prospect。",
    ),
    ("", "lifecycle_label", "The lifecycle state in the language of the segmentation.", "顧客の状態の表示名。"),
    (
        "",
        "state_since",
        "First day of the present lifecycle state; NULL for a prospect.",
        "現在の状態になった日。見込み客は NULL。",
    ),
    ("", "previous_state", "The lifecycle state before the present one.", "一つ前の状態。"),
    ("", "stage_label", "The purchase stage in the language of the segmentation.", "購入段階の表示名。"),
    ("", "tier_label", "The VIP tier in the language of the segmentation.", "VIP 区分の表示名。"),
    (
        "",
        "reachable_by",
        "Channels over which the customer can be reached, separated by commas; NULL: not tracked.",
        "顧客に連絡できる手段（カンマ区切り）。NULL は記録なし。",
    ),
    ("", "last_contacted_on", "Day of the last contact.", "最後に連絡した日。"),
    ("", "action_title", "The next step in the language of the segmentation.", "次の一手の表示名。"),
    (
        "actions",
        "action_rule",
        "The rule of the policy that decided the next step; empty: no rule did.",
        "次の一手を決めたポリシーのルール。空はどのルールにも当てはまらない。",
    ),
    (
        "actions",
        "action_channel",
        "The channel for the next step; none: there is none, or channels are not tracked.",
        "次の一手の連絡手段。none は手段がない、または記録なし。",
    ),
    (
        "",
        "wait_until",
        "First day on which a contact is allowed again (of a group: the earliest); NULL: now.",
        "連絡が再び許される最初の日（集計では最も早い日）。NULL は今。",
    ),
    ("", "customers", "Number of customers.", "顧客数。"),
    ("", "customer_share", "Share of all customers, 0 to 1.", "全顧客に占める割合、0 から 1。"),
    (
        "",
        "revenue",
        "Sum of all amounts, refunds included, in currency units.",
        "購入金額の合計（返金込み、通貨単位）。",
    ),
    ("", "revenue_share", "Share of all revenue, 0 to 1.", "全売上に占める割合、0 から 1。"),
    ("", "vips", "Number of customers of tier vip.", "VIP の顧客数。"),
    ("", "from_day", "Last day of the month before.", "前月の末日。"),
    ("", "to_day", "Last day of the month.", "その月の末日。"),
    ("", "from_state", "Lifecycle state on from_day.", "from_day の顧客の状態。"),
    ("", "to_state", "Lifecycle state on to_day.", "to_day の顧客の状態。"),
    (
        "",
        "revenue_before",
        "Their revenue in as many days up to from_day as the month has.",
        "from_day までの同じ日数の売上。",
    ),
    ("", "revenue_after", "Their revenue in the month.", "その月の売上。"),
    ("", "first_month", "First day of the month of the first purchase.", "初回購入月の初日。"),
    ("", "months_after", "Calendar months after it; 0 is the month itself.", "初回購入月からの月数。0 はその月。"),
    ("", "active_customers", "How many of them bought in that month.", "その月に購入した人数。"),
    ("", "active_share", "active_customers / customers, 0 to 1.", "active_customers / customers、0 から 1。"),
    ("", "segmentation", "Name of the segmentation.", "セグメンテーションの名前。"),
    ("", "refreshed_at", "When the last refresh ended.", "最後の更新が終わった時刻。"),
    ("", "seconds", "How long it took.", "更新にかかった秒数。"),
    (
        "",
        "rebuilt",
        "Whether it read all orders, not only those of noted customers.",
        "全注文を読み直したか（変更のあった顧客だけでなく）。",
    ),
    ("", "histories_written", "Number of purchase histories that were another than before.", "変わった購入履歴の数。"),
    (
        "",
        "currency",
        "The only currency of the orders; NULL where no column is named.",
        "注文の唯一の通貨。列を指定していなければ NULL。",
    ),
    ("", "time_zone", "Time zone of the calendar days.", "暦日のタイムゾーン。"),
    (
        "",
        "order_tables",
        "OIDs of the tables of orders that carry triggers; others after a restore: all orders are read once.",
        "トリガーを付けた注文の表の OID。復元後は変わり、全注文を一度読み直す。",
    ),
    ("", "valid_from", "First day of the policy.", "ポリシーの適用開始日。"),
];

/// The columns of `segment_customer` say in all relations what they say there.
#[pg_extern(name = "_view_columns", immutable, strict, parallel_safe, cost = 10)]
#[allow(clippy::type_complexity)]
fn view_columns() -> TableIterator<
    'static,
    (
        name!(suffix, Option<&'static str>),
        name!(name, &'static str),
        name!(comment, &'static str),
        name!(comment_ja, &'static str),
    ),
> {
    let own = VIEW_COLUMNS.iter().map(|&(suffix, name, en, ja)| (Some(suffix).filter(|s| !s.is_empty()), name, en, ja));
    TableIterator::new(own.chain(COLUMNS.iter().map(|column| (None, column.name, column.en, column.ja))))
}
