//! ◆ Pure: which events a client of `/v1/live` wants.

use std::collections::BTreeSet;

pub(crate) use schemas::Place;
use schemas::subjects::{EVENT_ALL, token};
use schemas::{Channel, Kind};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::Reach;
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
        Some(Self { sequence, kind, channel, account_id, conversation_id, json })
    }
}

/// Of more kinds than this all are read: the broker is asked about each subject.
const SUBJECTS_MAX: usize = 8;

/// The conditions of one client, all of which must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    channel: Option<Channel>,
    /// The accounts it wants of those it may hear; `None`: whichever.
    accounts: Option<Vec<String>>,
    conversation_id: Option<String>,
    kinds: BTreeSet<&'static str>,
}

impl Filter {
    /// Reads what a client asks for.
    ///
    /// # Errors
    /// 422 naming `kinds` when one is unknown.
    pub(crate) fn new(query: &LiveQuery, reach: &Reach) -> Result<Self, Problem> {
        let mut kinds = BTreeSet::new();
        for name in query.kinds.iter().flat_map(|kinds| kinds.split(',')).map(str::trim) {
            let kind: Kind = name.parse().map_err(|error| Problem::invalid("kinds", error))?;
            kinds.insert(kind.as_str());
        }
        Ok(Self {
            channel: query.channel,
            accounts: reach.within(query.account_id.as_deref()),
            conversation_id: query.conversation_id.clone(),
            kinds,
        })
    }

    /// Subjects that hold all the client wants, and little else: the broker skips the others.
    pub(crate) fn subjects(&self) -> Vec<String> {
        if self.channel.is_none() && self.accounts.is_none() && self.kinds.is_empty() {
            return vec![EVENT_ALL.to_owned()];
        }
        let any = || "*".to_owned();
        let channel = self.channel.map_or_else(any, |channel| channel.as_str().to_owned());
        let accounts = match &self.accounts {
            None => vec![any()],
            Some(ids) => ids.iter().map(|id| token(id).into_owned()).collect(),
        };
        let kinds: Vec<String> = self.kinds.iter().map(|kind| kind.replace('.', "-")).collect();
        let (accounts, kinds) = match accounts.len() * kinds.len().max(1) {
            _ if kinds.is_empty() => (accounts, vec![any()]),
            few if few <= SUBJECTS_MAX => (accounts, kinds),
            _ => (accounts, vec![any()]),
        };
        // It asks for none that it may hear: no account has this token.
        let accounts = if accounts.is_empty() { vec!["-".to_owned()] } else { accounts };
        let accounts = if SUBJECTS_MAX < accounts.len() { vec![any()] } else { accounts };
        let of_account = |account: &String| {
            let subject = |kind: &String| format!("inbox.v1.event.*.{channel}.{account}.{kind}");
            kinds.iter().map(subject).collect::<Vec<_>>()
        };
        accounts.iter().flat_map(of_account).collect()
    }

    /// Whether the client wants the event.
    pub(crate) fn wants(&self, event: &LiveEvent) -> bool {
        self.channel.is_none_or(|channel| channel.as_str() == event.channel)
            && self.accounts.as_ref().is_none_or(|accounts| accounts.contains(&event.account_id))
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
        Filter::new(&query, &Reach::All).unwrap().wants(&event())
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
    fn a_token_of_some_accounts_hears_no_other() {
        let filter = |account: Option<&str>, ids: &[&str]| {
            let reach = Reach::Only(ids.iter().map(|id| (*id).to_owned()).collect());
            let account_id = account.map(str::to_owned);
            Filter::new(&LiveQuery { account_id, ..LiveQuery::default() }, &reach).unwrap()
        };
        assert!(filter(None, &["1", "2"]).wants(&event()));
        assert!(!filter(None, &["2"]).wants(&event()));
        assert!(!filter(Some("1"), &["2"]).wants(&event()), "it asks for what it may not hear");
        assert_eq!(
            filter(None, &["1", "2"]).subjects(),
            ["inbox.v1.event.*.*.1.*", "inbox.v1.event.*.*.2.*"]
        );
    }

    #[test]
    fn subjects_hold_what_is_wanted() {
        let subjects = |query: LiveQuery| Filter::new(&query, &Reach::All).unwrap().subjects();
        assert_eq!(subjects(LiveQuery::default()), [EVENT_ALL]);
        let query = LiveQuery {
            channel: Some(Channel::Instagram),
            account_id: Some("a.b".into()),
            kinds: Some("message.received,reply.sent".into()),
            ..LiveQuery::default()
        };
        assert_eq!(
            subjects(query),
            [
                "inbox.v1.event.*.instagram.a%2Eb.message-received",
                "inbox.v1.event.*.instagram.a%2Eb.reply-sent"
            ]
        );
    }

    #[test]
    fn an_id_is_the_position_in_the_first_era_and_grows_with_each() {
        assert_eq!(Place { era: 0, position: 42 }.to_id(), 42);
        let later = Place { era: 2, position: 1 };
        assert!(Place { era: 1, position: u64::from(u32::MAX) }.to_id() < later.to_id());
        assert_eq!(Place::of_id(later.to_id()), later);
        assert_eq!(Place::of_id(42), Place { era: 0, position: 42 });
    }

    #[test]
    fn an_unknown_kind_is_refused_and_what_is_no_event_is_skipped() {
        assert!(
            Filter::new(
                &LiveQuery { kinds: Some("message.sung".into()), ..LiveQuery::default() },
                &Reach::All
            )
            .is_err()
        );
        assert!(LiveEvent::read(1, b"{}").is_none());
        assert!(LiveEvent::read(1, &[0xff]).is_none());
    }
}
