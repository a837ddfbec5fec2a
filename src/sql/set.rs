//! Functions that return a set of rows of a named row type, so that an upgrade can give the type one more attribute and the
//! views that stand on the function stay. The types are declared in `row_types.sql`.

use std::marker::PhantomData;

use pgrx::callconv::{CallCx, RetAbi};
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{IntoDatum, iter::TableIterator};

use super::call::check_attributes;

/// A row type of `row_types.sql`.
pub trait RowType {
    /// A set of it in SQL.
    const SET: &'static str;
}

/// Names the row types of `row_types.sql` in Rust.
macro_rules! row_types {
    ($($marker:ident = $sql:literal;)*) => {
        $(
            #[doc = concat!("The row type `", $sql, "`.")]
            pub struct $marker;

            impl RowType for $marker {
                const SET: &'static str = concat!("SETOF ", $sql);
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

row_types! {
    AbFactor = "ab_factor";
    AbVerdict = "ab_verdict";
    AnsweringChannel = "answering_channel";
    ChosenColumn = "_chosen_column";
    CustomerColumn = "customer_column";
    CustomerMonth = "customer_month";
    DormancyCategoryLabel = "dormancy_category_label";
    DormancyReasonLabel = "dormancy_reason_label";
    DormantAnswer = "dormant_answer";
    DormantResponseRank = "dormant_response_rank";
    DueStepReasonLabel = "due_step_reason_label";
    KpiLabel = "kpi_label";
    LifecycleStateLabel = "lifecycle_state_label";
    ListLabel = "list_label";
    MembershipLabel = "membership_label";
    MembershipMomentLabel = "membership_moment_label";
    MembershipPeriod = "membership_period";
    MessageTitle = "message_title";
    MonthOfPurchases = "month_of_purchases";
    NextActionRule = "next_action_rule";
    PolicyFinding = "policy_finding";
    PolicyPreset = "policy_preset";
    PurchaseStageLabel = "purchase_stage_label";
    RfmSegmentLabel = "rfm_segment_label";
    ScenarioFinding = "scenario_finding";
    ScenarioPreset = "scenario_preset";
    SegmentOnDay = "segment_on_day";
    SourceColumn = "_source_column";
    StateMovement = "state_movement";
    StatePeriod = "state_period";
    SubscriptionCycle = "subscription_cycle";
    SubscriptionMonth = "subscription_month";
    ViewColumn = "_view_column";
    VipTierLabel = "vip_tier_label";
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

/// What a function returns that is declared as `RETURNS SETOF` the row type `T`, as rows of the columns `C`.
pub struct SetOf<T, C>(TableIterator<'static, C>, PhantomData<T>);

impl<T, C: 'static> SetOf<T, C> {
    /// These rows.
    pub fn new(rows: impl IntoIterator<Item = C> + 'static) -> Self {
        SetOf(TableIterator::new(rows), PhantomData)
    }

    /// No rows.
    pub fn empty() -> Self {
        SetOf(TableIterator::empty(), PhantomData)
    }

    /// One row.
    pub fn once(row: C) -> Self {
        SetOf(TableIterator::once(row), PhantomData)
    }
}

// SAFETY: the rows have the type that the declaration names, which is compared before the first row is made.
unsafe impl<T: RowType + SqlTranslatable, C> SqlTranslatable for SetOf<T, C> {
    const TYPE_IDENT: &'static str = T::TYPE_IDENT;
    const TYPE_ORIGIN: TypeOrigin = T::TYPE_ORIGIN;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Err(ArgumentError::SetOf);
    // pgrx takes ReturnsRef::SetOf from its own iterators only.
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> = Ok(ReturnsRef::One(SqlMappingRef::literal(T::SET)));
}

// SAFETY: all is left to the iterator of pgrx, but for the comparison of the row type at the first call of a query.
unsafe impl<T, C: Columns + RetAbi> RetAbi for SetOf<T, C> {
    type Item = <TableIterator<'static, C> as RetAbi>::Item;
    type Ret = <TableIterator<'static, C> as RetAbi>::Ret;

    unsafe fn check_fcinfo_and_prepare(fcinfo: pg_sys::FunctionCallInfo) -> CallCx {
        // SAFETY: the caller promises a live call frame, whose fn_extra is NULL before the first row.
        unsafe {
            if (*(*fcinfo).flinfo).fn_extra.is_null() {
                check_attributes(fcinfo, &C::types());
            }
            TableIterator::<C>::check_fcinfo_and_prepare(fcinfo)
        }
    }

    fn to_ret(self) -> Self::Ret {
        self.0.to_ret()
    }

    unsafe fn box_ret_in_fcinfo(fcinfo: pg_sys::FunctionCallInfo, ret: Self::Ret) -> pg_sys::Datum {
        // SAFETY: as the caller promises.
        unsafe { TableIterator::<C>::box_ret_in_fcinfo(fcinfo, ret) }
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
        unsafe { TableIterator::<C>::ret_from_fcinfo_fcx(fcinfo) }
    }

    unsafe fn finish_call_fcinfo(fcinfo: pg_sys::FunctionCallInfo) {
        // SAFETY: as the caller promises.
        unsafe { TableIterator::<C>::finish_call_fcinfo(fcinfo) }
    }
}
