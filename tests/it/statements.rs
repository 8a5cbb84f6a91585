//! Every SQL statement of the product fits the schema that the roles make: names, types, parameters, and the rows it is read into. Those that
//! functions make are made here by the same functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use house::statements::{self, Composed, Prepared, Statement, Treatment};
use house::tree::{self, Tree};
use house::{House, Sources};
use projector::SchemaName;
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Either, Executor as _, PgConnection,
    SqlSafeStr as _, Statement as _, TypeInfo as _,
};
use tests::Lab;

/// Crates whose statements name no schema: they run over the model that serves, and leases also over that of the worker.
const OVER_A_MODEL: [&str; 2] = ["projector", "runtime"];
/// Crates of developers.
const NOT_CHECKED: [&str; 3] = ["tests", "bench", "house"];

/// A database as the roles and the operator's verbs migrate it, and the schema of the model that serves.
async fn migrated() -> (Lab, PgConnection, String) {
    let lab = Lab::start().await;
    // Verbs migrate schema `ops`, no role does.
    ops::Ops::open(lab.pool().clone()).await.unwrap();
    let mut connection = lab.pool().acquire().await.unwrap().detach();
    let model: String = sqlx::query_scalar("select schema from inbox.serving")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    (lab, connection, model)
}

/// What is wrong with a statement; nothing of it stays.
async fn wrong(connection: &mut PgConnection, model: &str, statement: &Statement) -> Vec<String> {
    let mut tx = connection.begin().await.unwrap();
    if OVER_A_MODEL.contains(&statement.crate_folder.as_str()) {
        let path = AssertSqlSafe(format!("set local search_path = {model}"));
        tx.execute(path).await.unwrap();
    }
    let mut wrong = Vec::new();
    let parts = statements::split(&statement.sql);
    for part in &parts {
        let done = match statements::treatment(part) {
            Treatment::Skip(_) => continue,
            Treatment::Execute => {
                tx.execute(AssertSqlSafe(part.clone())).await.map(|_| Prepared::default())
            }
            Treatment::Prepare => prepare(&mut tx, part).await,
        };
        match done {
            Ok(prepared) if parts.len() == 1 => {
                wrong.extend(statements::judge(statement, &prepared))
            }
            Ok(_) => {}
            Err(error) => {
                wrong.push(error.to_string());
                break;
            }
        }
    }
    tx.rollback().await.unwrap();
    wrong
}

async fn prepare(connection: &mut PgConnection, sql: &str) -> sqlx::Result<Prepared> {
    let prepared = connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await?;
    let column = |column: &sqlx::postgres::PgColumn| {
        (column.name().to_owned(), column.type_info().name().to_owned())
    };
    Ok(Prepared {
        columns: prepared.columns().iter().map(column).collect(),
        parameters: match prepared.parameters() {
            Some(Either::Left(types)) => types.len(),
            Some(Either::Right(count)) => count,
            None => 0,
        },
    })
}

async fn all_wrong(
    connection: &mut PgConnection,
    model: &str,
    statements: &[Statement],
) -> Vec<String> {
    let mut found = Vec::new();
    for statement in statements {
        for wrong in wrong(connection, model, statement).await {
            let (file, line, sql) = (&statement.file, statement.line, &statement.sql);
            found.push(format!("{file}:{line}: {wrong}\n    {sql}"));
        }
    }
    found
}

