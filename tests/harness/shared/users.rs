//! The NATS users of `deploy/nats-users.conf`, as tests have them. Used by the tests and by the keeper of their servers.

use std::collections::BTreeSet;

const DEPLOYED: &str = include_str!("../../../deploy/nats-users.conf");

/// `deploy/nats-users.conf`, where every user's password is its name.
pub fn by_name() -> String {
    let passwords: String = names()
        .iter()
        .map(|name| format!("{}_PASSWORD: \"{name}\"\n", name.to_uppercase()))
        .collect();
    passwords + DEPLOYED
}

/// Name of the user of a service in the account of a place: users of all accounts have names of their own.
pub fn in_place(service: &str, place: u32) -> String {
    format!("{service}_{place:02}")
}

/// The list of these users for the account of a place.
pub fn of_place(place: u32, password: &str) -> String {
    let users = DEPLOYED.split_once("users: [").expect("a list of users").1;
    let mut users = users.rsplit_once(']').expect("which ends").0.to_owned();
    for name in names() {
        let own = in_place(&name, place);
        users = users
            .replace(&format!("user: {name}\n"), &format!("user: {own}\n"))
            .replace(&format!("${}_PASSWORD", name.to_uppercase()), &format!("\"{password}\""))
            .replace(&format!("_INBOX_{name}.>"), &format!("_INBOX_{own}.>"));
    }
    users
}

fn names() -> BTreeSet<String> {
    let passwords = DEPLOYED.split("password: $").skip(1);
    passwords
        .filter_map(|rest| rest.split_once("_PASSWORD"))
        .map(|(name, _)| name.to_lowercase())
        .collect()
}
