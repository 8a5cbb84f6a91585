//! The accounts hookline may act for: [`directory`] as webhooks need them, [`store`] with sealed tokens, [`AccountStore::connect`] for logins
//! in a browser, [`refresh`] for readers that keep a copy, [`overview`] for operators, [`regain`] for a database that has lost them.

mod connect;
pub mod directory;
mod error;
mod grant;
mod new_account;
pub mod overview;
pub mod refresh;
pub mod regain;
mod rows;
pub mod store;
mod token;

pub use connect::{NewConnection, NewlyConnected};
pub use error::AccountError;
pub use grant::Grant;
pub use new_account::{InvalidOption, NewAccount};
pub use store::{AccountRow, AccountStore, Connected, Learnt};
pub use token::Token;