/// Statements that are wrong, each in a crate, with what must be said of it.
const WRONG: [(&str, &str, &str); 8] = [
    ("worker", "sqlx::query(\"select gone from worker.facts\")", "column \"gone\" does not exist"),
    ("worker", "sqlx::query(\"select seq from positions\")", "\"positions\" does not exist"),
    ("worker", "sqlx::query(\"selekt\")", "syntax error"),
    (
        "worker",
        "sqlx::raw_sql(\"select 1; lock table worker.gone\")",
        "\"worker.gone\" does not exist",
    ),
    (
        "worker",
        "sqlx::query(\"delete from worker.positions where name = $1\").bind(a).bind(b).execute(p)",
        "2 values are bound to 1 parameters",
    ),
    (
        "worker",
        "{ #[derive(FromRow)] struct A { seq: i64, gone: i64 }
           sqlx::query_as::<_, A>(\"select seq from worker.positions\") }",
        "`A` reads `gone`: no such column",
    ),
    (
        "worker",
        "sqlx::query_as::<_, (String,)>(\"select name, seq from worker.positions\")",
        "2 columns are read as 1 values",
    ),
    (
        "worker",
        "sqlx::query_scalar::<_, i32>(\"select seq from worker.positions\")",
        "column `seq` is int8 and is read as i32",
    ),
];

/// Statements that are right.
const RIGHT: [(&str, &str); 4] = [
    ("projector", "sqlx::query(\"select seq from positions where name = $1\").bind(a).execute(p)"),
    ("worker", "sqlx::query_as::<_, (String, i64)>(\"select name, seq from worker.positions\")"),
    ("worker", "sqlx::raw_sql(\"create temp table a (b int); insert into a values (1)\")"),
    ("worker", "sqlx::query(\"set local lock_timeout = '3s'\")"),
];

async fn sample(
    connection: &mut PgConnection,
    model: &str,
    (folder, code): (&str, &str),
) -> Vec<String> {
    let file = format!("{folder}/src/lib.rs");
    let sources = Sources::of(&[(&file, &format!("fn f() {{ {code}; }}"))]).unwrap();
    let found = statements::find(&House::new(&sources), &BTreeSet::new());
    assert!(found.findings.is_empty() && found.statements.len() == 1, "{code}: {found:?}");
    all_wrong(connection, model, &found.statements).await
}

/// What the functions make that make statements, by crate and name.
async fn made(
    connection: &mut PgConnection,
    model: &str,
) -> BTreeMap<(String, String), Vec<String>> {
    let model = SchemaName::try_from(model.to_owned()).unwrap();
    let mut made: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for one in projector::composed::composed(connection, &model, &model).await.unwrap() {
        made.entry(("projector".to_owned(), one.by.to_owned())).or_default().push(one.sql);
    }
    made
}

/// The calls that send what functions make, each with everything that its function makes.
fn filled(
    calls: Vec<Composed>,
    mut made: BTreeMap<(String, String), Vec<String>>,
) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut sent = BTreeSet::new();
    for Composed { by, statement } in calls {
        let key = (statement.crate_folder.clone(), by);
        let texts = made.get(&key).unwrap_or_else(|| panic!("nobody checks what {key:?} makes"));
        statements
            .extend(texts.iter().map(|sql| Statement { sql: sql.clone(), ..statement.clone() }));
        sent.insert(key);
    }
    made.retain(|key, _| !sent.contains(key));
    assert!(made.is_empty(), "nobody sends these: {made:?}");
    statements
}

/// `create database` runs in no transaction, so it is carried out for good, and the database is dropped.
async fn create_database(connection: &mut PgConnection) {
    let name: String = sqlx::query_scalar("select current_database() || '_made'")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    let create = servers::create_database_sql(&name);
    sqlx::query(AssertSqlSafe(create)).execute(&mut *connection).await.unwrap();
    let drop = AssertSqlSafe(format!("drop database \"{name}\""));
    sqlx::query(drop).execute(&mut *connection).await.unwrap();
}

#[tokio::test]
async fn every_statement_fits_the_schema() {
    let (_lab, mut connection, model) = migrated().await;
    for (folder, code, expected) in WRONG {
        let wrong = sample(&mut connection, &model, (folder, code)).await;
        assert!(wrong.len() == 1 && wrong[0].contains(expected), "{code}: {wrong:?}");
    }
    for right in RIGHT {
        assert_eq!(sample(&mut connection, &model, right).await, [""; 0], "{right:?}");
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = Sources::parse(Tree::read(root).unwrap(), tree::packages(root).unwrap()).unwrap();
    let not_checked = NOT_CHECKED.map(str::to_owned).into();
    let mut all = statements::find(&House::new(&sources), &not_checked);
    assert!(all.findings.is_empty(), "{:?}", all.findings);
    let found = all.statements;
    assert!(found.len() > 150, "only {} statements: is the way to find them blind?", found.len());
    let mut wrong = all_wrong(&mut connection, &model, &found).await;
    // `change_sql` is executed by `least`.
    all.composed.retain(|one| !matches!(one.by.as_str(), "create_database_sql" | "change_sql"));
    let made = filled(all.composed, made(&mut connection, &model).await);
    assert!(made.len() > 30, "only {} statements are made", made.len());
    wrong.extend(all_wrong(&mut connection, &model, &made).await);
    create_database(&mut connection).await;
    assert!(wrong.is_empty(), "{} statements:\n{}", wrong.len(), wrong.join("\n"));
}
