//! Functions that return a set of rows of a named row type, so that an upgrade can give the type one more attribute and the
//! views that stand on the function stay. The types are declared in `row_types.sql`.

use pgrx::callconv::{CallCx, RetAbi};
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, iter::TableIterator};

use super::call::check_attributes;
use crate::day::Day;
use crate::decimal::Decimal;

/// A row type of `row_types.sql`.
pub trait RowType {
    /// A set of it in SQL.
    const SET: &'static str;
    /// Its columns in Rust.
    type Columns: Columns + RetAbi + 'static;
}

/// Names the row types of `row_types.sql` in Rust, and says what their columns are there.
macro_rules! row_types {
    ($($marker:ident = $sql:literal $columns:ty;)*) => {
        $(
            #[doc = concat!("The row type `", $sql, "`.")]
            pub struct $marker;

            impl RowType for $marker {
                const SET: &'static str = concat!("SETOF ", $sql);
                type Columns = $columns;
            }

            // SAFETY: only a name: no function takes or returns a value of the marker.
            unsafe impl SqlTranslatable for $marker {
                const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($marker);
                const TYPE_ORIGIN: TypeOrigin = TypeOrigin::ThisExtension;
                const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal($sql));
                const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
            }
        )*

        pgrx::extension_sql_file!("row_types.sql", name = "row_types", creates = [$(Type($marker)),*]);
    };
}

