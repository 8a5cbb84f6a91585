//! `/sim/people` and what people see.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounts;
use super::input::{Answer, Input, Params, Refusal};
use crate::handle::SimulatorHandle;
use crate::model::ProfileAnswer;
use crate::people::Person;
use crate::shared::Shared;
use crate::world::PersonSpec;

pub(super) fn find(shared: &Arc<Shared>, id: &str) -> Result<Person, Refusal> {
    let found = SimulatorHandle::of(shared.clone()).person(id);
    found.ok_or_else(|| Refusal::unknown("person", id))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfAccount {
    account: Option<String>,
}

impl OfAccount {
    fn fits(&self, account: &str) -> bool {
        self.account.as_deref().is_none_or(|wanted| wanted == account)
    }
}

fn shown(person: &Person) -> Value {
    let world = person.shared().world();
    let Some(known) = world.people.get(person.id()) else { return Value::Null };
    json!({
        "id": known.id,
        "account": known.account,
        "name": known.name,
        "username": known.username,
        "profile": known.profile,
        "blocks": known.blocks,
        "thread_elsewhere": known.thread_elsewhere,
        "conversation_id": world.conversation_id(known),
        "window_opened": known.window_opened,
    })
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Params(of): Params<OfAccount>,
) -> Json<Value> {
    let accounts = SimulatorHandle::of(shared).accounts();
    let people = accounts.iter().filter(|account| of.fits(account.id())).flat_map(|a| a.people());
    Json(json!({"people": people.map(|person| shown(&person)).collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPerson {
    account: String,
    name: String,
    username: Option<String>,
    id: Option<String>,
    #[serde(default)]
    profile: ProfileAnswer,
}

pub(super) async fn add(State(shared): State<Arc<Shared>>, Input(new): Input<NewPerson>) -> Answer {
    let account = accounts::find(&shared, &new.account)?;
    let NewPerson { name, username, id, profile, .. } = new;
    let person = account.add_person(PersonSpec { name, username, id, profile })?;
    Ok(Json(shown(&person)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    profile: Option<ProfileAnswer>,
    name: Option<String>,
    blocks: Option<bool>,
    thread_elsewhere: Option<bool>,
}

pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Input(change): Input<Change>,
) -> Answer {
    let person = find(&shared, &id)?;
    if let Some(profile) = change.profile {
        person.set_profile(profile);
    }
    if let Some(name) = &change.name {
        person.renames(name);
    }
    if let Some(blocks) = change.blocks {
        person.blocks(blocks);
    }
    if let Some(elsewhere) = change.thread_elsewhere {
        person.thread_elsewhere(elsewhere);
    }
    Ok(Json(shown(&person)))
}

pub(super) async fn seen(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    Ok(Json(json!({"messages": find(&shared, &id)?.sees()})))
}

pub(super) async fn received(
    State(shared): State<Arc<Shared>>,
    Params(of): Params<OfAccount>,
) -> Json<Value> {
    let received = SimulatorHandle::of(shared).received();
    let fits: Vec<_> = received.into_iter().filter(|m| of.fits(&m.account.id)).collect();
    Json(json!({"messages": fits}))
}

pub(super) async fn comments(
    State(shared): State<Arc<Shared>>,
    Params(of): Params<OfAccount>,
) -> Json<Value> {
    let accounts = SimulatorHandle::of(shared).accounts();
    let comments: Vec<_> = accounts
        .iter()
        .filter(|account| of.fits(account.id()))
        .flat_map(|account| account.comments())
        .collect();
    Json(json!({"comments": comments}))
}
