//! ◆ Pure: what a person can connect, from what Meta lists: accounts, each with what stands in its way. No tokens.

use graph::{Owner, Page, TokenInfo};
use schemas::{Channel, Login, scopes};
use serde::{Deserialize, Serialize};

/// An account that could be connected, and later what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub(super) channel: Channel,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) handle: Option<String>,
    /// The Page it is reached by.
    pub(super) page_id: Option<String>,
    /// Other ids that Meta uses for it.
    #[serde(default)]
    pub(super) other_ids: Vec<String>,
    /// Why it cannot be connected: `tasks` or `scopes`.
    pub(super) obstacle: Option<String>,
    /// Permissions that are missing and without which it cannot be connected.
    #[serde(default)]
    pub(super) missing: Vec<String>,
    /// `connected`, `reconnected` or `failed`, once it was chosen.
    pub(super) outcome: Option<String>,
    /// Beside the outcome: what to do.
    pub(super) note: Option<String>,
}

/// All of one login.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Candidates(pub(super) Vec<Candidate>);

impl Candidate {
    /// `channel/id`: how a choice names it.
    pub(super) fn name_of(&self) -> String {
        format!("{}/{}", self.channel, self.id)
    }

    /// What became of it.
    pub(super) fn ends(&mut self, outcome: &str, note: Option<String>) {
        self.outcome = Some(outcome.to_owned());
        self.note = note;
    }

    fn new(login: Login, channel: Channel, id: &str, granted: &[String]) -> Self {
        // Where Meta does not say what was granted, the first call will.
        let missing: Vec<String> = match granted {
            [] => Vec::new(),
            granted => scopes::blocking(login, channel, granted)
                .map(|permission| permission.name.to_owned())
                .collect(),
        };
        Self {
            channel,
            id: id.to_owned(),
            name: None,
            handle: None,
            page_id: None,
            other_ids: Vec::new(),
            obstacle: (!missing.is_empty()).then(|| "scopes".to_owned()),
            missing,
            outcome: None,
            note: None,
        }
    }
}

impl Candidates {
    /// Where those stand that were chosen, can be connected and have no outcome yet.
    pub(super) fn open(&self, chosen: &[String]) -> Vec<usize> {
        let open = |one: &Candidate| {
            one.obstacle.is_none() && one.outcome.is_none() && chosen.contains(&one.name_of())
        };
        self.0.iter().enumerate().filter(|(_, one)| open(one)).map(|(n, _)| n).collect()
    }

    /// Whether anything became of any.
    pub(super) fn any_outcome(&self) -> bool {
        self.0.iter().any(|candidate| candidate.outcome.is_some())
    }

    /// Whether none can be connected.
    pub(super) fn all_blocked(&self) -> bool {
        self.0.iter().all(|candidate| candidate.obstacle.is_some())
    }
}

/// The one account of an Instagram token; `None`: it is a personal one.
pub(super) fn of_instagram(
    owner: &Owner,
    granted: &[String],
    alias: Option<&str>,
) -> Option<Candidate> {
    let id = owner.account.as_deref().filter(|_| owner.professional)?;
    let mut other_ids: Vec<String> =
        [owner.app_scoped.as_deref(), alias].into_iter().flatten().map(str::to_owned).collect();
    other_ids.retain(|other| other != id);
    other_ids.dedup();
    Some(Candidate {
        name: owner.name.clone(),
        handle: owner.username.clone(),
        other_ids,
        ..Candidate::new(Login::Instagram, Channel::Instagram, id, granted)
    })
}

/// The Pages and their Instagram accounts, each once.
pub(super) fn of_facebook(pages: &[Page], info: &TokenInfo) -> Candidates {
    let mut all = Vec::<Candidate>::new();
    for page in pages {
        let mut add = |channel, id: &str, name: Option<String>, handle: Option<String>| {
            let mut one = Candidate::new(Login::Facebook, channel, id, &info.scopes);
            if !page.may("MESSAGING") {
                one.obstacle = Some("tasks".to_owned());
            }
            let candidate = Candidate { name, handle, page_id: Some(page.id.clone()), ..one };
            if !all.iter().any(|other| other.name_of() == candidate.name_of()) {
                all.push(candidate);
            }
        };
        add(Channel::Messenger, &page.id, Some(page.name.clone()), None);
        if let Some((id, handle)) = &page.instagram {
            add(Channel::Instagram, id, handle.clone(), handle.clone());
        }
    }
    Candidates(all)
}

#[cfg(test)]
mod tests {
    use facts::accounts::Token;

    use super::*;

    fn page(id: &str, tasks: &[&str], instagram: Option<&str>) -> Page {
        Page {
            id: id.to_owned(),
            name: format!("Page {id}"),
            token: Token::new("EAAP"),
            tasks: Some(tasks.iter().map(|task| (*task).to_owned()).collect()),
            instagram: instagram.map(|id| (id.to_owned(), Some("lumen".to_owned()))),
        }
    }

    fn info(scopes: &[&str]) -> TokenInfo {
        TokenInfo {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..TokenInfo::default()
        }
    }

    #[test]
    fn what_stands_in_the_way_is_named_per_account() {
        let pages = [page("1", &["MESSAGING"], Some("17")), page("2", &["ANALYZE"], Some("17"))];
        let scopes = ["pages_show_list", "pages_manage_metadata", "pages_messaging"];
        let found = of_facebook(&pages, &info(&scopes)).0;
        let seen: Vec<_> =
            found.iter().map(|one| (one.name_of(), one.obstacle.as_deref())).collect();
        assert_eq!(
            seen,
            [
                ("messenger/1".to_owned(), None),
                ("instagram/17".to_owned(), Some("scopes")),
                ("messenger/2".to_owned(), Some("tasks"))
            ]
        );
        assert_eq!(found[1].missing, ["instagram_basic", "instagram_manage_messages"]);
        assert!(!Candidates(found).all_blocked());
        assert!(!serde_json::to_string(&of_facebook(&pages, &info(&[]))).unwrap().contains("EAAP"));
    }

    #[test]
    fn what_has_an_outcome_is_not_open_any_more() {
        let pages = [page("1", &["MESSAGING"], None), page("2", &["ANALYZE"], None)];
        let mut found = of_facebook(&pages, &info(&[]));
        let chosen = ["messenger/1", "messenger/2", "messenger/3"].map(str::to_owned);
        assert_eq!(found.open(&chosen), [0]);
        assert!(found.open(&[]).is_empty() && !found.any_outcome());
        found.0[0].outcome = Some("connected".to_owned());
        assert!(found.open(&chosen).is_empty() && found.any_outcome());
    }

    #[test]
    fn a_personal_account_is_none_to_connect() {
        let mut owner = Owner {
            account: Some("17".to_owned()),
            app_scoped: Some("25".to_owned()),
            username: None,
            name: None,
            professional: true,
        };
        assert_eq!(of_instagram(&owner, &[], Some("25")).unwrap().other_ids, ["25"]);
        owner.professional = false;
        assert_eq!(of_instagram(&owner, &[], None), None);
    }
}
