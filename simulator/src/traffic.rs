//! Demo traffic: people with names who write, edit, react, read and comment, at a bounded rate, as the seed decides.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::account::AccountHandle;
use crate::error::{Invalid, SimulatorError};
use crate::handle::SimulatorHandle;
use crate::model::{AccountSpec, Channel, Login, Side};
use crate::people::{Person, Telling};
use crate::shared::{Shared, locked};

/// How much goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// People per account, 1 to 500.
    pub people: usize,
    /// Acts per minute over all accounts, more than 0 and at most 6000.
    pub per_minute: f64,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic { people: 6, per_minute: 12.0 }
    }
}

const NAMES: [&str; 12] = [
    "Ann Berg",
    "Jonas Lindqvist",
    "Zeynep Kaya",
    "Marta Nowak",
    "Luca Ferri",
    "Amira Haddad",
    "Søren Holm",
    "Chloé Martin",
    "Kenji Mori",
    "Olu Adeyemi",
    "Inês Duarte",
    "Petra Vogel",
];
const QUESTIONS: [&str; 10] = [
    "Hi, is the blue lamp still in stock?",
    "Do you ship to Norway?",
    "How long does delivery take? 📦",
    "Can I pick it up in the shop on Saturday?",
    "The switch of my lamp is broken 😢 what can I do?",
    "Which bulb fits the small one?",
    "Habt ihr die Lampe auch in Grün?",
    "Is there a discount for two?",
    "Thank you, that was quick! ❤️",
    "Could you send me the invoice again, please?",
];
const COMMENTS: [&str; 4] =
    ["How much is the small one?", "So beautiful 😍", "Is this dimmable?", "Same question here"];
/// The first acts come quickly, so that somebody who just started sees something.
const OPENING_PAUSE: Duration = Duration::from_millis(700);

/// One Instagram account and one Page to try hookline with.
pub fn demo_accounts() -> Vec<AccountSpec> {
    vec![
        AccountSpec::instagram("17841499000000001").named("Lumen Lamps", "lumen.lamps"),
        AccountSpec::messenger("109900000000001").named("Lumen Lamps Shop", "lumenlamps"),
    ]
}

/// Accounts of the same demo that nobody has connected yet: one of Instagram Login, and a Page with its Instagram account.
pub fn unconnected_accounts() -> Vec<AccountSpec> {
    vec![
        AccountSpec::instagram("17841499000000002").named("Lumen Studio", "lumen.studio"),
        AccountSpec::messenger("109900000000002").named("Lumen Outlet", "lumenoutlet"),
        AccountSpec::instagram_by_page("17841499000000003", "109900000000002")
            .named("Lumen Outlet", "lumen.outlet"),
    ]
}

impl SimulatorHandle {
    /// Starts demo traffic, in place of any that runs.
    ///
    /// # Errors
    /// When people or rate are out of bounds.
    pub fn start_traffic(&self, traffic: Traffic) -> Result<(), SimulatorError> {
        Ok(start(self, traffic)?)
    }

    /// Ends demo traffic.
    pub fn stop_traffic(&self) {
        stop(self.shared());
    }
}

fn start(simulator: &SimulatorHandle, traffic: Traffic) -> Result<(), Invalid> {
    if !(1..=500).contains(&traffic.people) {
        return Err(Invalid::new("people", "must be 1 to 500"));
    }
    if !(0.0 < traffic.per_minute && traffic.per_minute <= 6000.0) {
        return Err(Invalid::new("per_minute", "must be more than 0 and at most 6000"));
    }
    if simulator.accounts().is_empty() {
        return Err(Invalid::new("accounts", "there are none yet; add one first"));
    }
    let shared = simulator.shared().clone();
    let token = CancellationToken::new();
    if let Some(before) = locked(&shared.traffic).replace(token.clone()) {
        before.cancel();
    }
    let simulator = simulator.clone();
    shared.spawn(async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = run(&simulator, traffic) => {}
        }
    });
    Ok(())
}

fn stop(shared: &Shared) {
    if let Some(running) = locked(&shared.traffic).take() {
        running.cancel();
    }
}

