//! The arguments of a call, what a function keeps between its calls, and the rows it returns.

use pgrx::{FromDatum, IntoDatum, PgMemoryContexts, pg_sys};

use super::error::raise;
use super::memory::ensure_reserve;
use crate::error::{Error, ErrorKind};
use crate::memory;

/// Argument `index` of a call; `None` for NULL.
///
/// # Safety
/// `fcinfo` must be a live call frame with more than `index` arguments.
pub unsafe fn argument(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<pg_sys::Datum> {
    ensure_reserve();
    // SAFETY: the caller promises that the argument is there.
    let argument = unsafe { *(*fcinfo).args.as_ptr().add(index) };
    (!argument.isnull).then_some(argument.value)
}

/// The memory context of the aggregate that makes this call.
///
/// # Safety
/// `fcinfo` must be a live call frame.
pub unsafe fn aggregate_context(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::MemoryContext {
    let mut context = std::ptr::null_mut();
    // SAFETY: the caller promises a live call frame.
    if unsafe { pg_sys::AggCheckCallContext(fcinfo, &mut context) } == 0 {
        raise(
            Error::new(
                ErrorKind::InvalidParameter,
                "this function is a part of an aggregate and cannot be called by itself",
            )
            .hint("Call the aggregate, for example purchase_history(ordered_on, amount)."),
        );
    }
    context
}

/// An argument as a value; `None` where it is NULL.
///
/// # Safety
/// `fcinfo` must be a live call frame; argument `index` must have the SQL type of `T`.
pub unsafe fn read<T: FromDatum>(fcinfo: pg_sys::FunctionCallInfo, index: usize) -> Option<T> {
    // SAFETY: the caller promises the type.
    unsafe { argument(fcinfo, index).and_then(|datum| T::from_datum(datum, false)) }
}

/// What a function keeps for a query, made at the first call, in memory that lives as long as flinfo.
///
/// # Safety
/// `fcinfo` must be a live call frame, and every call of its function must ask for the same type.
pub unsafe fn call_site<'a, T>(
    fcinfo: pg_sys::FunctionCallInfo,
    new: impl FnOnce(*mut pg_sys::FmgrInfo) -> T,
) -> &'a mut T {
    // SAFETY: fn_extra is NULL or what this function put there.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        if (*flinfo).fn_extra.is_null() {
            let site = new(flinfo);
            (*flinfo).fn_extra = PgMemoryContexts::For((*flinfo).fn_mcxt).leak_and_drop_on_delete(site).cast();
        }
        &mut *(*flinfo).fn_extra.cast()
    }
}

/// A value as a column of a row; `None` is NULL.
pub fn column<T: IntoDatum>(value: Option<T>) -> Option<pg_sys::Datum> {
    value.and_then(IntoDatum::into_datum)
}

/// The row type of a function that returns rows of so many columns, found once a query and kept in fn_extra.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function that returns a row, or rows, and keeps nothing else.
pub unsafe fn row_type(fcinfo: pg_sys::FunctionCallInfo, columns: usize) -> pg_sys::TupleDesc {
    // SAFETY: fn_extra is NULL or the description that this function put there, in memory that lives as long as flinfo.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        if (*flinfo).fn_extra.is_null() {
            let description = PgMemoryContexts::For((*flinfo).fn_mcxt).switch_to(|_| {
                let mut description = std::ptr::null_mut();
                pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut description);
                pg_sys::BlessTupleDesc(description)
            });
            check_number(columns, (*description).natts as usize);
            (*flinfo).fn_extra = description.cast();
        }
        (*flinfo).fn_extra.cast()
    }
}

/// Refuses a row type that a script of another version made: a row of fewer values would be read beyond its end.
fn check_number(made: usize, expected: usize) {
    if made != expected {
        refuse_row_type(format!(
            "the library of pg_rfm makes rows of {made} columns, its SQL script expects {expected}"
        ));
    }
}

fn refuse_row_type(message: String) -> ! {
    let hint =
        "They are of two versions: install one version, start a new session, and run ALTER EXTENSION pg_rfm UPDATE.";
    raise(Error::new(ErrorKind::InvalidParameter, message).hint(hint))
}

/// Refuses to make rows of columns of these types where the declaration of the function expects others.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function that returns a set of rows.
pub unsafe fn check_attributes(fcinfo: pg_sys::FunctionCallInfo, types: &[pg_sys::Oid]) {
    let mut description = std::ptr::null_mut();
    // SAFETY: the caller promises a live call frame; the description has as many attributes as it says.
    unsafe {
        pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut description);
        check_number(types.len(), if description.is_null() { 1 } else { (*description).natts as usize });
        for (place, &made) in types.iter().enumerate() {
            let expected = pg_sys::SPI_gettypeid(description, place as i32 + 1);
            if made != expected {
                let [made, expected] = [made, expected].map(type_name);
                let place = place + 1;
                refuse_row_type(format!(
                    "the library of pg_rfm makes rows whose column {place} is {made}, its SQL script expects {expected}"
                ));
            }
        }
    }
}

