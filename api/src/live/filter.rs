//! ◆ Pure: which events a client of `/v1/live` wants.

use std::collections::BTreeSet;

use runtime::streams::Era;
use schemas::{Channel, Kind};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::problem::Problem;

/// What a client may ask for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiveQuery {
    /// Only this channel: `instagram` or `messenger`.
    #[param(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Only this account.
    pub account_id: Option<String>,
    /// Only this conversation.
    pub conversation_id: Option<String>,
    /// Only these kinds, separated by commas, such as `message.received,reply.sent`.
    pub kinds: Option<String>,
    /// As the header `Last-Event-ID`, for clients that cannot set headers.
    pub last_event_id: Option<String>,
}

/// An event with what filters look at.
#[derive(Clone, Debug)]
pub(crate) struct LiveEvent {
    /// Its position in INBOX_EVENTS.
    pub sequence: u64,
    /// The era of INBOX_EVENTS; `None` where it is not known.
    pub era: Option<Era>,
    /// Its kind.
    pub kind: String,
    /// Its channel.
    pub channel: String,
    /// Its account.
    pub account_id: String,
    /// Its conversation.
    pub conversation_id: Option<String>,
    /// The event as it was published.
    pub json: String,
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    data: Common,
}

#[derive(Deserialize)]
struct Common {
    channel: String,
    account_id: String,
    conversation_id: Option<String>,
}

impl LiveEvent {
    /// Reads a message of INBOX_EVENTS; `None` for one that is no event.
    pub(crate) fn read(sequence: u64, payload: &[u8]) -> Option<Self> {
        let json = std::str::from_utf8(payload).ok()?;
        let envelope: Envelope = serde_json::from_str(json).ok()?;
        let kind = envelope
            .kind
            .strip_prefix("hookline.")
            .and_then(|kind| kind.strip_suffix(".v1"))?
            .to_owned();
        let Common { channel, account_id, conversation_id } = envelope.data;
        // A line break would end a line of the stream; JSON has them between tokens only.
        let json = json.replace(['\n', '\r'], " ");
        Some(Self { sequence, era: None, kind, channel, account_id, conversation_id, json })
    }
}

impl LiveEvent {
    /// Its id for clients that resume: the position, and the beginning of the era that it is of.
    pub(crate) fn id(&self) -> String {
        match &self.era {
            Some(era) => format!("{}.{}", self.sequence, era.short()),
            None => self.sequence.to_string(),
        }
    }
}

/// Where a client resumes: an id of an event, or a bare position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    /// After this position.
    pub position: u64,
    /// Of an era that begins so.
    era: Option<String>,
}

impl Resume {
    /// Reads an id. `None`: it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (position, era) = match text.split_once('.') {
            Some((position, era)) => (position, Some(era)),
            None => (text, None),
        };
        let era = match era {
            Some(era) if era.len() == 8 && era.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                Some(era.to_owned())
            }
            Some(_) => return None,
            None => None,
        };
        Some(Self { position: position.parse().ok()?, era })
    }

    /// Whether it may be of this era.
    pub(crate) fn is_of(&self, era: Era) -> bool {
        self.era.as_ref().is_none_or(|own| own == era.short())
    }
}

/// The conditions of one client, all of which must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    channel: Option<Channel>,
    account_id: Option<String>,
    conversation_id: Option<String>,
    kinds: BTreeSet<&'static str>,
}

impl Filter {
    /// Reads what a client asks for.
    ///
    /// # Errors
    /// 422 naming `kinds` when one is unknown.
    pub(crate) fn new(query: &LiveQuery) -> Result<Self, Problem> {
        let mut kinds = BTreeSet::new();
        for name in query.kinds.iter().flat_map(|kinds| kinds.split(',')).map(str::trim) {
            let kind: Kind = name.parse().map_err(|error| Problem::invalid("kinds", error))?;
            kinds.insert(kind.as_str());
        }
        Ok(Self {
            channel: query.channel,
            account_id: query.account_id.clone(),
            conversation_id: query.conversation_id.clone(),
            kinds,
        })
    }

    /// Whether the client wants the event.
    pub(crate) fn wants(&self, event: &LiveEvent) -> bool {
        self.channel.is_none_or(|channel| channel.as_str() == event.channel)
            && self.account_id.as_ref().is_none_or(|account| *account == event.account_id)
            && (self.conversation_id.is_none() || self.conversation_id == event.conversation_id)
            && (self.kinds.is_empty() || self.kinds.contains(event.kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> LiveEvent {
        let json = r#"{"type":"hookline.message.received.v1","data":{"channel":"instagram","account_id":"1","conversation_id":"cnv_a","text":"x"}}"#;
        LiveEvent::read(7, json.as_bytes()).unwrap()
    }

    fn wants(query: LiveQuery) -> bool {
        Filter::new(&query).unwrap().wants(&event())
    }

    #[test]
    fn all_conditions_must_hold() {
        assert!(wants(LiveQuery::default()));
        assert!(wants(LiveQuery {
            channel: Some(Channel::Instagram),
            account_id: Some("1".into()),
            conversation_id: Some("cnv_a".into()),
            kinds: Some("reply.sent, message.received".into()),
            ..LiveQuery::default()
        }));
        assert!(!wants(LiveQuery { channel: Some(Channel::Messenger), ..LiveQuery::default() }));
        assert!(!wants(LiveQuery { account_id: Some("2".into()), ..LiveQuery::default() }));
        assert!(!wants(LiveQuery {
            conversation_id: Some("cnv_b".into()),
            ..LiveQuery::default()
        }));
        assert!(!wants(LiveQuery { kinds: Some("reply.sent".into()), ..LiveQuery::default() }));
    }

    #[test]
    fn an_id_resumes_in_its_own_era_only() {
        let (one, two) = (Era::random(), Era::random());
        let event = LiveEvent { era: Some(one), ..event() };
        let resume = Resume::parse(&event.id()).unwrap();
        assert_eq!(resume.position, 7);
        assert!(resume.is_of(one) && !resume.is_of(two));
        assert!(Resume::parse("7").unwrap().is_of(two), "a bare position");
        for wrong in ["", "x", "7.", "7.xyz", ".12345678", "7.1234567g"] {
            assert_eq!(Resume::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_and_what_is_no_event_is_skipped() {
        assert!(
            Filter::new(&LiveQuery { kinds: Some("message.sung".into()), ..LiveQuery::default() })
                .is_err()
        );
        assert!(LiveEvent::read(1, b"{}").is_none());
        assert!(LiveEvent::read(1, &[0xff]).is_none());
    }
}
