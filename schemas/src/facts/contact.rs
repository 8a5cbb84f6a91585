//! ◆ Pure: people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::Timestamp;

/// A person seen for the first time.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContactDiscovered {
    /// `User 790621` or `IG User 0909`: last digits of the id.
    pub placeholder: String,
    /// A handle that came with the item, such as a comment's author.
    pub username: Option<String>,
    /// Last interaction, where a conversation listing told.
    pub last_interaction_at: Option<Timestamp>,
}

/// A person's profile: only the fields Meta allowed.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    /// Full name.
    pub name: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// Instagram handle.
    pub username: Option<String>,
    /// A link that stops working within days.
    pub avatar_url: Option<String>,
    /// Language and country.
    pub locale: Option<String>,
    /// Hours from UTC.
    pub timezone: Option<f64>,
    /// Gender.
    pub gender: Option<String>,
    /// Verified by Instagram.
    pub verified: Option<bool>,
    /// Followers.
    pub follower_count: Option<i64>,
    /// The person follows the account.
    pub follows_account: Option<bool>,
    /// The account follows the person.
    pub followed_by_account: Option<bool>,
    /// The placeholder it replaces.
    pub placeholder: Option<String>,
    /// Where it was read: `graph.facebook` or `graph.instagram`.
    pub source: Option<String>,
}

/// A contact was put on or taken off the block list.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlockMark {
    /// A name to show in the block list.
    pub name: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Name of the API token that acted.
    pub by: Option<String>,
}