/// The name of a type for a message.
fn type_name(oid: pg_sys::Oid) -> String {
    // SAFETY: format_type_be returns a string of the current memory context for every OID.
    unsafe { std::ffi::CStr::from_ptr(pg_sys::format_type_be(oid)).to_string_lossy().into_owned() }
}

/// A row of these columns.
///
/// # Safety
/// As [`row_type`]; the columns must have the types of the row.
pub unsafe fn row<const N: usize>(
    fcinfo: pg_sys::FunctionCallInfo,
    columns: [Option<pg_sys::Datum>; N],
) -> pg_sys::Datum {
    let mut values = columns.map(|column| column.unwrap_or(pg_sys::Datum::null()));
    let mut nulls = columns.map(|column| column.is_none());
    // SAFETY: the arrays are as long as the row has columns.
    unsafe {
        let tuple = pg_sys::heap_form_tuple(row_type(fcinfo, N), values.as_mut_ptr(), nulls.as_mut_ptr());
        pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)
    }
}

/// An array of rows of these columns.
///
/// # Safety
/// `fcinfo` must be a live call frame of a function that returns an array of rows; the columns must have the types of the row.
pub unsafe fn row_array<const N: usize>(
    fcinfo: pg_sys::FunctionCallInfo,
    rows: impl Iterator<Item = [Option<pg_sys::Datum>; N]>,
) -> pg_sys::Datum {
    // SAFETY: the function is in the catalog, with the type of its result; what is made lives as long as the result.
    unsafe {
        let element = pg_sys::get_element_type(pg_sys::get_func_rettype((*(*fcinfo).flinfo).fn_oid));
        let row_type = pg_sys::lookup_rowtype_tupdesc_copy(element, -1);
        check_number(N, (*row_type).natts as usize);
        let row = |columns: [Option<pg_sys::Datum>; N]| {
            let mut values = columns.map(|column| column.unwrap_or(pg_sys::Datum::null()));
            let mut nulls = columns.map(|column| column.is_none());
            let tuple = pg_sys::heap_form_tuple(row_type, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data)
        };
        let mut elements = memory::collect(rows.map(row));
        let (length, by_value, alignment) = (-1, false, b'd' as std::ffi::c_char);
        let count = elements.len() as i32;
        let array = pg_sys::construct_array(elements.as_mut_ptr(), count, element, length, by_value, alignment);
        pg_sys::Datum::from(array)
    }
}

/// The rows of a function that returns all of them at once, each of `N` columns.
pub struct ResultRows<const N: usize> {
    kept: *mut pg_sys::Tuplestorestate,
    row_type: pg_sys::TupleDesc,
}

impl<const N: usize> ResultRows<N> {
    /// No rows yet, of the function `name`.
    ///
    /// # Safety
    /// `fcinfo` must be a live call frame of a function that returns a set of rows and keeps nothing else in fn_extra.
    pub unsafe fn new(name: &str, fcinfo: pg_sys::FunctionCallInfo) -> Self {
        // SAFETY: PostgreSQL gives a ReturnSetInfo to functions that return sets; what is made lives as long as the query.
        unsafe {
            let result = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let allowed = |mode: pg_sys::SetFunctionReturnMode::Type| (*result).allowedModes & mode as i32 != 0;
            if result.is_null() || !allowed(pg_sys::SetFunctionReturnMode::SFRM_Materialize) {
                let message = format!("{name} returns rows, which cannot be used here");
                let hint = format!("Call it in FROM: CROSS JOIN LATERAL {name}(...).");
                raise(Error::new(ErrorKind::InvalidParameter, message).hint(hint));
            }
            let random_access = allowed(pg_sys::SetFunctionReturnMode::SFRM_Materialize_Random);
            let memory = (*(*result).econtext).ecxt_per_query_memory;
            let kept = PgMemoryContexts::For(memory)
                .switch_to(|_| pg_sys::tuplestore_begin_heap(random_access, false, pg_sys::work_mem));
            (*result).returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
            (*result).setResult = kept;
            ResultRows { kept, row_type: row_type(fcinfo, N) }
        }
    }

    /// Adds a row.
    ///
    /// # Safety
    /// The columns must have the types of the row; the query must not be over.
    pub unsafe fn push(&mut self, columns: [Option<pg_sys::Datum>; N]) {
        let mut values = columns.map(|column| column.unwrap_or(pg_sys::Datum::null()));
        let mut nulls = columns.map(|column| column.is_none());
        // SAFETY: the arrays are as long as the row has columns.
        unsafe { pg_sys::tuplestore_putvalues(self.kept, self.row_type, values.as_mut_ptr(), nulls.as_mut_ptr()) }
    }
}