async fn run(simulator: &SimulatorHandle, traffic: Traffic) {
    let mut random = StdRng::seed_from_u64(simulator.shared().seed ^ 0x7AFF);
    for account in simulator.accounts() {
        opening(&account).await;
    }
    let pause = Duration::from_secs_f64(60.0 / traffic.per_minute);
    loop {
        tokio::time::sleep(pause.mul_f64(random.random_range(0.5..1.5))).await;
        let accounts = simulator.accounts();
        let Some(account) = pick(&mut random, &accounts) else { continue };
        scene(&mut random, account, traffic.people);
    }
}

/// A plain message, one that only Graph knows the sender of, a comment: what a newcomer should see first.
async fn opening(account: &AccountHandle) {
    let (first, second, third) = (name(0), name(1), name(2));
    account.person(&first).says(QUESTIONS[0]);
    tokio::time::sleep(OPENING_PAUSE).await;
    let second = account.person(&second);
    let second = if is_instagram(account) { second.senderless() } else { second };
    second.says(QUESTIONS[1]);
    tokio::time::sleep(OPENING_PAUSE).await;
    let post = account.media("Autumn lamps are here");
    account.person(&third).comments(&post, COMMENTS[0]);
    tokio::time::sleep(OPENING_PAUSE).await;
}

fn is_instagram(account: &AccountHandle) -> bool {
    account
        .spec()
        .is_some_and(|spec| spec.channel == Channel::Instagram || spec.login == Login::Instagram)
}

/// The name of person number `index`; from the thirteenth on they carry a number.
fn name(index: usize) -> String {
    let name = NAMES[index % NAMES.len()];
    match index / NAMES.len() {
        0 => name.to_owned(),
        round => format!("{name} {}", round + 1),
    }
}

fn pick<'a, T>(random: &mut StdRng, list: &'a [T]) -> Option<&'a T> {
    if list.is_empty() { None } else { list.get(random.random_range(0..list.len())) }
}

fn scene(random: &mut StdRng, account: &AccountHandle, people: usize) {
    let person = account.person(&name(random.random_range(0..people)));
    let text = pick(random, &QUESTIONS).copied().unwrap_or(QUESTIONS[0]);
    let draw = random.random_range(0..100);
    let thread = person.sees();
    let newest =
        |side| thread.iter().rev().find(|message| message.from == side && !message.deleted);
    let (own, theirs) = (newest(Side::Person), newest(Side::Account));
    match draw {
        0..10 if is_instagram(account) => drop(person.senderless().says(text)),
        10..18 => {
            let together = random.random_bool(0.5);
            let telling = Telling::Companion { sender: true, first: false, together };
            person.reported(telling).says(text);
        }
        18..26 => react(random, &person, theirs.map(|message| message.mid.as_str())),
        26..38 => read(&person, theirs.map(|message| message.mid.as_str())),
        38..44 => {
            if let Some(message) = own
                && let Some(before) = &message.text
                && message.edits < 5
            {
                person.edits(&message.mid, &format!("{before} (edited)"));
            }
        }
        44..47 => {
            if let Some(message) = own {
                person.unsends(&message.mid);
            }
        }
        47..53 => {
            let number = random.random_range(100_000_000_u64..999_999_999);
            let url = format!(
                "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id={number}&signature=SIMULATED"
            );
            person.sends_attachment("image", &url);
        }
        53..60 => {
            let post = account.media("Autumn lamps are here");
            person.comments(&post, pick(random, &COMMENTS).copied().unwrap_or(COMMENTS[0]));
        }
        _ => drop(person.says(text)),
    }
}

fn react(random: &mut StdRng, person: &Person, mid: Option<&str>) {
    if let Some(mid) = mid {
        person.reacts(mid, pick(random, &["❤️", "👍", "😂", "🙏"]).copied().unwrap_or("❤️"));
    }
}

fn read(person: &Person, mid: Option<&str>) {
    if let Some(mid) = mid {
        person.reads(mid);
    }
}
