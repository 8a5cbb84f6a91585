//! ◆ Pure: which of Meta's webhook fields brings a kind of event (docs/meta-platform.md 3.3).

use schemas::{Channel, Kind};

/// The field that brings events of this kind; `None`: none does. Where another app answers, messages come by `standby` and count as
/// `messages`; comments on live broadcasts count as `comments`.
pub const fn field_of(channel: Channel, kind: Kind) -> Option<&'static str> {
    let (of_instagram, of_page) = match kind {
        Kind::MessageReceived | Kind::MessageDeleted => ("messages", "messages"),
        Kind::MessageSent => ("messages", "message_echoes"),
        Kind::MessageEdited => ("message_edit", "message_edits"),
        Kind::MessageReacted | Kind::MessageUnreacted => ("message_reactions", "message_reactions"),
        Kind::MessageRead => ("messaging_seen", "message_reads"),
        Kind::PostbackReceived => ("messaging_postbacks", "messaging_postbacks"),
        Kind::ReferralReceived => ("messaging_referral", "messaging_referrals"),
        Kind::OptinReceived => ("messaging_optins", "messaging_optins"),
        Kind::ThreadControlChanged | Kind::AccountRolesChanged => {
            ("messaging_handover", "messaging_handovers")
        }
        Kind::MentionCreated => ("mentions", "mention"),
        Kind::StoryInsights => ("story_insights", ""),
        Kind::MessageDelivered => ("", "message_deliveries"),
        Kind::AccountPolicyEnforced => ("", "messaging_policy_enforcement"),
        Kind::FeedbackReceived => ("", "response_feedback"),
        Kind::OrderReceived => ("", "send_cart"),
        Kind::AccountLinkChanged => ("", "messaging_account_linking"),
        Kind::RatingReceived => ("", "ratings"),
        Kind::TemplateStatusChanged => ("", "message_template_status_update"),
        Kind::PostChanged | Kind::PostReacted => ("", "feed"),
        Kind::CommentCreated
        | Kind::CommentEdited
        | Kind::CommentDeleted
        | Kind::CommentHidden
        | Kind::CommentUnhidden
        | Kind::CommentReacted
        | Kind::CommentUnreacted => ("comments", "feed"),
        // What people of ours did, what Graph said, and what could not be read.
        _ => ("", ""),
    };
    let field = match channel {
        Channel::Instagram => of_instagram,
        Channel::Messenger => of_page,
    };
    if field.is_empty() { None } else { Some(field) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_counts_for_the_field_of_its_channel() {
        let of = |kind| [Channel::Instagram, Channel::Messenger].map(|one| field_of(one, kind));
        assert_eq!(of(Kind::MessageSent), [Some("messages"), Some("message_echoes")]);
        assert_eq!(of(Kind::CommentEdited), [Some("comments"), Some("feed")]);
        assert_eq!(of(Kind::MessageDelivered), [None, Some("message_deliveries")]);
        assert_eq!(of(Kind::ReplySent), [None, None]);
    }
}
