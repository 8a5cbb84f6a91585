//! The words of the ledger as columns.

use crate::state::{CommandState, EchoKind, Hold, PartState, SettledBy};

schemas::text_column!(CommandState, PartState, Hold, SettledBy, EchoKind);
