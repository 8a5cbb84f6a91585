//! ◆ Pure. What the code expects of a statement, against what Postgres says of it.

use super::{Row, Statement};

/// What Postgres says of a prepared statement.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Names and types of the columns, types as Postgres spells them in `pg_type`, in any case (`INT8`, `TEXT[]`).
    pub columns: Vec<(String, String)>,
    /// How many `$n` it has.
    pub parameters: usize,
}

/// What does not fit, as sentences. A column that is meant to be ignored has a name that begins with `_`.
#[must_use]
pub fn judge(statement: &Statement, prepared: &Prepared) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(binds) = statement.binds.filter(|binds| *binds != prepared.parameters) {
        wrong.push(format!("{binds} values are bound to {} parameters", prepared.parameters));
    }
    let columns = || prepared.columns.iter().filter(|(name, _)| !name.starts_with('_'));
    match &statement.row {
        Row::Nothing => {}
        Row::Scalar(kind) => {
            if columns().count() != 1 {
                wrong.push(format!("{} columns are read as one value", columns().count()));
            } else if let (Some(kind), Some((name, column))) = (kind, columns().next()) {
                wrong.extend(misread(name, kind, column));
            }
        }
        Row::Tuple(kinds) => {
            if kinds.len() != columns().count() {
                let columns = columns().count();
                wrong.push(format!("{columns} columns are read as {} values", kinds.len()));
            }
            for (kind, (name, column)) in kinds.iter().zip(columns()) {
                wrong.extend(misread(name, kind, column));
            }
        }
        Row::Struct { name, fields } => {
            for field in fields {
                match prepared.columns.iter().find(|(column, _)| *column == field.column) {
                    Some((column, kind)) => wrong.extend(misread(column, &field.kind, kind)),
                    None if field.optional => {}
                    None => {
                        wrong.push(format!("`{name}` reads `{}`: no such column", field.column))
                    }
                }
            }
            for (column, _) in columns() {
                if !fields.iter().any(|field| field.column == *column) {
                    wrong.push(format!("column `{column}` is read by no field of `{name}`"));
                }
            }
        }
    }
    wrong
}

/// Types that Rust reads from one kind of column only. What is not here is not compared.
const TYPES: [(&str, &[&str]); 11] = [
    ("bool", &["bool"]),
    ("i16", &["int2"]),
    ("i32", &["int4"]),
    ("i64", &["int8"]),
    ("f32", &["float4"]),
    ("f64", &["float8"]),
    ("String", &["text", "varchar", "name", "bpchar", "citext", "unknown"]),
    ("Vec<u8>", &["bytea"]),
    ("Value", &["json", "jsonb"]),
    ("DateTime<Utc>", &["timestamptz"]),
    ("NaiveDateTime", &["timestamp"]),
];

fn misread(column: &str, kind: &str, postgres: &str) -> Option<String> {
    let postgres = postgres.trim_matches('"').to_lowercase();
    let mut inner = kind;
    while let Some(within) = inner.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')) {
        inner = within;
    }
    let (inner, array) = match inner.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
        Some(element) if inner != "Vec<u8>" => (element, true),
        _ => (inner, false),
    };
    let named = |name: &str| inner == name || inner.ends_with(&format!("::{name}"));
    let json = inner.starts_with("Json<") || inner.contains("::Json<");
    let allowed = match TYPES.iter().find(|(name, _)| named(name)) {
        Some((_, allowed)) => *allowed,
        None if json => &["json", "jsonb"],
        None => return None,
    };
    let element = postgres.strip_suffix("[]").unwrap_or(&postgres);
    let fits = array == postgres.ends_with("[]") && allowed.contains(&element);
    (!fits).then(|| format!("column `{column}` is {postgres} and is read as {kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::Field;

    fn red(binds: usize, row: Row) -> Vec<String> {
        let statement = Statement {
            crate_folder: "a".to_owned(),
            file: "a/src/lib.rs".to_owned(),
            line: 1,
            sql: String::new(),
            binds: Some(binds),
            row,
        };
        let column = |name: &str, kind: &str| (name.to_owned(), kind.to_owned());
        let columns = vec![column("id", "INT8"), column("texts", "TEXT[]"), column("_all", "INT8")];
        judge(&statement, &Prepared { columns, parameters: 1 })
    }

    fn row(fields: &[(&str, &str)]) -> Row {
        let field = |(column, kind): &(&str, &str)| Field {
            column: (*column).to_owned(),
            kind: (*kind).to_owned(),
            optional: *column == "perhaps",
        };
        Row::Struct { name: "Found".to_owned(), fields: fields.iter().map(field).collect() }
    }

    #[test]
    fn values_are_bound_to_all_parameters() {
        assert_eq!(red(1, Row::Nothing), [""; 0]);
        assert_eq!(red(2, Row::Nothing), ["2 values are bound to 1 parameters"]);
    }

    #[test]
    fn every_field_has_a_column_and_every_column_a_field() {
        let whole = [("id", "i64"), ("texts", "Vec<String>"), ("perhaps", "i64")];
        assert_eq!(red(1, row(&whole)), [""; 0]);
        assert_eq!(red(1, row(&whole[..1])), ["column `texts` is read by no field of `Found`"]);
        let more = [("id", "i64"), ("texts", ""), ("gone", "i64")];
        assert_eq!(red(1, row(&more)), ["`Found` reads `gone`: no such column"]);
        let two = ["Option<i64>".to_owned(), "Thing".to_owned()];
        assert_eq!(red(1, Row::Tuple(two.to_vec())), [""; 0]);
        assert_eq!(red(1, Row::Tuple(two[..1].to_vec())), ["2 columns are read as 1 values"]);
        assert_eq!(red(1, Row::Scalar(None)), ["2 columns are read as one value"]);
    }

    #[test]
    fn a_value_is_read_as_what_it_is() {
        let fields = [("id", "i32"), ("texts", "Option<String>")];
        assert_eq!(
            red(1, row(&fields)),
            [
                "column `id` is int8 and is read as i32",
                "column `texts` is text[] and is read as Option<String>"
            ]
        );
        assert!(misread("a", "Option<sqlx::types::Json<Thing>>", "JSONB").is_none());
        assert!(misread("a", "serde_json::Value", "TEXT").is_some());
        assert!(misread("a", "Vec<u8>", "BYTEA").is_none());
        assert!(misread("a", "Timestamp", "INT8").is_none(), "ours: not compared");
    }
}
