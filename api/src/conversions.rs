//! `POST /v1/conversions`: not carried out by this version.

use crate::problem::Problem;

/// Report a conversion to Meta
///
/// Not implemented yet: the worker cannot do it.
///
/// # Errors
/// 501.
#[utoipa::path(post, path = "/v1/conversions", tag = "conversions",
    responses((status = 401, body = Problem), (status = 501, body = Problem)))]
pub(crate) async fn report() -> Problem {
    Problem::not_implemented("reporting conversions")
}
