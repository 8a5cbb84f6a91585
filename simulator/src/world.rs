//! ◆ Pure: the state of the simulated Meta. Every change takes the time it happens at; nothing here waits or sends.

mod accounts;
mod comments;
mod people;
mod threads;
pub(crate) mod tokens;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::calls::CallLog;
use crate::faults::FaultPlan;
use crate::model::{Account, AccountKey, Comment, Message, Person};
use crate::oauth::grants::Grants;

pub use accounts::INSTAGRAM_FIELDS;
pub(crate) use accounts::PAGE_FIELDS;
pub use people::PersonSpec;

/// A media (Instagram) or post (Page) that can be commented on.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Media {
    /// Its id; on Pages `{page}_{post}`.
    pub id: String,
    #[serde(skip)]
    pub(crate) account: AccountKey,
    /// Caption or text.
    pub caption: String,
    /// When it was put up.
    pub at: DateTime<Utc>,
}

/// A story that is live.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    pub(crate) account: AccountKey,
    /// Who has seen it.
    pub(crate) viewers: u32,
}

/// An event that the Conversions API has counted.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Conversion {
    /// The dataset.
    pub dataset: String,
    /// As it came.
    pub event: serde_json::Value,
    /// As it came.
    pub test_event_code: Option<String>,
}

/// A message template of a page.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Template {
    /// Meta's id of it.
    pub id: String,
    #[serde(skip)]
    pub(crate) account: AccountKey,
    /// Its name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// As they were submitted.
    pub components: serde_json::Value,
    /// `APPROVED`, `PENDING`, `REJECTED`, …
    pub status: String,
    /// Why it was rejected.
    pub reason: Option<String>,
}

/// Everything Meta knows.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) accounts: BTreeMap<AccountKey, Account>,
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) messages: HashMap<String, Message>,
    /// Mids of a person's thread, oldest first.
    pub(crate) threads: BTreeMap<String, Vec<String>>,
    pub(crate) comments: BTreeMap<String, Comment>,
    pub(crate) media: BTreeMap<String, Media>,
    pub(crate) stories: BTreeMap<String, Story>,
    pub(crate) templates: BTreeMap<String, Template>,
    /// Templates are looked at before they are approved.
    pub(crate) slow_templates: bool,
    /// What was counted, each as often as it came.
    pub(crate) conversions: Vec<Conversion>,
    /// So many answers of the Conversions API are in part.
    pub(crate) partial_conversions: u32,
    pub(crate) faults: FaultPlan,
    pub(crate) calls: CallLog,
    pub(crate) fault_random: StdRng,
    pub(crate) grants: Grants,
    minted: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World {
            seed,
            accounts: BTreeMap::new(),
            people: BTreeMap::new(),
            messages: HashMap::new(),
            threads: BTreeMap::new(),
            comments: BTreeMap::new(),
            media: BTreeMap::new(),
            stories: BTreeMap::new(),
            templates: BTreeMap::new(),
            slow_templates: false,
            conversions: Vec::new(),
            partial_conversions: 0,
            faults: FaultPlan::default(),
            calls: CallLog::default(),
            fault_random: StdRng::seed_from_u64(seed ^ 0xFA17),
            grants: Grants::default(),
            minted: 0,
        }
    }

    /// A number nobody got before.
    pub(crate) fn mint(&mut self) -> String {
        self.minted += 1;
        self.minted.to_string()
    }
}
