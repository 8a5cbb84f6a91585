//! ◆ Pure: messages and their threads, in an order that is never in doubt.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::World;
use crate::ids;
use crate::model::{Channel, Lookup, Message, Person, Side};

impl World {
    /// Graph's id of the thread between a person and their account.
    pub(crate) fn conversation_id(&self, person: &Person) -> String {
        let account = &person.account;
        match account.channel {
            Channel::Instagram => {
                let thread = ids::instagram_thread(self.seed, &account.id, &person.id);
                ids::instagram_conversation_id(&account.id, &thread)
            }
            Channel::Messenger => ids::messenger_thread(self.seed, &account.id, &person.id),
        }
    }

    /// When a new message of this thread happens: `at`, or 1 ms after the newest one, so that order is never in doubt.
    pub(crate) fn next_time(&self, person: &str, at: DateTime<Utc>, moved: bool) -> DateTime<Utc> {
        let at = DateTime::from_timestamp_millis(at.timestamp_millis()).unwrap_or(at);
        if moved {
            return at;
        }
        let newest = self.newest(person).map(|message| message.at + TimeDelta::milliseconds(1));
        newest.map_or(at, |newest| newest.max(at))
    }

    pub(crate) fn newest(&self, person: &str) -> Option<&Message> {
        let mids = self.threads.get(person)?;
        mids.iter().filter_map(|mid| self.messages.get(mid)).max_by_key(|message| message.at)
    }

    /// A new message id of the thread with `person`.
    pub(crate) fn mint_mid(&mut self, person: &Person, at: DateTime<Utc>) -> String {
        let number = self.mint();
        let noise = ids::digits(self.seed, &["noise", &number], 18).parse().unwrap_or(0);
        let created_us = u64::try_from(at.timestamp_micros()).unwrap_or(0);
        let account = &person.account.id;
        match person.account.channel {
            Channel::Instagram => {
                let thread = ids::instagram_thread(self.seed, account, &person.id);
                ids::InstagramMid::new(account, &thread, created_us, noise).encode()
            }
            Channel::Messenger => {
                ids::messenger_mid(self.seed, account, &person.id, created_us, noise)
            }
        }
    }

    /// Puts a message into its thread.
    pub(crate) fn insert_message(&mut self, message: Message) {
        let mids = self.threads.entry(message.person.clone()).or_default();
        mids.push(message.mid.clone());
        self.messages.insert(message.mid.clone(), message);
    }

    /// The messages of a thread, oldest first.
    pub(crate) fn thread(&self, person: &str) -> Vec<&Message> {
        let mids = self.threads.get(person).map(Vec::as_slice).unwrap_or_default();
        let mut messages: Vec<&Message> =
            mids.iter().filter_map(|mid| self.messages.get(mid)).collect();
        messages.sort_by_key(|message| message.at);
        messages
    }

    /// A message of one side, with nothing but the basics set.
    pub(crate) fn blank(
        &self,
        mid: &str,
        person: &Person,
        from: Side,
        at: DateTime<Utc>,
    ) -> Message {
        Message {
            mid: mid.to_owned(),
            account: person.account.clone(),
            person: person.id.clone(),
            from,
            text: None,
            attachments: Vec::new(),
            reply_to: None,
            private_reply_to: None,
            metadata: None,
            tag: None,
            sent: Value::Null,
            at,
            edits: 0,
            deleted: false,
            reactions: BTreeMap::new(),
            lookup: Lookup::Ok,
            listed: true,
        }
    }
}
