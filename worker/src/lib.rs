//! The only code that calls Meta: raw webhooks become events, senders are found, profiles read, commands carried out.
//!
//! Read in this order: [`config`], [`accounts`], [`facts`], [`inbound`], [`resolve`], [`enrich`], [`commands`], [`reply`], [`act`],
//! [`automate`], [`graph`].

pub mod accounts;
pub mod act;
pub mod automate;
pub mod commands;
pub mod config;
pub mod enrich;
pub mod facts;
pub mod graph;
pub mod inbound;
pub mod reply;
pub mod resolve;
pub mod secrets;
