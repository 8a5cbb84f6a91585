//! The accounts hookline may act for: [`directory`] as webhooks need them, [`store`] with sealed tokens, [`refresh`] for readers that keep
//! a copy, [`upkeep`] of tokens and webhook fields, [`overview`] for operators, [`regain`] for a database that has lost them.

pub mod callbacks;
pub mod directory;
mod error;
mod new_account;
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

pub use error::AccountError;
pub use new_account::{InvalidOption, NewAccount};
pub use refusal::Refusal;
pub use store::{AccountRow, AccountStore, Connected, Learnt};
pub use token::Token;
