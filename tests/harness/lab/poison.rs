//! A database that refuses some rows: it stands for any bug that data can trigger.

use super::Lab;

impl Lab {
    /// From now on the database refuses facts for which `when` holds of `new`.
    pub async fn poison(&self, when: &str) {
        self.poison_in("worker.facts", when).await;
    }

    /// The same of another table.
    pub async fn poison_in(&self, table: &str, when: &str) {
        let rule = format!(
            "create or replace function public.poison() returns trigger language plpgsql as $$
                 begin raise exception 'poison' using errcode = '23514'; end $$;
             create trigger poison before insert on {table} for each row when ({when}) execute function public.poison();"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(rule)).execute(&self.pool).await.unwrap();
    }

    /// The bug is mended.
    pub async fn mend(&self) {
        self.mend_in("worker.facts").await;
    }

    /// The same of another table.
    pub async fn mend_in(&self, table: &str) {
        let mended = format!("drop trigger poison on {table}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(mended)).execute(&self.pool).await.unwrap();
    }
}
