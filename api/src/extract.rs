//! Reading requests: what cannot be understood becomes a problem that names the field.

mod body;
mod fields;
mod head;
mod query;

pub(crate) use body::{BODY_MAX, Body, Nothing};
pub(crate) use fields::{LABEL_MAX, NO_NUL, check_text, name_of, time_of};
pub(crate) use head::{Id, IdAndName, IdempotencyKey};
pub(crate) use query::{Query, wait_of};
