//! The accounts hookline may act for: [`directory`] as webhooks need them, [`store`] with sealed tokens, [`refresh`] for readers that keep
//! a copy, [`overview`] for operators.

pub mod directory;
pub mod overview;
pub mod refresh;
pub mod store;
mod token;

pub use store::{AccountError, AccountRow, AccountStore, Connected, NewAccount};
pub use token::Token;
