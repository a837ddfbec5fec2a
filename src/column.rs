//! The one table of what has a name and a value for each customer: the columns of `segment_customer` and what the rules can
//! ask about besides. The SQL row type, the comments of the views and the conditions of rules are made or checked from it.

use std::borrow::Cow;

use crate::day::Day;
use crate::decimal::Decimal;
use crate::dormancy::{DormancyCategory, DormancyReason};
use crate::error::Result;
use crate::facts::Facts;
use crate::lifecycle::{LifecycleState, PurchaseStage};
use crate::membership::Membership;
use crate::prediction::{ChurnBand, PredictedNumber};
use crate::vip::VipTier;

/// The SQL type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// A calendar day.
    Date,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Bigint,
    /// An exact decimal number.
    Numeric,
    /// A text.
    Text,
    /// True or false.
    Boolean,
}

impl SqlType {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            SqlType::Date => "date",
            SqlType::Integer => "integer",
            SqlType::Bigint => "bigint",
            SqlType::Numeric => "numeric",
            SqlType::Text => "text",
            SqlType::Boolean => "boolean",
        }
    }
}

/// A value of a column; values of different kinds are never compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number; whole numbers have no decimals.
    Number(Decimal),
    /// True or false.
    Flag(bool),
    /// A day.
    On(Day),
}

impl serde::Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => text.serialize(serializer),
            Value::Number(number) => number.serialize(serializer),
            Value::Flag(flag) => flag.serialize(serializer),
            Value::On(day) => day.serialize(serializer),
        }
    }
}

/// A whole number as a value.
pub fn whole(value: i64) -> Value<'static> {
    Value::Number(value.into())
}

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

/// What days that pass do to a value while nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// It changes on days that the countdown is told.
    Told,
    /// It is one more every day.
    CountsDays,
    /// It falls every day with a number that a model predicts, or is a word for that number.
    Falls(PredictedNumber),
}

/// Something that has a name and a value for each customer.
#[derive(Debug)]
pub struct Column {
    /// Its name in SQL and in conditions.
    pub name: &'static str,
    /// Its type in SQL.
    pub sql_type: SqlType,
    /// What days that pass do to it.
    pub passing: Passing,
    /// Refuses a text that is none of its labels; `None` where any text may be.
    pub check_label: Option<fn(&str) -> Result<()>>,
    /// Its value for a customer; `None` is NULL.
    pub find: for<'a> fn(&Facts<'a>) -> Option<Value<'a>>,
    /// What it says, in English.
    pub en: &'static str,
    /// What it says, in Japanese.
    pub ja: &'static str,
}

