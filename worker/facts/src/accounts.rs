//! The accounts hookline may act for: [`directory`] as webhooks need them, [`store`] with sealed tokens, [`AccountStore::connect`] for logins
//! in a browser, [`refresh`] for readers that keep a copy, [`upkeep`] of tokens and webhook fields, [`overview`] for operators, [`regain`] for a database that has lost them.

pub mod callbacks;
mod connect;
pub mod directory;
mod disconnect_rows;
mod error;
mod grant;
mod new_account;
mod only;
pub mod overview;
pub mod refresh;
mod refusal;
pub mod regain;
mod rows;
pub mod seen;
mod standing;
pub mod store;
mod token;
pub mod upkeep;
mod upkeep_rows;
mod webhook_field;

pub use connect::{NewConnection, NewlyConnected};
pub use error::AccountError;
pub use grant::Grant;
pub use new_account::{InvalidOption, NewAccount};
pub use only::Only;
pub use refusal::Refusal;
pub use store::{AccountRow, AccountStore, Connected, Learnt};
pub use token::Token;
pub use webhook_field::field_of;