/// A value of a list, its place, and its label in English and Japanese.
type Label = (&'static str, i32, &'static str, &'static str);

row_types! {
    AbFactor = "ab_factor" (&'static str, i32, Decimal, &'static str, &'static str);
    AbVerdict = "ab_verdict" Label;
    AnsweringChannel = "answering_channel" (Option<String>, i32, i32, i32, i32, bool, Day, Option<Day>);
    ChosenColumn = "_chosen_column" (&'static str, Vec<i32>);
    ChurnBandLabel = "churn_band_label" Label;
    CustomerColumn = "customer_column" (i32, &'static str, &'static str, &'static str, &'static str);
    CustomerMonth = "customer_month" (Day, Day, &'static str, &'static str, Option<i32>, i64, Decimal);
    DormancyCategoryLabel = "dormancy_category_label" Label;
    DormancyReasonLabel = "dormancy_reason_label" Label;
    DormantAnswer = "dormant_answer" (&'static str, i32, i32, bool);
    DormantResponseRank = "dormant_response_rank" (
        i32, &'static str, i32, i64, i64,
        Option<Decimal>, Option<Decimal>, Option<Decimal>, &'static str
    );
    DueStepReasonLabel = "due_step_reason_label" Label;
    KpiLabel = "kpi_label" (
        &'static str, i32, &'static str, bool, bool,
        i32, &'static str, &'static str, &'static str, &'static str
    );
    LifecycleStateLabel = "lifecycle_state_label" Label;
    ListLabel = "list_label" (&'static str, &'static str, i32, &'static str, &'static str);
    MembershipLabel = "membership_label" Label;
    MembershipMomentLabel = "membership_moment_label" Label;
    MembershipPeriod = "membership_period" (&'static str, Day, Option<Day>, &'static str);
    MessageTitle = "message_title" (&'static str, i32, &'static str, &'static str, &'static str);
    ModelFinding = "model_finding" (&'static str, String, String);
    MonthOfPurchases = "month_of_purchases" (Day, i32, i64, Decimal);
    NextActionRule = "next_action_rule" (i32, String, String, &'static str, String, String);
    PolicyFinding = "policy_finding" (&'static str, String, String);
    PolicyPreset = "policy_preset" (&'static str, &'static str, &'static str, &'static str, &'static str);
    PurchaseStageLabel = "purchase_stage_label" Label;
    QueryColumn = "_query_column" (String, Oid);
    RfmSegmentLabel = "rfm_segment_label" (String, i32, String, String);
    ScenarioFinding = "scenario_finding" (&'static str, String, String);
    ScenarioPreset = "scenario_preset" (&'static str, i32, &'static str, String, String, &'static str, &'static str);
    SegmentOnDay = "segment_on_day" (Day, &'static str, Option<i32>, &'static str);
    SourceColumn = "_source_column" (&'static str, &'static str, String, bool, Option<&'static str>);
    StateMovement = "state_movement" (
        Day, Day, &'static str, &'static str, Decimal,
        Decimal, Option<String>, Option<String>, &'static str, &'static str
    );
    StatePeriod = "state_period" (&'static str, Day, Day);
    SubscriptionCycle = "subscription_cycle" (i32, i32, Day, Option<bool>);
    SubscriptionMonth = "subscription_month" (Day, &'static str, Option<&'static str>, Option<bool>);
    ViewColumn = "_view_column" (Option<&'static str>, &'static str, &'static str, &'static str);
    VipTierLabel = "vip_tier_label" Label;
    WatchedRows = "_watched_rows" (i64, i64, i64, i64, Option<String>);
    WrittenRows = "written_rows" (i64, i64, i64, i64);
}

/// The columns of a row, each a Rust value with its SQL type.
pub trait Columns {
    /// The SQL types, in order.
    fn types() -> Vec<Oid>;
}

macro_rules! columns {
    ($($column:ident),*) => {
        impl<$($column: IntoDatum),*> Columns for ($($column,)*) {
            fn types() -> Vec<Oid> {
                vec![$($column::type_oid()),*]
            }
        }
    };
}

columns!(A, B);
columns!(A, B, C);
columns!(A, B, C, D);
columns!(A, B, C, D, E);
columns!(A, B, C, D, E, F);
columns!(A, B, C, D, E, F, G);
columns!(A, B, C, D, E, F, G, H);
columns!(A, B, C, D, E, F, G, H, I);
columns!(A, B, C, D, E, F, G, H, I, J);

/// What a function returns that is declared as `RETURNS SETOF` the row type `T`.
pub struct SetOf<T: RowType>(Rows<T>);

type Rows<T> = TableIterator<'static, <T as RowType>::Columns>;

impl<T: RowType> SetOf<T> {
    /// These rows.
    pub fn new(rows: impl IntoIterator<Item = T::Columns> + 'static) -> Self {
        SetOf(TableIterator::new(rows))
    }

    /// No rows.
    pub fn empty() -> Self {
        SetOf(TableIterator::empty())
    }

    /// One row.
    pub fn once(row: T::Columns) -> Self {
        SetOf(TableIterator::once(row))
    }
}

// SAFETY: the rows have the type that the declaration names, which is compared before the first row is made.
unsafe impl<T: RowType + SqlTranslatable> SqlTranslatable for SetOf<T> {
    const TYPE_IDENT: &'static str = T::TYPE_IDENT;
    const TYPE_ORIGIN: TypeOrigin = T::TYPE_ORIGIN;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::SetOf);
    // pgrx takes ReturnsRef::SetOf from its own iterators only.
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal(T::SET)));
}

// SAFETY: all is left to the iterator of pgrx, but for the comparison of the row type at the first call of a query.
unsafe impl<T: RowType> RetAbi for SetOf<T> {
    type Item = <Rows<T> as RetAbi>::Item;
    type Ret = <Rows<T> as RetAbi>::Ret;

    unsafe fn check_fcinfo_and_prepare(fcinfo: pg_sys::FunctionCallInfo) -> CallCx {
        // SAFETY: the caller promises a live call frame, whose fn_extra is NULL before the first row.
        unsafe {
            if (*(*fcinfo).flinfo).fn_extra.is_null() {
                check_attributes(fcinfo, &T::Columns::types());
            }
            Rows::<T>::check_fcinfo_and_prepare(fcinfo)
        }
    }

    fn to_ret(self) -> Self::Ret {
        self.0.to_ret()
    }

    unsafe fn box_ret_in_fcinfo(fcinfo: pg_sys::FunctionCallInfo, ret: Self::Ret) -> pg_sys::Datum {
        // SAFETY: as the caller promises.
        unsafe { Rows::<T>::box_ret_in_fcinfo(fcinfo, ret) }
    }

    unsafe fn move_into_fcinfo_fcx(self, fcinfo: pg_sys::FunctionCallInfo) {
        // SAFETY: as the caller promises.
        unsafe { self.0.move_into_fcinfo_fcx(fcinfo) }
    }

    unsafe fn fill_fcinfo_fcx(&self, fcinfo: pg_sys::FunctionCallInfo) {
        // SAFETY: as the caller promises.
        unsafe { self.0.fill_fcinfo_fcx(fcinfo) }
    }

    unsafe fn ret_from_fcinfo_fcx(fcinfo: pg_sys::FunctionCallInfo) -> Self::Ret {
        // SAFETY: as the caller promises.
        unsafe { Rows::<T>::ret_from_fcinfo_fcx(fcinfo) }
    }

    unsafe fn finish_call_fcinfo(fcinfo: pg_sys::FunctionCallInfo) {
        // SAFETY: as the caller promises.
        unsafe { Rows::<T>::finish_call_fcinfo(fcinfo) }
    }
}
