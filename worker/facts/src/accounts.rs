//! The accounts hookline may act for: [`directory`] as webhooks need them, [`store`] with sealed tokens, [`refresh`] for readers that keep
//! a copy, [`overview`] for operators, [`regain`] for a database that has lost them.

pub mod directory;
mod error;
mod new_account;
pub mod overview;
pub mod refresh;
pub mod regain;
mod rows;
pub mod store;
mod token;

pub use error::AccountError;
pub use new_account::{InvalidOption, NewAccount};
pub use store::{AccountRow, AccountStore, Connected, Learnt};
pub use token::Token;
