//! ◆ Pure: the webhook fields that the product understands, where each is asked for, and what does not arrive without it
//! (docs/meta-platform.md 3.3, docs/meta-platform-2.md 16.4).

use facts::accounts::directory::{Account, Login};
use schemas::Channel;

/// A webhook field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its name at Meta.
    pub(crate) name: &'static str,
    /// What does not arrive without it.
    pub(crate) costs: &'static str,
}

const fn field(name: &'static str, costs: &'static str) -> Field {
    Field { name, costs }
}

/// Fields of `object=instagram`, the most important first.
const INSTAGRAM: &[Field] = &[
    field("messages", "no message of a person arrives"),
    field("messaging_postbacks", "taps on buttons and icebreakers do not arrive"),
    field("message_reactions", "reactions do not arrive"),
    field("messaging_seen", "it is not known what people have read"),
    field("messaging_referral", "it is not known from which ad or link people come"),
    field("message_edit", "edits do not arrive"),
    field("messaging_optins", "opt-ins do not arrive"),
    field("messaging_handover", "it is not known which app answers a conversation"),
    field("standby", "messages of conversations that another app answers do not arrive"),
    field("comments", "comments do not arrive"),
    field("live_comments", "comments on live broadcasts do not arrive"),
    field("mentions", "mentions do not arrive"),
];
/// Comes by Facebook Login only.
const STORY_INSIGHTS: Field = field("story_insights", "figures of ended stories do not arrive");

/// Fields of `object=page` about messages. Instagram's messages come by the Page's field in several set-ups.
const PAGE_MESSAGES: &[Field] = &[
    field("messages", "no message of a person arrives"),
    field("messaging_postbacks", "taps on buttons do not arrive"),
    field(
        "message_echoes",
        "what others answer does not show, and lost sends take longer to settle",
    ),
    field("message_deliveries", "it is not known what was delivered"),
    field("message_reads", "it is not known what people have read"),
    field("message_reactions", "reactions do not arrive"),
    field("message_edits", "edits do not arrive"),
    field("messaging_referrals", "it is not known from which ad or link people come"),
    field("messaging_optins", "opt-ins do not arrive"),
    field("messaging_account_linking", "account links do not arrive"),
    field("messaging_handovers", "it is not known which app answers a conversation"),
    field(
        "messaging_policy_enforcement",
        "blocks by Meta are noticed at the first refused send only",
    ),
    field("response_feedback", "feedback on answers does not arrive"),
    field("send_cart", "orders do not arrive"),
    field("standby", "messages of conversations that another app answers do not arrive"),
];
/// The Page's other fields.
const PAGE_MORE: &[Field] = &[
    field("feed", "comments and posts do not arrive"),
    field("mention", "mentions do not arrive"),
    field("message_template_status_update", "it is not known whether templates are approved"),
];

/// One `subscribed_apps` to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `instagram` or `page`: whose fields these are.
    pub(crate) object: &'static str,
    /// The first part of the path.
    pub(crate) node: String,
    /// The wanted fields, the most important first.
    pub(crate) fields: Vec<Field>,
    /// Whether webhooks stay away without it. The fields of Instagram by Facebook Login may be refused where those of the Page are enough.
    pub(crate) required: bool,
}

/// What is asked for: one call, or two for an Instagram account behind a Page.
pub(crate) fn targets(account: &Account) -> Vec<Target> {
    let id = account.id.as_str().to_owned();
    let page = account.page_id.clone();
    match (account.login, account.channel) {
        (Login::Instagram, _) => {
            vec![Target {
                object: "instagram",
                node: "me".to_owned(),
                fields: INSTAGRAM.to_vec(),
                required: true,
            }]
        }
        (Login::Facebook, Channel::Messenger) => {
            let fields = [PAGE_MESSAGES, PAGE_MORE].concat();
            vec![Target { object: "page", node: page.unwrap_or(id), fields, required: true }]
        }
        (Login::Facebook, Channel::Instagram) => {
            let own = [INSTAGRAM, &[STORY_INSIGHTS]].concat();
            let required = page.is_none();
            let mut all: Vec<Target> = page
                .map(|node| Target {
                    object: "page",
                    node,
                    fields: PAGE_MESSAGES.to_vec(),
                    required: true,
                })
                .into_iter()
                .collect();
            all.push(Target { object: "instagram", node: id, fields: own, required });
            all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_first_and_fields_go_to_the_object_that_knows_them() {
        for fields in [INSTAGRAM, PAGE_MESSAGES] {
            assert_eq!(fields[0].name, "messages");
        }
        let names = |fields: &[Field]| fields.iter().map(|one| one.name).collect::<Vec<_>>();
        let page = [names(PAGE_MESSAGES), names(PAGE_MORE)].concat();
        for wrong in ["comments", "messaging_seen", "mentions"] {
            assert!(!page.contains(&wrong), "{wrong} is refused on a Page");
        }
        for wrong in ["message_echoes", "message_edits", "feed"] {
            assert!(!names(INSTAGRAM).contains(&wrong), "{wrong} is refused on Instagram");
        }
    }
}
