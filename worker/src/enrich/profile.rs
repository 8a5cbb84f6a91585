//! ◆ Pure: a profile as Graph returns it, and the event it becomes (docs/meta-platform.md 8.2).

use schemas::event::Origin;
use schemas::facts::Profile;
use schemas::{AccountId, Channel, ContactId, Event, EventId, Fact, Timestamp, Via};
use serde_json::Value;
use sha2::{Digest, Sha256};

use facts::{Draft, ids};
use graph::{Host, text_of};

/// Reads a profile; `None` when Graph returned nothing about the person: not allowed.
pub fn read(answer: &Value) -> Option<Profile> {
    let text = |key: &str| {
        text_of(answer.get(key)).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let flag = |key: &str| answer.get(key).and_then(Value::as_bool);
    let (first_name, last_name) = (text("first_name"), text("last_name"));
    let joined = || {
        let parts: Vec<&str> =
            [first_name.as_deref(), last_name.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    let profile = Profile {
        name: text("name").or_else(joined),
        first_name,
        last_name,
        username: text("username"),
        avatar_url: text("profile_pic"),
        locale: text("locale"),
        timezone: answer.get("timezone").and_then(Value::as_f64),
        gender: text("gender"),
        verified: flag("is_verified_user"),
        follower_count: answer.get("follower_count").and_then(Value::as_i64),
        follows_account: flag("is_user_follow_business"),
        followed_by_account: flag("is_business_follow_user"),
        placeholder: None,
        source: None,
    };
    (profile != Profile::default()).then_some(profile)
}

/// What a profile says, as a digest. The link to the picture is signed anew with every read: only the part before its parameters
/// counts.
pub fn digest(profile: &Profile) -> [u8; 32] {
    let mut plain = profile.clone();
    plain.avatar_url =
        plain.avatar_url.map(|url| url.split(['?', '#']).next().unwrap_or_default().to_owned());
    // Serialising our own struct cannot fail; were it to, the debug form still differs between profiles.
    let text = serde_json::to_string(&plain).unwrap_or_else(|_| format!("{plain:?}"));
    Sha256::digest(text).into()
}

/// Whether a profile is to be published: it says something new, or it has a picture. The link to that is signed anew with every read and good
/// for some days only (docs/meta-platform.md 8.2), so each read, of which there is at most one a day, replaces the link published before.
/// `before`: the digest of what was published last.
pub fn is_news(before: Option<&[u8]>, profile: &Profile) -> bool {
    before != Some(&digest(profile)[..]) || profile.avatar_url.is_some()
}

/// `contact.enriched`. Its id is derived from the contact, what the profile says and the day of the read (UTC): a crash that repeats
/// the read finds the same id, while a profile that changes and changes back gives a new fact. Meta gives no time for a profile, so
/// `time` is that of the read, by our clock.
pub fn enriched(
    channel: Channel,
    account: &AccountId,
    contact: &ContactId,
    host: Host,
    mut profile: Profile,
    read_at: Timestamp,
) -> Draft {
    let digest = hex::encode(digest(&profile));
    let day = read_at.to_string();
    let day = day.split('T').next().unwrap_or_default();
    let id =
        EventId::derive(channel, account, "contact.enriched", &[contact.as_str(), &digest, day]);
    profile.placeholder = Some(ids::placeholder(channel, contact));
    let source = match host {
        Host::Facebook => "graph.facebook",
        Host::Instagram => "graph.instagram",
    };
    profile.source = Some(source.to_owned());
    let fact = Fact::ContactEnriched(profile);
    Draft::of(Event::new(
        id,
        read_at,
        channel,
        account.clone(),
        Some(contact.clone()),
        Origin::of(Via::Reconcile),
        fact,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_told_is_kept() {
        let path = format!(
            "{}/../tests/fixtures/meta/graph/profile-ig-ok.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let profile = read(&fixture["response"]["body"]).unwrap();
        assert_eq!(profile.name.as_deref(), Some("Customer One"));
        assert_eq!(profile.username.as_deref(), Some("customer.one"));
        assert_eq!((profile.verified, profile.follower_count), (Some(false), Some(12)));
        assert_eq!(profile.gender, None);
        let page = read(&json!({"first_name": "Ann", "last_name": "Lee", "id": "1"})).unwrap();
        assert_eq!(page.name.as_deref(), Some("Ann Lee"));
    }

    #[test]
    fn nothing_told_is_no_profile() {
        for answer in
            [json!({}), json!({"id": "7300000000000222"}), json!({"name": null, "profile_pic": ""})]
        {
            assert_eq!(read(&answer), None, "{answer}");
        }
    }

    #[test]
    fn a_newly_signed_picture_is_no_change() {
        let with = |url: &str| Profile { avatar_url: Some(url.to_owned()), ..Profile::default() };
        assert_eq!(digest(&with("https://s/a.jpg?oe=1")), digest(&with("https://s/a.jpg?oe=2")));
        assert_ne!(digest(&with("https://s/a.jpg")), digest(&with("https://s/b.jpg")));
    }

    #[test]
    fn a_link_to_a_picture_is_renewed_and_nothing_else_is_repeated() {
        let name = Profile { name: Some("Ann".to_owned()), ..Profile::default() };
        assert!(is_news(None, &name));
        assert!(!is_news(Some(&digest(&name)), &name));
        let pictured = Profile { avatar_url: Some("https://s/a.jpg?oe=2".to_owned()), ..name };
        assert!(is_news(Some(&digest(&pictured)), &pictured));
    }

    #[test]
    fn the_same_read_repeated_has_the_same_id() {
        let (account, contact) = (AccountId::from("1"), ContactId::from("5200000000000011"));
        let profile = Profile { name: Some("Ann".to_owned()), ..Profile::default() };
        let id = |millis| {
            let at = Timestamp::from_millis(millis);
            enriched(Channel::Instagram, &account, &contact, Host::Instagram, profile.clone(), at)
                .event
                .id
        };
        assert_eq!(id(1_795_000_000_000), id(1_795_000_005_000));
        assert_ne!(id(1_795_000_000_000), id(1_795_000_000_000 + 86_400_000));
    }
}
