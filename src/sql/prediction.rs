//! What models of purchases say of one customer, and of themselves.

use pgrx::prelude::*;
use pgrx::{FromDatum, pg_sys};

use super::call::{argument, column, read, row};
use super::datum::{Jsonb, RawDatum, varlena_bytes};
use super::error::{OrRaise, raise};
use super::set::{ChurnBandLabel, ModelFinding, SetOf};
use super::types::Model;
use crate::day::Day;
use crate::decimal::Decimal;
use crate::error::{Error, ErrorKind};
use crate::finding::Finding;
use crate::history::PurchaseHistory;
use crate::prediction::{
    ChurnBand, DiscountRate, Horizon, ModelStatus, PurchaseModel, Spent, StoredBacktest, Timing, check_chance,
};

/// What a history tells a model of the day `as_of`; `None` of a prospect.
pub fn facts(history: &PurchaseHistory, as_of: Day, model: &PurchaseModel) -> Option<(Timing, Spent)> {
    let purchases = history.purchases(as_of)?;
    let timing = Timing::of_purchases(&purchases, as_of).or_raise();
    Some((timing, Spent::of_purchases(history, &purchases, model.counts())))
}

fn timing_of(history: &PurchaseHistory, as_of: Day) -> Option<Timing> {
    Timing::of(history, as_of).or_raise()
}

/// Plain numbers of a customer, as the accessors of a history give them.
fn timing(purchase_days: i32, span_days: i32, tenure_days: i32) -> Timing {
    Timing::new(purchase_days.into(), span_days.into(), tenure_days.into()).or_raise()
}

fn horizon(argument: &str, days: i32) -> Horizon {
    Horizon::new(argument, days.into()).or_raise()
}

fn discount_rate(rate: f64) -> DiscountRate {
    DiscountRate::new(rate).or_raise()
}

fn chance(argument: &str, chance: f64) -> f64 {
    check_chance(argument, chance).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50)]
fn p_alive(history: PurchaseHistory, as_of: Day, model: Model) -> Option<Decimal> {
    model.p_alive(&timing_of(&history, as_of)?).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50, name = "p_alive")]
fn p_alive_of_numbers(purchase_days: i32, span_days: i32, tenure_days: i32, model: Model) -> Option<Decimal> {
    model.p_alive(&timing(purchase_days, span_days, tenure_days)).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100)]
fn expected_purchases(history: PurchaseHistory, as_of: Day, days: i32, model: Model) -> Option<Decimal> {
    let ahead = horizon("days", days);
    model.expected_purchases(&timing_of(&history, as_of)?, ahead).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 100, name = "expected_purchases")]
fn expected_purchases_of_numbers(
    purchase_days: i32,
    span_days: i32,
    tenure_days: i32,
    days: i32,
    model: Model,
) -> Option<Decimal> {
    model.expected_purchases(&timing(purchase_days, span_days, tenure_days), horizon("days", days)).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50)]
fn purchase_probability(history: PurchaseHistory, as_of: Day, days: i32, model: Model) -> Option<Decimal> {
    let ahead = horizon("days", days);
    model.purchase_probability(&timing_of(&history, as_of)?, ahead).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50, name = "purchase_probability")]
fn purchase_probability_of_numbers(
    purchase_days: i32,
    span_days: i32,
    tenure_days: i32,
    days: i32,
    model: Model,
) -> Option<Decimal> {
    model.purchase_probability(&timing(purchase_days, span_days, tenure_days), horizon("days", days)).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50)]
fn expected_spend(history: PurchaseHistory, as_of: Day, model: Model) -> Option<Decimal> {
    let (_, spent) = facts(&history, as_of, &model)?;
    model.expected_spend(&spent).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 50, name = "expected_spend")]
fn expected_spend_of_numbers(purchases: i32, amount: Decimal, model: Model) -> Option<Decimal> {
    model.expected_spend(&Spent::new(purchases.into(), amount).or_raise()).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn customer_lifetime_value(
    history: PurchaseHistory,
    as_of: Day,
    days: i32,
    annual_discount_rate: f64,
    model: Model,
) -> Option<Decimal> {
    let (ahead, rate) = (horizon("days", days), discount_rate(annual_discount_rate));
    let (timing, spent) = facts(&history, as_of, &model)?;
    model.customer_lifetime_value(&timing, &spent, ahead, rate).or_raise()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000, name = "customer_lifetime_value")]
