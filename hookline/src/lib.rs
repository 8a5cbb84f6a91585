//! What the operator's binary is made of. `main` only parses arguments and calls this.

pub mod private;
