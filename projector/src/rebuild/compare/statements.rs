//! ◆ Pure: the statements of a comparison. They are made of what the catalog says of the tables, since a later release may have added
//! columns to one of the models; names in the catalog are our own and need no quotes.

use std::collections::BTreeMap;

use crate::store::SchemaName;

/// Rows listed of one table; all are counted.
const LISTED_MAX: usize = 100;
/// Columns that depend on when and how something was learnt, which another time is another.
const ASIDE: &[(&str, &str)] = &[
    ("parked", "first_seen"),
    ("parked", "announced"),
    ("parked", "looked"),
    ("parked", "subject"),
    ("parked", "body"),
    ("withdrawn", "reason"),
];

/// Key and columns of a table of one model.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) key: Vec<String>,
    pub(super) all: Vec<String>,
}

/// A table that both models have, with the columns that both have.
pub(super) struct Shape {
    pub(super) table: String,
    key: Vec<String>,
    columns: Vec<String>,
    /// The column with the conversation a row belongs to.
    conversation: Option<&'static str>,
}

/// The tables that both models have.
pub(super) fn shapes(
    is: BTreeMap<String, Columns>,
    should: &BTreeMap<String, Columns>,
) -> Vec<Shape> {
    is.into_iter()
        .filter_map(|(table, Columns { key, all })| {
            let others = &should.get(&table)?.all;
            let both = |column: &String| {
                others.contains(column) && !ASIDE.contains(&(table.as_str(), column.as_str()))
            };
            let columns: Vec<String> = all.into_iter().filter(both).collect();
            let conversation = match table.as_str() {
                "conversations" => Some("id"),
                _ => columns
                    .iter()
                    .any(|column| column == "conversation_id")
                    .then_some("conversation_id"),
            };
            Some(Shape { table, key, columns, conversation })
        })
        .collect()
}

impl Shape {
    /// Number of rows, and the sum of their hashes: it does not depend on their order, and one pass makes it.
    pub(super) fn digest_sql(&self, schema: &SchemaName) -> String {
        let (table, columns) = (&self.table, list(&self.columns, "t"));
        format!(
            "select count(*) as rows, coalesce(sum(hash_record_extended(row({columns}), 0)), 0)::text as digest
               from {schema}.{table} t"
        )
    }

    /// How many rows differ, by how they do.
    pub(super) fn counts_sql(&self, is: &SchemaName, should: &SchemaName) -> String {
        let (how, joined) = (self.how(), self.joined(is, should));
        format!("select {how} as how, count(*) as rows from {joined} group by 1")
    }

    /// The first rows that differ.
    pub(super) fn rows_sql(&self, is: &SchemaName, should: &SchemaName) -> String {
        let (how, joined) = (self.how(), self.joined(is, should));
        let either = |column: &str| format!("coalesce(a.{column}, b.{column})::text");
        let key: Vec<String> = self.key.iter().map(|column| either(column)).collect();
        let conversation = self.conversation.map_or("null::text".to_owned(), either);
        let differ = |c: &String| format!("case when a.{c} is distinct from b.{c} then '{c}' end");
        let differ: Vec<String> = self.columns.iter().map(differ).collect();
        format!(
            "select concat_ws(' ', {}) as id, {conversation} as conversation_id, {how} as how,
                    case when a.{first} is null or b.{first} is null then '{{}}'::text[]
                         else array_remove(array[{}]::text[], null) end as columns
               from {joined} limit {LISTED_MAX}",
            key.join(", "),
            differ.join(", "),
            first = self.key[0],
        )
    }

    fn how(&self) -> String {
        let first = &self.key[0];
        format!(
            "case when a.{first} is null then 'missing' when b.{first} is null then 'surplus' else 'changed' end"
        )
    }

    /// The rows that differ: `a` is the row that is, `b` the one that should be.
    fn joined(&self, is: &SchemaName, should: &SchemaName) -> String {
        let table = &self.table;
        let on: Vec<String> = self.key.iter().map(|k| format!("a.{k} = b.{k}")).collect();
        let (a, b) = (list(&self.columns, "a"), list(&self.columns, "b"));
        format!(
            "{is}.{table} a full join {should}.{table} b on {} where row({a}) is distinct from row({b})",
            on.join(" and ")
        )
    }
}

/// The facts of events that the other model keeps nothing of: an event may be about another row today, and is not lost then.
pub(super) fn lost_facts_sql(is: &SchemaName, should: &SchemaName) -> String {
    format!(
        "select count(*) from {is}.facts a where not exists (select 1 from {should}.facts b where b.event_id = a.event_id)"
    )
}

fn list(columns: &[String], of: &str) -> String {
    columns.iter().map(|column| format!("{of}.{column}")).collect::<Vec<_>>().join(", ")
}