/// The columns of `segment_customer`, in order.
pub static COLUMNS: &[Column] = &[
    Column {
        name: "first_purchase_on",
        sql_type: SqlType::Date,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.first_purchase_on.map(Value::On),
        en: "First purchase day.",
        ja: "初回購入日。",
    },
    Column {
        name: "last_purchase_on",
        sql_type: SqlType::Date,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.last_purchase_on.map(Value::On),
        en: "Last purchase day.",
        ja: "最終購入日。",
    },
    Column {
        name: "recency_days",
        sql_type: SqlType::Integer,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| facts.recency_days.map(whole),
        en: "Days from the last purchase to as_of.",
        ja: "最終購入日から as_of までの日数。",
    },
    Column {
        name: "orders",
        sql_type: SqlType::Bigint,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.orders.map(whole),
        en: "Number of purchases.",
        ja: "購入回数。",
    },
    Column {
        name: "purchase_days",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.purchase_days.map(whole),
        en: "Number of days with a purchase.",
        ja: "購入日数。",
    },
    Column {
        name: "monetary",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.monetary.map(Value::Number),
        en: "Sum of all amounts, refunds included, in currency units.",
        ja: "購入金額の合計（返金込み、通貨単位）。",
    },
    Column {
        name: "average_order_value",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.average_order_value.map(Value::Number),
        en: "monetary / orders, rounded to 6 decimals.",
        ja: "monetary / orders（小数第 6 位に四捨五入）。",
    },
    Column {
        name: "r_score",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.scores.map(|scores| whole(scores.r.into())),
        en: "Recency digit, 1 worst.",
        ja: "R（最終購入日）の点数。1 が最低。",
    },
    Column {
        name: "f_score",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.scores.map(|scores| whole(scores.f.into())),
        en: "Frequency digit, 1 worst.",
        ja: "F（購入頻度）の点数。1 が最低。",
    },
    Column {
        name: "m_score",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.scores.map(|scores| whole(scores.m.into())),
        en: "Monetary digit, 1 worst.",
        ja: "M（購入金額）の点数。1 が最低。",
    },
    Column {
        name: "rfm_score",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.scores.map(|scores| whole(scores.code().into())),
        en: "The three digits, for example 543; NULL for a prospect.",
        ja: "3 つの点数を並べた数（例: 543）。見込み客は NULL。",
    },
    Column {
        name: "rfm_segment",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.rfm_segment.map(text),
        en: "Name of the RFM segment; NULL for a prospect.",
        ja: "RFM セグメントの名前。見込み客は NULL。",
    },
    Column {
        name: "lifecycle_state",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| LifecycleState::from_name(name).map(|_| ())),
        find: |facts| facts.lifecycle_state.map(|state| text(state.name())),
        en: "prospect, new, active, vip, at_risk, dormant or winback.",
        ja: "顧客の状態: prospect、new、active、vip、at_risk、dormant、winback のいずれか。",
    },
    Column {
        name: "purchase_stage",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| PurchaseStage::from_name(name).map(|_| ())),
        find: |facts| facts.purchase_stage.map(|stage| text(stage.name())),
        en: "first, nurture or established; NULL for a prospect.",
        ja: "購入段階: first、nurture、established のいずれか。見込み客は NULL。",
    },
    Column {
        name: "value_score",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.value_score.map(Value::Number),
        en: "What the customer buys, 0 to 100.",
        ja: "購入面の評価、0 から 100。",
    },
    Column {
        name: "relation_score",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.relation_score.map(Value::Number),
        en: "What ties the customer to the shop, 0 to 100; NULL: not tracked.",
        ja: "店との結びつきの評価、0 から 100。NULL は記録なし。",
    },
    Column {
        name: "vip_score",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.vip_score.map(Value::Number),
        en: "Both together, 0 to 100; ranks, does not decide.",
        ja: "両方を合わせた点数、0 から 100。順位付け用で、判定はしない。",
    },
    Column {
        name: "vip_tier",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| VipTier::from_name(name).map(|_| ())),
        find: |facts| facts.vip_tier.map(|tier| text(tier.name())),
        en: "vip, candidate, supporter or regular.",
        ja: "VIP 区分: vip、candidate、supporter、regular のいずれか。",
    },
    Column {
        name: "last_tier",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| VipTier::from_name(name).map(|_| ())),
        find: |facts| facts.last_tier.map(|tier| text(tier.name())),
        en: "The VIP tier on the last purchase day, with the engagement and the membership of that day.",
        ja: "最終購入日の VIP 区分（その日までの行動履歴とその日の会員種別による）。",
    },
    Column {
        name: "vip_missing",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.to_vip?.missing_in_words().map(|names| Value::Text(Cow::Owned(names))),
        en: "What keeps the customer from being a VIP, separated by commas: orders, recency, span, relation, value, membership; NULL for a VIP.",
        ja: "VIP に足りないもの（カンマ区切り）: orders、recency、span、relation、value、membership。VIP は NULL。",
    },
    Column {
        name: "orders_to_vip",
        sql_type: SqlType::Bigint,
        passing: Passing::Told,
        check_label: None,
        find: |facts| Some(whole(facts.to_vip?.purchases.orders)),
        en: "Purchases missing, each on a day of its own, to be a candidate by frequency; 0 for a VIP or candidate.",
        ja: "優良候補になるまでに足りない購入回数（1 日 1 回と数える）。VIP と優良候補は 0。",
    },
    Column {
        name: "span_days_to_vip",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| Some(whole(facts.to_vip?.purchases.span_days)),
        en: "Days by which first and last purchase lie too close for a candidate; 0 for a VIP or candidate.",
        ja: "優良候補になるまでに足りない、初回から最終購入までの日数。VIP と優良候補は 0。",
    },
    Column {
        name: "relation_to_vip",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.to_vip?.relation.map(Value::Number),
        en: "Points of the relation score missing to be a VIP, rounded up to 2 decimals; NULL: not tracked.",
        ja: "VIP になるまでに足りない relation_score の点数（小数第 2 位に切り上げ）。NULL は記録なし。",
    },
    Column {
        name: "value_to_vip",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.to_vip?.value.map(Value::Number),
        en: "Where engagement is not tracked: points of the value score missing to be a VIP, rounded up to 2 decimals; NULL: tracked, or no score would do.",
        ja: "行動の記録がない場合に VIP まで足りない value_score の点数（小数第 2 位に切り上げ）。NULL は記録あり、または何点でも不可。",
    },
    Column {
        name: "dormancy_category",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| DormancyCategory::from_name(name).map(|_| ())),
        find: |facts| facts.dormancy_category.map(|category| text(category.name())),
        en: "paused, cancelled, member_silent, bought_once or ad_hoc; NULL unless dormant.",
        ja: "休眠の種類: paused、cancelled、member_silent、bought_once、ad_hoc のいずれか。休眠でなければ NULL。",
    },
    Column {
        name: "dormancy_reason",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| DormancyReason::from_name(name).map(|_| ())),
        find: |facts| facts.dormancy_reason.map(|reason| text(reason.name())),
        en: "Why the customer is dormant; NULL unless dormant.",
        ja: "休眠の理由。休眠でなければ NULL。",
    },
    Column {
        name: "next_action",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.next_action.map(text),
        en: "The one next step; none where no rule matches.",
        ja: "次の一手。当てはまるルールがなければ none。",
    },
    Column {
        name: "action_rule",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.action_rule.map(text),
        en: "The rule of the policy that decided the next step; NULL: no rule did.",
        ja: "次の一手を決めたポリシーのルール。NULL はどのルールにも当てはまらない。",
    },
    Column {
        name: "action_behavior",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.action_behavior.map(text),
        en: "What the step is to bring about: experience, continuation, co_creation, advocacy, reactivation, care or none.",
        ja: "次の一手のねらい: experience、continuation、co_creation、advocacy、reactivation、care、none のいずれか。",
    },
    Column {
        name: "action_channel",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.action_channel.map(text),
        en: "The first channel, in order of preference, by which the customer can be reached and which is not used up; NULL: there is none, or channels are not tracked.",
        ja: "次の一手の連絡手段。NULL は手段がない、または記録なし。",
    },
    Column {
        name: "action_due_on",
        sql_type: SqlType::Date,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| facts.action_due_on.map(Value::On),
        en: "Day of the next step: as_of, or the first day on which a contact is allowed again.",
        ja: "次の一手の日: as_of、または連絡が再び許される最初の日。",
    },
    Column {
        name: "action_after_wait",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.action_after_wait.map(text),
        en: "Where the next step is to wait: the step of the first later rule that matches, none where there is no such rule; NULL otherwise.",
        ja: "次の一手が wait のとき、その後に控えている一手（なければ none）。それ以外は NULL。",
    },
    Column {
        name: "state_since",
        sql_type: SqlType::Date,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.state_since.map(Value::On),
        en: "First day of the present lifecycle state; NULL for a prospect.",
        ja: "現在の状態になった日。見込み客は NULL。",
    },
    Column {
        name: "previous_state",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| LifecycleState::from_name(name).map(|_| ())),
        find: |facts| facts.previous_state.map(|state| text(state.name())),
        en: "The lifecycle state before the present one; NULL for a prospect.",
        ja: "一つ前の状態。見込み客は NULL。",
    },
    Column {
        name: "next_transition_on",
        sql_type: SqlType::Date,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.next_transition_on.map(Value::On),
        en: "The day the lifecycle state changes if nothing more happens; NULL: never.",
        ja: "このまま何も起きない場合に顧客の状態が変わる日。NULL は変わらない。",
    },
    Column {
        name: "next_change_on",
        sql_type: SqlType::Date,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.next_change_on.map(Value::On),
        en: "Before this day no column changes but recency_days and action_due_on, if nothing more is entered; NULL: never.",
        ja: "新たな記録がなければ、この日より前に recency_days と action_due_on 以外の列は変わらない。NULL は変わらない。",
    },
];

