use super::*;
use crate::Sources;
use crate::statements::Field;
use crate::statements::Row;

fn found(code: &str) -> Statements {
    let texts = [("a/src/lib.rs", code), ("a/src/one.sql", "select one")];
    let sources = Sources::of(&texts).expect("the sample is Rust");
    find(&House::new(&sources), &BTreeSet::new())
}

fn texts(code: &str) -> Vec<String> {
    found(code).statements.into_iter().map(|statement| statement.sql).collect()
}

fn red(code: &str) -> Vec<String> {
    found(code).findings.into_iter().map(|finding| finding.to_string()).collect()
}

fn row(code: &str) -> Row {
    found(code).statements.remove(0).row
}

#[test]
fn a_statement_is_a_literal_or_a_constant_of_one() {
    assert_eq!(texts("fn f() { sqlx::query(\"a\"); }"), ["a"]);
    assert_eq!(texts("use sqlx::query_scalar; fn f() { query_scalar(\"a\").fetch_one(x) }"), ["a"]);
    assert_eq!(
        texts("mod b { pub const A: &str = \"a\"; } fn f() { sqlx::raw_sql(b::A); }"),
        ["a"]
    );
    assert_eq!(texts("fn f() { const A: &str = concat!(\"a\", \"b\"); sqlx::query(A); }"), ["ab"]);
    assert_eq!(texts("fn f() { sqlx::query(include_str!(\"one.sql\")); }"), ["select one"]);
    assert_eq!(
        texts("struct S; impl S { const A: &str = \"a\"; fn f() { sqlx::query(Self::A); } }"),
        ["a"]
    );
    assert_eq!(
        texts("fn f() { let a = if x { \"a\" } else { \"b\" }; sqlx::query(a); }"),
        ["a", "b"]
    );
    assert_eq!(texts("fn f() { for a in [\"a\", \"b\"] { sqlx::query(a); } }"), ["a", "b"]);
    assert_eq!(
        texts("fn f() { for (a, b) in [(1, \"a\"), (2, \"b\")] { sqlx::query(b); } }"),
        ["a", "b"]
    );
    assert_eq!(texts("fn f() { connection.execute(\"a\"); }"), ["a"]);
    assert_eq!(texts("fn f() { join!(sqlx::query(\"a\"), b) }"), ["a"]);
    assert_eq!(texts("#[cfg(test)] mod tests { fn f() { sqlx::query(\"a\"); } }"), [""; 0]);
}

#[test]
fn a_function_that_makes_a_statement_is_listed() {
    for code in [
        "fn f() { sqlx::query(AssertSqlSafe(copy_sql(a))).bind(b).execute(x) }",
        "fn f() { let a = self.copy_sql(a); sqlx::query(AssertSqlSafe(a)).bind(b).execute(x) }",
        "fn g(t: String) { sqlx::query(AssertSqlSafe(t)).bind(b).execute(x) } fn f() { g(copy_sql(a)) }",
    ] {
        let found = found(code);
        let composed: Vec<_> =
            found.composed.iter().map(|one| (one.by.as_str(), one.statement.binds)).collect();
        assert_eq!(composed, [("copy_sql", Some(1))], "{code}");
        assert!(found.findings.is_empty() && found.statements.is_empty(), "{code}");
    }
    assert_eq!(red("fn f() { sqlx::query(AssertSqlSafe(copy(a))); }").len(), 1);
}

#[test]
fn what_is_composed_when_the_program_runs_is_refused() {
    for code in [
        "fn f() {\n sqlx::query(AssertSqlSafe(format!(\"a {b}\"))); }",
        "fn f() {\n sqlx::query(&text); }",
        "fn f() {\n sqlx::query_scalar::<_, i64>(self.text()); }",
        "fn f() { let mut a = \"a\"; a = b;\n sqlx::query(a); }",
        "fn f() {\n connection.execute(AssertSqlSafe(text)); }",
        "fn f() {\n let a = sqlx::QueryBuilder::new(\"a\"); }",
        "fn f() { select! { a = b =>\n sqlx::query(\"a\") } }",
    ] {
        let red = red(code);
        assert!(red.len() == 1 && red[0].starts_with("a/src/lib.rs:2: "), "{code}: {red:?}");
    }
}

#[test]
fn the_statements_of_a_helper_are_those_of_its_callers() {
    let helper = "fn h(pool: &P, sql: &'static str) { sqlx::query(sql).bind(1).execute(pool) }";
    let call = format!("fn f() {{ h(pool, \"a\"); crate::h(pool, \"b\") }} {helper}");
    assert_eq!(texts(&call), ["a", "b"]);
    assert_eq!(found(&call).statements[0].binds, Some(1));
    assert_eq!(red(&format!("{helper} fn f() {{ h(pool, &format!(\"a\")) }}")).len(), 1);
    let method = "impl S { fn h(&self, sql: &'static str) { sqlx::query(sql); } fn f(&self) { self.h(\"a\") } }";
    assert_eq!(texts(method), ["a"]);
}

#[test]
fn binds_are_counted_where_the_chain_is_whole() {
    let binds = |code: &str| found(code).statements[0].binds;
    assert_eq!(binds("fn f() { sqlx::query(\"a\").bind(1).bind(2).execute(p).await?; }"), Some(2));
    assert_eq!(binds("fn f() { sqlx::query(\"a\").bind(1); }"), None);
    assert_eq!(binds("fn f() { sqlx::query_with(\"a\", b).execute(p); }"), None);
}

#[test]
fn rows_are_found_by_their_type() {
    let tuple = Row::Tuple(vec!["i64".to_owned(), "Option<String>".to_owned()]);
    assert_eq!(row("fn f() { sqlx::query_as::<_, (i64, Option<String>)>(\"a\"); }"), tuple);
    let written =
        "let a: sqlx::Result<Vec<(i64, Option<String>)>> = sqlx::query_as(\"a\").fetch_all(p)";
    assert_eq!(row(&format!("fn f() {{ {written}.await; }}")), tuple);
    let scalar =
        "fn f() { let a: Option<i64> = sqlx::query_scalar(\"a\").fetch_optional(p).await?; }";
    assert_eq!(row(scalar), Row::Scalar(Some("i64".to_owned())));
    assert_eq!(red("fn f() { let a = sqlx::query_as(\"a\").fetch_all(p).await?; }").len(), 1);
}

#[test]
fn the_fields_of_a_row_name_its_columns() {
    let code = "
        #[derive(Debug, sqlx::FromRow)]
        #[sqlx(rename_all = \"camelCase\")]
        struct Found {
            account_id: i64,
            #[sqlx(rename = \"type\")]
            kind: String,
            #[sqlx(default)]
            perhaps: bool,
            #[sqlx(skip)]
            ours: Thing,
            #[sqlx(json(nullable))]
            data: Thing,
            #[sqlx(try_from = \"i32\")]
            number: u32,
            #[sqlx(flatten)]
            more: More,
        }
        #[derive(FromRow)]
        struct More { r#type: Vec<u8> }
        fn f() -> Result<Vec<Found>, Error> { sqlx::query_as(\"a\").fetch_all(p).await }";
    let field = |column: &str, kind: &str| Field {
        column: column.to_owned(),
        kind: kind.to_owned(),
        optional: column == "perhaps",
    };
    let fields = vec![
        field("accountId", "i64"),
        field("type", "String"),
        field("perhaps", "bool"),
        field("data", "Json<_>"),
        field("number", "i32"),
        field("type", "Vec<u8>"),
    ];
    assert_eq!(row(code), Row::Struct { name: "Found".to_owned(), fields });
}
