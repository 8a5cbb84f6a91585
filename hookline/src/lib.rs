//! What the operator's binary is made of. `main` only parses arguments and calls this.
//!
//! Read in this order: [`cli`], [`config`], [`exit`], [`up`], [`accounts`], [`status`], [`doctor`], [`replies`], [`send`], [`redrive`], [`rebuild`],
//! [`verify`], [`trace`], [`streams`], [`jobs`], [`manual`], [`progress`].

pub mod accounts;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod exit;
pub mod jobs;
pub mod manual;
pub mod progress;
pub mod reach;
pub mod rebuild;
pub mod redrive;
pub mod replay;
pub mod replies;
pub mod send;
pub mod status;
pub mod streams;
pub mod trace;
pub mod up;
pub mod verify;
pub mod who;