/// What the rules can ask about besides the columns.
pub static FURTHER_FACTS: &[Column] = &[
    Column {
        name: "tenure_days",
        sql_type: SqlType::Integer,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| facts.tenure_days.map(whole),
        en: "Days from the first purchase to as_of.",
        ja: "初回購入日から as_of までの日数。",
    },
    Column {
        name: "span_days",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.span_days.map(whole),
        en: "Days from the first to the last purchase.",
        ja: "初回購入日から最終購入日までの日数。",
    },
    Column {
        name: "last_gap_days",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.last_gap_days.map(whole),
        en: "Days between the last two purchase days.",
        ja: "直近 2 回の購入日の間隔（日数）。",
    },
    Column {
        name: "discount_share",
        sql_type: SqlType::Numeric,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.discount_share.map(Value::Number),
        en: "Share of purchases of known discount that were discounted, 0 to 1.",
        ja: "値引き購入の割合、0 から 1。",
    },
    Column {
        name: "membership",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| Membership::from_name(name).map(|_| ())),
        find: |facts| facts.membership.map(|membership| text(membership.name())),
        en: "continuing, paused, withdrawn or ad_hoc; NULL: unknown.",
        ja: "会員種別: continuing、paused、withdrawn、ad_hoc のいずれか。NULL は不明。",
    },
    Column {
        name: "membership_days",
        sql_type: SqlType::Integer,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| Some(whole(facts.as_of?.days_since(facts.membership_since?))),
        en: "Days since the present membership began; NULL: there is no log of memberships.",
        ja: "現在の会員種別になった日からの日数。NULL は会員種別の履歴なし。",
    },
    Column {
        name: "previous_membership",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| Membership::from_name(name).map(|_| ())),
        find: |facts| facts.previous_membership.map(|membership| text(membership.name())),
        en: "The membership before the present one; NULL: none is known.",
        ja: "一つ前の会員種別。NULL は不明。",
    },
    Column {
        name: "reason_if_dormant",
        sql_type: SqlType::Text,
        passing: Passing::Told,
        check_label: Some(|name| DormancyReason::from_name(name).map(|_| ())),
        find: |facts| facts.reason_if_dormant.map(|reason| text(reason.name())),
        en: "Why the customer is dormant, or would be; NULL for a prospect.",
        ja: "休眠の理由（休眠していない顧客では想定される理由）。見込み客は NULL。",
    },
    Column {
        name: "complaint_days_ago",
        sql_type: SqlType::Integer,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| Some(whole(facts.as_of?.days_since(facts.complaint?.on))),
        en: "Days since the latest complaint, return, low_rating or large refund that is not resolved; NULL: there is none.",
        ja: "未解決の苦情・返品・低評価・大きな返金のうち最新のものからの日数。NULL はなし。",
    },
    Column {
        name: "complaint_answered",
        sql_type: SqlType::Boolean,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.complaint_is_answered().map(Value::Flag),
        en: "Whether the log has a contact over a personal channel on the day of that complaint or later; NULL: there is no open complaint.",
        ja: "その苦情の日以降に電話・手紙などの個別の連絡があったか。NULL は未解決の苦情なし。",
    },
    Column {
        name: "refund_only_days_ago",
        sql_type: SqlType::Integer,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| facts.refund_only_days_ago.map(whole),
        en: "Days since the last day with a refund and no purchase.",
        ja: "返金のみの日からの日数。",
    },
    Column {
        name: "channel_count",
        sql_type: SqlType::Integer,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.calendar?.facts.channels.map(|channels| whole(channels.len() as i64)),
        en: "Number of channels over which the customer can be reached; NULL: not tracked.",
        ja: "連絡できる手段の数。NULL は記録なし。",
    },
    Column {
        name: "contact_allowed",
        sql_type: SqlType::Boolean,
        passing: Passing::Told,
        check_label: None,
        find: |facts| facts.calendar?.is_allowed(&facts.countdown).map(Value::Flag),
        en: "Whether a contact is allowed on as_of; NULL: contacts are not tracked.",
        ja: "as_of に連絡してよいか。NULL は記録なし。",
    },
    Column {
        name: "days_since_contact",
        sql_type: SqlType::Integer,
        passing: Passing::CountsDays,
        check_label: None,
        find: |facts| facts.calendar?.days_since_contact().map(whole),
        en: "Days since the last contact.",
        ja: "最後の連絡からの日数。",
    },
    Column {
        name: "p_alive",
        sql_type: SqlType::Numeric,
        passing: Passing::Falls(PredictedNumber::PAlive),
        check_label: None,
        find: |facts| facts.seen_by_model.as_ref()?.number(PredictedNumber::PAlive).map(Value::Number),
        en: "The chance that she buys again some day, 0 to 1; NULL without a model, and where it cannot tell.",
        ja: "今後も購入する確率（生存確率）、0 から 1。モデルがない場合と推定できない場合は NULL。",
    },
    Column {
        name: "purchase_probability",
        sql_type: SqlType::Numeric,
        passing: Passing::Falls(PredictedNumber::PurchaseProbability),
        check_label: None,
        find: |facts| facts.seen_by_model.as_ref()?.number(PredictedNumber::PurchaseProbability).map(Value::Number),
        en: "The chance of at least one purchase in the next 90 days, 0 to 1; NULL without a model.",
        ja: "今後 90 日間に 1 回以上購入する確率、0 から 1。モデルがない場合は NULL。",
    },
    Column {
        name: "expected_purchases",
        sql_type: SqlType::Numeric,
        passing: Passing::Falls(PredictedNumber::ExpectedPurchases),
        check_label: None,
        find: |facts| facts.seen_by_model.as_ref()?.number(PredictedNumber::ExpectedPurchases).map(Value::Number),
        en: "Expected purchase days in the next 90 days; NULL without a model.",
        ja: "今後 90 日間の期待購入日数。モデルがない場合は NULL。",
    },
    Column {
        name: "clv",
        sql_type: SqlType::Numeric,
        passing: Passing::Falls(PredictedNumber::Clv),
        check_label: None,
        find: |facts| facts.seen_by_model.as_ref()?.number(PredictedNumber::Clv).map(Value::Number),
        en: "Expected spend of the next 365 days, discounted at 10 % a year, in currency units; NULL without a model of spend.",
        ja: "今後 365 日間の期待購入金額（年率 10 % で割り引いた顧客生涯価値、通貨単位）。金額のモデルがない場合は NULL。",
    },
    Column {
        name: "churn_band",
        sql_type: SqlType::Text,
        passing: Passing::Falls(PredictedNumber::PurchaseProbability),
        check_label: Some(|name| ChurnBand::from_name(name).map(|_| ())),
        find: |facts| facts.seen_by_model.as_ref()?.churn_band().map(|band| text(band.name())),
        en: "low, medium or high, by purchase_probability; NULL without a model.",
        ja: "離脱リスク: low、medium、high のいずれか（purchase_probability による）。モデルがない場合は NULL。",
    },
];

/// The first column that is known only when the rules have been asked.
const FIRST_OF_STEP: &str = "next_action";

/// What the rules can ask about.
pub fn known_to_rules() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().take_while(|column| column.name != FIRST_OF_STEP).chain(FURTHER_FACTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row type is written in SQL, because the extension's script is; this is what keeps it equal to the table.
    #[test]
    fn the_row_type_has_these_columns() {
        let columns: Vec<_> =
            COLUMNS.iter().map(|column| format!("    {} {}", column.name, column.sql_type.name())).collect();
        let expected = format!("CREATE TYPE customer_segment AS (\n{}\n);", columns.join(",\n"));
        let script = include_str!("sql/segment_customer.sql");
        assert!(script.contains(&expected), "src/sql/segment_customer.sql must hold:\n{expected}");
    }

    #[test]
    fn every_name_stands_once() {
        let mut names: Vec<_> = COLUMNS.iter().chain(FURTHER_FACTS).map(|column| column.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(COLUMNS.iter().any(|column| column.name == FIRST_OF_STEP));
    }
}
