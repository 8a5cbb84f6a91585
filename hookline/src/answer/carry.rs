//! Carries out one request with the function of its verb.

use std::time::{Duration, Instant};

use ops::{Answer, Ask, Asked, Ops, Sending, Why};
use runtime::broker::Broker;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::Mutex;
use worker::outbound::admin;

use super::plan;
use super::refusal::refusal;
use crate::send::act::{self, Act};
use crate::send::scope::{self, KnownScope};
use crate::status::{self, Reader};
use crate::trace::{self, Reveal};
use crate::{connect, jobs};

/// How long a status is shown again: many may look, and each look asks the broker about every reader.
const STATUS_KEPT: Duration = Duration::from_secs(1);
/// As the api calls what a freeze covers.
const SCOPE_FIELDS: [&str; 2] = ["account_id", "conversation"];

/// The connections that requests are carried out by.
pub(super) struct Carrier {
    pub(super) broker: Broker,
    pub(super) pool: PgPool,
    status: Mutex<Option<(Instant, Value)>>,
}

impl Carrier {
    pub(super) fn new(broker: Broker, pool: PgPool) -> Self {
        Self { broker, pool, status: Mutex::default() }
    }

    /// Does what is asked for, or says why not.
    pub(super) async fn carry_out(&self, asked: Asked) -> Answer {
        let Asked { who, ask } = asked;
        self.done(&who, ask).await.unwrap_or_else(|error| {
            let refused = refusal(&error);
            if matches!(refused, Answer::Refused { why: Why::Internal, .. }) {
                tracing::error!(error = format!("{error:#}"), "A request of an operator failed");
            }
            refused
        })
    }

    async fn done(&self, who: &str, ask: Ask) -> anyhow::Result<Answer> {
        connect::made_by_worker(&self.pool).await?;
        let body = match ask {
            Ask::Status {} => self.status().await?,
            Ask::Trace { id, reveal } => {
                let reveal = reveal.as_deref().map(|reason| Reveal { who, reason });
                match trace::find(&self.pool, self.broker.js(), &id, reveal).await? {
                    Some(found) => serde_json::to_value(found)?,
                    None => return Ok(Answer::refused(Why::NotFound, trace::unknown(&id))),
                }
            }
            Ask::Freezes {} => {
                json!({"freezes": serde_json::to_value(admin::freezes(&self.pool).await?)?})
            }
            Ask::Freeze(wanted) => {
                let scope = self.scope(&wanted).await?;
                serde_json::to_value(act::freeze(&self.pool, &scope, by(who, &wanted)).await?)?
            }
            Ask::Thaw(wanted) => {
                let scope = self.scope(&wanted).await?;
                serde_json::to_value(act::thaw(&self.pool, &scope, by(who, &wanted)).await?)?
            }
            Ask::PlanRedrive { act, wanted } => plan::plan(&self.pool, who, act, &wanted).await?,
            Ask::Redrive { act, plan_id, reason } => {
                return plan::start(&self.pool, who, act, &plan_id, &reason).await;
            }
            Ask::Job { id, wish, reason } => {
                let ops = Ops::as_it_is(self.pool.clone());
                let Some(job) = ops.job(&id).await? else {
                    return Ok(Answer::refused(Why::NotFound, format!("no job `{id}`")));
                };
                jobs::wish::wish(&ops, &job, wish, who, Some(&reason)).await?;
                json!({"id": id})
            }
        };
        Ok(Answer::Done { body })
    }

    /// Read once for all who ask at the same time.
    async fn status(&self) -> anyhow::Result<Value> {
        let mut kept = self.status.lock().await;
        if let Some((at, status)) = kept.as_ref()
            && at.elapsed() < STATUS_KEPT
        {
            return Ok(status.clone());
        }
        let reader = Reader {
            config: self.broker.config().clone(),
            js: self.broker.js().clone(),
            pool: self.pool.clone(),
        };
        let (status, _) = status::once(&reader).await?;
        let status = serde_json::to_value(status)?;
        *kept = Some((Instant::now(), status.clone()));
        Ok(status)
    }

    async fn scope(&self, wanted: &Sending) -> anyhow::Result<KnownScope> {
        let (account, conversation) =
            (wanted.account_id.as_deref(), wanted.conversation.as_deref());
        scope::find(&self.pool, SCOPE_FIELDS, account, conversation).await
    }
}

fn by<'a>(who: &'a str, wanted: &'a Sending) -> Act<'a> {
    Act { who, reason: Some(&wanted.reason), dry_run: false }
}
