//! Messages told without their sender wait here until somebody tells: their own evidence, a later event, or Graph (contract
//! section 5, "Sender-less items"; `meta-platform.md` section 5). Waiting never blocks anything.
//!
//! [`waiting`] is the room, [`evidence`] what is known about one item, [`ladder`] the decision, [`outcome`] the facts that follow.

pub mod waiting;
