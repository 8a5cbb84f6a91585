//! Asks the role `ops`: it has the rights that the api does not have, and calls the functions of the verbs (docs/decisions/50).

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::client::{Request, RequestErrorKind};
use ops::{Answer, Ask, Asked, Why};
use runtime::vouch;
use schemas::subjects;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::auth::Caller;
use crate::problem::Problem;

/// How long it may take: a status asks the broker about every reader.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

impl App {
    /// Has it done, and returns what the verb would print.
    ///
    /// # Errors
    /// What the role refuses; 503 where no process of it answers in time. An act may be done then all the same: look, then repeat it.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        caller: &Caller,
        ask: Ask,
    ) -> Result<T, Problem> {
        let asked = Asked { who: caller.name.clone(), ask };
        let body = serde_json::to_vec(&asked).map_err(|_| Problem::internal())?;
        if !self.broker.is_connected() {
            return Err(Problem::unavailable("the broker is not reachable"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(vouch::HEADER, self.vouch.of(&body).as_str());
        let request =
            Request::new().payload(body.into()).headers(headers).timeout(Some(ANSWER_WAIT));
        let answer = self
            .broker
            .client()
            .send_request(subjects::OPS, request)
            .await
            .map_err(|error| unanswered(error.kind()))?;
        match serde_json::from_slice(&answer.payload) {
            Ok(Answer::Done { body }) => serde_json::from_value(body).map_err(|_| other_release()),
            Ok(Answer::Refused { why, message }) => Err(refused(why, message)),
            Err(_) => Err(other_release()),
        }
    }
}

fn other_release() -> Problem {
    Problem::unavailable("the role `ops` is of another release: start that of the api's release")
}

fn unanswered(kind: RequestErrorKind) -> Problem {
    Problem::unavailable(match kind {
        RequestErrorKind::NoResponders => "no process of the role `ops` runs: start `hookline ops`",
        RequestErrorKind::TimedOut => {
            "the role `ops` did not answer in time; whether it was done is unknown: look, then repeat it"
        }
        _ => "the broker did not deliver the request to the role `ops`: repeat it",
    })
}

fn refused(why: Why, message: String) -> Problem {
    match why {
        Why::NotFound => Problem::not_found(message),
        Why::Invalid => match message.split_once(": ") {
            Some((field, reason)) => Problem::invalid(field, reason),
            None => Problem::invalid("body", message),
        },
        Why::PlanStale => Problem::not_now("plan_stale", message),
        Why::NotNow => Problem::not_now("refused", message),
        Why::TooLarge => Problem::too_large(message),
        Why::Unavailable | Why::NotUnderstood => Problem::unavailable(message),
        Why::Internal => Problem::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_field_and_keeps_its_status() {
        let status = |why| refused(why, "account_id: no account `1`".to_owned()).status().as_u16();
        let all = [Why::NotFound, Why::Invalid, Why::PlanStale, Why::NotNow, Why::Unavailable];
        assert_eq!(all.map(status), [404, 422, 409, 409, 503]);
        let problem = serde_json::to_value(refused(Why::Invalid, "account_id: no".to_owned()));
        assert_eq!(problem.expect("it is JSON")["field"], "account_id");
    }
}
