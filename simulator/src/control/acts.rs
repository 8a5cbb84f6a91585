//! `POST /sim/people/{id}/acts`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json;

use super::accounts;
use super::input::{Answer, Input, Refusal};
use super::people::find;
use crate::act::Act;
use crate::model::Lookup;
use crate::payload::Envelope;
use crate::people::{Person, Telling};
use crate::shared::Shared;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Say,
    Attach,
    Answer,
    QuickReply,
    FromAd,
    Unsupported,
    Edit,
    Unsend,
    React,
    Unreact,
    Read,
    Postback,
    Referral,
    Comment,
    CommentReply,
    CommentEdit,
    CommentDelete,
    TypedByColleague,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Plain,
    Senderless,
    Hint,
    CompanionBefore,
    CompanionAfter,
    CompanionTogether,
    Silent,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    Messaging,
    Standby,
    Changes,
    Flat,
}

/// Flat on purpose: a missing or wrong field can then be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    act: Kind,
    text: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
    payload: Option<String>,
    ad_id: Option<String>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    message_id: Option<String>,
    comment_id: Option<String>,
    media_id: Option<String>,
    emoji: Option<String>,
    ago_ms: Option<i64>,
    reported: Option<Report>,
    envelope: Option<Place>,
    lookup: Option<Lookup>,
    listed: Option<bool>,
    wait_ms: Option<u64>,
}

fn need<'a>(field: &str, value: Option<&'a String>) -> Result<&'a str, Refusal> {
    match value {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(Refusal::invalid(field, "is required for this act")),
    }
}

impl Request {
    fn prepare(&self, person: Person) -> Result<Person, Refusal> {
        let mut person = person;
        if let Some(ago) = self.ago_ms {
            let ago = TimeDelta::try_milliseconds(ago)
                .filter(|ago| ago.num_days().abs() <= 3650)
                .ok_or_else(|| Refusal::invalid("ago_ms", "is more than ten years"))?;
            person = person.ago(ago);
        }
        if let Some(report) = self.reported {
            person = person.reported(match report {
                Report::Plain => Telling::Plain,
                Report::Senderless => Telling::OnlyHint { sender: false },
                Report::Hint => Telling::OnlyHint { sender: true },
                Report::CompanionBefore => {
                    Telling::Companion { sender: false, first: true, together: false }
                }
                Report::CompanionAfter => {
                    Telling::Companion { sender: false, first: false, together: false }
                }
                Report::CompanionTogether => {
                    Telling::Companion { sender: true, first: false, together: true }
                }
                Report::Silent => Telling::Silent,
            });
        }
        if let Some(place) = self.envelope {
            person = person.in_envelope(match place {
                Place::Messaging => Envelope::Messaging,
                Place::Standby => Envelope::Standby,
                Place::Changes => Envelope::Changes,
                Place::Flat => Envelope::Flat,
            });
        }
        if let Some(lookup) = self.lookup {
            person = person.looked_up(lookup);
        }
        if self.listed == Some(false) {
            person = person.unlisted();
        }
        Ok(person)
    }

    fn carry_out(&self, shared: &Arc<Shared>, person: &Person) -> Result<Act, Refusal> {
        let text = || need("text", self.text.as_ref());
        let mid = || need("message_id", self.message_id.as_ref());
        let reference = || need("ref", self.reference.as_ref());
        let payload = || need("payload", self.payload.as_ref());
        let comment = || -> Result<&str, Refusal> {
            let id = need("comment_id", self.comment_id.as_ref())?;
            let known = shared.world().comments.contains_key(id);
            known.then_some(id).ok_or_else(|| Refusal::unknown("comment_id", id))
        };
        Ok(match self.act {
            Kind::Say => person.says(text()?),
            Kind::Attach => {
                let url = need("url", self.url.as_ref())?;
                person.sends_attachment(need("type", self.kind.as_ref())?, url)
            }
            Kind::Answer => person.answers(mid()?, text()?),
            Kind::QuickReply => person.taps_quick_reply(text()?, payload()?),
            Kind::FromAd => {
                let ad = need("ad_id", self.ad_id.as_ref())?;
                person.says_from_ad(text()?, ad, reference()?)
            }
            Kind::Unsupported => person.sends_unsupported(),
            Kind::Edit => person.edits(mid()?, text()?),
            Kind::Unsend => person.unsends(mid()?),
            Kind::React => person.reacts(mid()?, need("emoji", self.emoji.as_ref())?),
            Kind::Unreact => person.unreacts(mid()?),
            Kind::Read => person.reads(mid()?),
            Kind::Postback => person.taps(text()?, payload()?),
            Kind::Referral => person.follows_link(reference()?),
            Kind::Comment => {
                let media = need("media_id", self.media_id.as_ref())?;
                if !shared.world().media.contains_key(media) {
                    return Err(Refusal::unknown("media_id", media));
                }
                person.comments(media, text()?)
            }
            Kind::CommentReply => person.answers_comment(comment()?, text()?),
            Kind::CommentEdit => {
                let id = comment()?;
                let act = person.edits_comment(id, text()?);
                act.ok_or_else(|| Refusal::unknown("comment_id", id))?
            }
            Kind::CommentDelete => {
                let id = comment()?;
                let act = person.deletes_comment(id);
                act.ok_or_else(|| Refusal::unknown("comment_id", id))?
            }
            Kind::TypedByColleague => {
                accounts::find(shared, &person.account().id)?.types_by_hand(person, text()?)
            }
        })
    }
}

pub(super) async fn act(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(request): Input<Request>,
) -> Answer {
    let person = request.prepare(find(&shared, &id)?)?;
    let act = request.carry_out(&shared, &person)?;
    let accepted = match request.wait_ms {
        Some(wait) => Some(act.accepted_within(Duration::from_millis(wait)).await.is_ok()),
        None => None,
    };
    Ok(Json(json!({
        "message_id": act.mid,
        "comment_id": act.comment,
        "deliveries": act.deliveries(),
        "accepted": accepted,
    })))
}
