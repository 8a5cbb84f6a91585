//! Tables that a role has not made yet count as empty.

/// As [`runtime::db::absent_is_empty`]; so does a column that an older schema lacks.
///
/// # Errors
/// Every other error of `read`.
pub(crate) fn absent_is_empty<T: Default>(read: sqlx::Result<T>) -> sqlx::Result<T> {
    const UNDEFINED_COLUMN: &str = "42703";
    match runtime::db::absent_is_empty(read) {
        Err(error) if runtime::db::code(&error).as_deref() == Some(UNDEFINED_COLUMN) => {
            Ok(T::default())
        }
        other => other,
    }
}