fn customer_lifetime_value_of_numbers(
    purchase_days: i32,
    span_days: i32,
    tenure_days: i32,
    amount: Decimal,
    days: i32,
    annual_discount_rate: f64,
    model: Model,
) -> Option<Decimal> {
    let (ahead, rate) = (horizon("days", days), discount_rate(annual_discount_rate));
    let timing = timing(purchase_days, span_days, tenure_days);
    let (_, counts) = model.spend()?;
    let spent = Spent::new(counts.purchases(&timing), amount).or_raise();
    model.customer_lifetime_value(&timing, &spent, ahead, rate).or_raise()
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn next_purchase_on(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    model: Option<Model>,
    probability: default!(Option<f64>, "0.5"),
) -> Option<Day> {
    let probability = chance("probability", probability?);
    let as_of = as_of?;
    as_of.plus(model?.next_purchase(&timing_of(&history?, as_of)?, probability)?)
}

#[pg_extern(immutable, parallel_safe, cost = 100)]
fn alive_until(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    model: Option<Model>,
    threshold: default!(Option<f64>, "0.5"),
) -> Option<Day> {
    let threshold = chance("threshold", threshold?);
    let as_of = as_of?;
    as_of.plus(model?.alive_until(&timing_of(&history?, as_of)?, threshold)?)
}

/// (history, as_of, days, model, level): the interval of the number of purchase days.
#[pg_extern(sql = false)]
fn purchases_interval(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments and the columns so.
    unsafe {
        let (history, as_of) = (read::<PurchaseHistory>(fcinfo, 0), read::<Day>(fcinfo, 1));
        let (ahead, level) = (horizon("days", read(fcinfo, 2)?), chance("level", read(fcinfo, 4)?));
        let model = read::<Model>(fcinfo, 3)?;
        let (low, high) = model.purchases_interval(&timing_of(&history?, as_of?)?, ahead, level)?;
        Some(RawDatum(row(fcinfo, [low, high].map(|bound| column(i64::try_from(bound).ok())))))
    }
}

/// (history, as_of, days, model, level): the interval and the median of the spend.
#[pg_extern(sql = false)]
fn value_interval(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments and the columns so.
    unsafe {
        let (history, as_of) = (read::<PurchaseHistory>(fcinfo, 0), read::<Day>(fcinfo, 1));
        let (ahead, level) = (horizon("days", read(fcinfo, 2)?), chance("level", read(fcinfo, 4)?));
        let model = read::<Model>(fcinfo, 3)?;
        let (timing, spent) = facts(&history?, as_of?, &model)?;
        let quantiles = model.value_interval(&timing, &spent, ahead, level).or_raise()?;
        Some(RawDatum(row(fcinfo, quantiles.map(|quantile| column(Some(quantile))))))
    }
}

/// (history, as_of, model, days, value_days, annual_discount_rate): everything about a customer.
#[pg_extern(sql = false)]
fn predict_customer(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    // SAFETY: prediction.sql declares the arguments and the columns so.
    unsafe {
        let (history, as_of) = (read::<PurchaseHistory>(fcinfo, 0), read::<Day>(fcinfo, 1));
        let ahead = (horizon("days", read(fcinfo, 3)?), horizon("value_days", read(fcinfo, 4)?));
        let rate = discount_rate(read(fcinfo, 5)?);
        let (as_of, model) = (as_of?, read::<Model>(fcinfo, 2)?);
        let (timing, spent) = facts(&history?, as_of, &model)?;
        let prediction = model.predict((&timing, &spent), as_of, ahead, rate).or_raise();
        let (low, high) = prediction.purchases.unzip();
        let bound = |bound: Option<u64>| column(bound.and_then(|bound| i64::try_from(bound).ok()));
        let columns = [
            column(prediction.p_alive),
            column(prediction.purchase_probability),
            column(prediction.churn_band.map(|band| band.name())),
            column(prediction.expected_purchases),
            bound(low),
            bound(high),
            column(prediction.expected_spend),
            column(prediction.expected_value),
            column(prediction.next_purchase_on),
            column(prediction.alive_until),
        ];
        Some(RawDatum(row(fcinfo, columns)))
    }
}

#[pg_extern(immutable, parallel_safe, cost = 10000)]
fn explain_prediction(
    history: Option<PurchaseHistory>,
    as_of: Option<Day>,
    model: Option<Model>,
    days: default!(Option<i32>, "90"),
) -> Option<Jsonb> {
    let ahead = horizon("days", days?);
    let (as_of, model) = (as_of?, model?);
    let (timing, spent) = facts(&history?, as_of, &model)?;
    Some(Jsonb(model.explain((&timing, &spent), as_of, ahead).or_raise()))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn churn_band(purchase_probability: Decimal) -> &'static str {
    ChurnBand::of_number(purchase_probability).or_raise().name()
}

#[pg_extern(immutable, strict, parallel_safe, cost = 10)]
fn churn_bands() -> SetOf<ChurnBandLabel> {
    SetOf::new((1..).zip(ChurnBand::ALL).map(|(order, band)| (band.name(), order, band.label_en(), band.label_ja())))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn check_model(model: Model) -> SetOf<ModelFinding> {
    SetOf::new(model.check().into_iter().map(Finding::into_row))
}

#[pg_extern(immutable, strict, parallel_safe, cost = 1000)]
fn require_model(model: Model) -> Model {
    model.require().or_raise();
    model
}

/// (model, backtests): the model with the backtests it is judged by.
#[pg_extern(sql = false)]
fn with_backtests(fcinfo: pg_sys::FunctionCallInfo) -> Option<RawDatum> {
    use pgrx::IntoDatum;

    // SAFETY: prediction.sql declares (purchase_model, model_backtest[]).
    unsafe {
        let (model, backtests) = (read::<Model>(fcinfo, 0)?, stored_backtests(argument(fcinfo, 1)?));
        Model::from(model.with_backtests(backtests).or_raise()).into_datum().map(RawDatum)
    }
}

/// The backtests of an array that a usable model made; NULL is none.
///
/// # Safety
/// `array` must be a `model_backtest[]` that is not NULL.
unsafe fn stored_backtests(array: pg_sys::Datum) -> Vec<StoredBacktest> {
    // SAFETY: the caller promises an array of rows, which are varlenas aligned to 8 bytes.
    unsafe {
        let array = pg_sys::pg_detoast_datum(array.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut elements, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        let (length, by_value, alignment) = (-1, false, b'd' as std::ffi::c_char);
        let element = (*array).elemtype;
        pg_sys::deconstruct_array(array, element, length, by_value, alignment, &mut elements, &mut nulls, &mut count);
        let present = (0..count as usize).filter(|&at| !*nulls.add(at));
        crate::memory::collect(present.filter_map(|at| stored_backtest(*elements.add(at))))
    }
}

/// What of a backtest a document keeps; `None` where its model was refused.
///
/// # Safety
/// `row` must be a `model_backtest`.
unsafe fn stored_backtest(row: pg_sys::Datum) -> Option<StoredBacktest> {
    // SAFETY: prediction.sql declares the columns; a datum that is not NULL has the type of its column.
    unsafe {
        let row = pg_sys::pg_detoast_datum(row.cast_mut_ptr()).cast();
        let field = |name: &std::ffi::CStr| {
            let mut is_null = false;
            let datum = pg_sys::GetAttributeByName(row, name.as_ptr(), &mut is_null);
            (!is_null).then_some(datum)
        };
        let number = |name| field(name).and_then(|datum| Decimal::from_datum(datum, false));
        let status = field(c"status").map(|datum| varlena_bytes(datum));
        if status != Some(ModelStatus::Ok.name().as_bytes()) {
            return None;
        }
        let (Some(fit_on), Some(days)) = (field(c"fit_on"), field(c"days").map(|datum| datum.value() as i32)) else {
            raise(
                Error::new(ErrorKind::InvalidParameter, "a backtest has neither fit_on nor days")
                    .hint("Pass rows of backtest_purchase_model as they are."),
            )
        };
        let actual_purchases = field(c"actual_purchases").map(|datum| Decimal::from(datum.value() as i64));
        Some(StoredBacktest::new(
            Day::from_datum(fit_on, false)?,
            u32::try_from(days).unwrap_or_default(),
            [number(c"predicted_purchases"), actual_purchases],
            [number(c"predicted_value"), number(c"actual_value")],
        ))
    }
}

extension_sql_file!(
    "prediction.sql",
    name = "prediction",
    requires = [
        "types",
        "row_types",
        p_alive,
        p_alive_of_numbers,
        expected_purchases,
        expected_purchases_of_numbers,
        purchase_probability,
        purchase_probability_of_numbers,
        expected_spend,
        expected_spend_of_numbers,
        customer_lifetime_value,
        customer_lifetime_value_of_numbers,
        next_purchase_on,
        alive_until,
        explain_prediction,
        churn_band,
        churn_bands,
        check_model,
        require_model
    ]
);
