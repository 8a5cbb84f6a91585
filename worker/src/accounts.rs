//! The accounts we may speak for: [`directory`] as webhooks need them, [`store`] with sealed tokens, [`check`] for `hookline accounts
//! check`, whose judgement is in [`findings`].

pub mod check;
pub mod directory;
pub mod findings;
pub mod store;
mod token;

pub use store::{AccountError, AccountRow, AccountStore, Connected, NewAccount};
pub use token::Token;
