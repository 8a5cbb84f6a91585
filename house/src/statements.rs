//! ◆ Pure. Every SQL statement of the product, found in its sources.
//!
//! A statement is a string literal, or a constant of one, given straight to sqlx: then it can be found here, and a test can prepare it
//! against the migrated schema (`judge` compares). Where Postgres takes no parameter, a function whose name ends in `_sql` makes the
//! statement: the same test calls it and prepares what it returns. What is neither is a finding.

mod by_hand;
mod calls;
mod commands;
mod find;
mod finder;
mod judge;
mod rows;
mod texts;
mod visit;

pub use commands::{Treatment, split, treatment};
pub use find::find;
pub use judge::{Prepared, judge};

use crate::Finding;

/// A statement, and what the code around it expects of it.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Folder of the crate that has it.
    pub crate_folder: String,
    /// Path from the root.
    pub file: String,
    /// Of the call.
    pub line: usize,
    /// SQL.
    pub sql: String,
    /// How many values are bound. `None`: not visible in one chain of calls.
    pub binds: Option<usize>,
    /// What its rows are read into.
    pub row: Row,
}

/// A call whose statement is made while the program runs.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The function that makes it; its name ends in `_sql`.
    pub by: String,
    /// Without its SQL.
    pub statement: Statement,
}

/// What the rows of a statement are read into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// Nothing: it is executed, or its rows are read by hand.
    Nothing,
    /// One value, of this type where that is written.
    Scalar(Option<String>),
    /// As many values as the statement has columns.
    Tuple(Vec<String>),
    /// A struct with `#[derive(FromRow)]`.
    Struct {
        /// Its name.
        name: String,
        /// What it reads.
        fields: Vec<Field>,
    },
}

/// A column that a struct reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the column.
    pub column: String,
    /// Type, without spaces. Empty: read in a way that says nothing of the column's type.
    pub kind: String,
    /// The column may be missing (`#[sqlx(default)]`).
    pub optional: bool,
}

/// All statements of the product.
#[derive(Debug, Default)]
pub struct Statements {
    /// Those that can be read.
    pub statements: Vec<Statement>,
    /// Those that a function makes: the test has to know each of these functions.
    pub composed: Vec<Composed>,
    /// Calls that nobody can prepare from outside: composed when the program runs, or read into a row that is not named.
    pub findings: Vec<Finding>,
    /// Columns read by hand.
    pub try_gets: Vec<Finding>,
}
