//! Statements over `worker.secrets`: what came with a webhook and must not be published, sealed.

use sqlx::PgConnection;

use crate::draft::Draft;
use crate::error::FactError;
use crate::published::Placed;
use crate::seal::Seal;

/// Seals what must not be published.
pub(super) async fn record(
    conn: &mut PgConnection,
    seal: &Seal,
    placed: &[Placed],
    known: &[Draft],
) -> Result<(), FactError> {
    for draft in placed.iter().map(|one| &one.planned.draft).chain(known) {
        for secret in &draft.secrets {
            let id = draft.event.id.as_str();
            let sealed = seal.seal(&context(id, secret.name), &secret.value)?;
            sqlx::query(
                "insert into worker.secrets (event_id, name, sealed) values ($1, $2, $3) on conflict (event_id, name) do nothing",
            )
            .bind(id)
            .bind(secret.name)
            .bind(sealed)
            .execute(&mut *conn)
            .await?;
        }
    }
    Ok(())
}

/// What a sealed webhook secret is bound to.
pub(super) fn context(event_id: &str, name: &str) -> String {
    format!("webhook-secret/{event_id}/{name}")
}
