//! `hookline accounts add`: connects an account, or gives it a new token.

use clap::{Args, ValueEnum};
use runtime::config::Settings;
use serde_json::json;
use sqlx::PgPool;
use worker::facts::accounts::directory::Login;
use worker::facts::accounts::{AccountStore, NewAccount, Token};

use super::error::failure;
use super::tend;
use crate::args::ChannelArg;
use crate::exit::{Exit, Failure};
use crate::operator;
use crate::output::{Output, say};

/// How an account is connected.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LoginArg {
    /// Instagram Login: graph.instagram.com
    Instagram,
    /// Facebook Login: graph.facebook.com
    Facebook,
}

impl LoginArg {
    pub(crate) const fn login(self) -> Login {
        match self {
            Self::Instagram => Login::Instagram,
            Self::Facebook => Login::Facebook,
        }
    }
}

/// Arguments of `accounts add`.
#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// instagram or messenger
    #[arg(long, value_enum)]
    channel: ChannelArg,
    /// The id Meta uses in `entry.id`
    #[arg(long)]
    id: String,
    /// instagram or facebook
    #[arg(long, value_enum)]
    login: LoginArg,
    /// The environment variable that holds the token
    #[arg(long, value_name = "VAR")]
    token_env: String,
    /// A name to show
    #[arg(long)]
    name: Option<String>,
    /// The name of the app secret (of META_APP_SECRETS) that alone may speak for it
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// The linked Page of an Instagram account connected by Facebook Login
    #[arg(long)]
    page_id: Option<String>,
    /// Another id Meta uses for it; may be given several times
    #[arg(long = "alias", value_name = "ID")]
    aliases: Vec<String>,
    /// Answer every new inbound message with this text
    #[arg(long, value_name = "TEXT")]
    auto_reply: Option<String>,
    /// Why; kept in the record of acts
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Checks the arguments and says what would be done, changes nothing
    #[arg(long)]
    dry_run: bool,
    /// For people or for programs
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl AddArgs {
    /// The account, with the token that the named environment variable holds.
    fn into_account(self) -> anyhow::Result<NewAccount> {
        let token = std::env::var(&self.token_env)
            .ok()
            .filter(|token| !token.trim().is_empty())
            .ok_or_else(|| {
                Failure::usage(format!(
                    "--token-env: the environment variable {} is not set",
                    self.token_env
                ))
            })?;
        Ok(NewAccount {
            channel: self.channel.channel(),
            login: self.login.login(),
            id: self.id.into(),
            token: Token::new(&token),
            name: self.name,
            app: self.app,
            page_id: self.page_id,
            aliases: self.aliases,
            auto_reply: self.auto_reply,
        })
    }
}

pub(crate) async fn add(
    mut args: AddArgs,
    pool: &PgPool,
    accounts: &AccountStore,
    settings: &Settings,
) -> anyhow::Result<Exit> {
    let (dry_run, output, reason) = (args.dry_run, args.output, args.reason.take());
    let new = args.into_account()?;
    if let Some(text) = &new.auto_reply {
        // Every automatic reply would fail.
        schemas::command::check_parts(new.channel, text)
            .map_err(|error| Failure::usage(format!("--auto-reply: {error}")))?;
    }
    let known = accounts.get(new.channel, &new.id).await.map_err(failure)?.is_some();
    let added = if dry_run { !known } else { accounts.add(&new).await.map_err(failure)? };
    if !dry_run {
        let arguments = json!({
            "account": format!("{}/{}", new.channel, new.id), "login": new.login.as_str(), "app": new.app,
            "page_id": new.page_id, "aliases": new.aliases, "auto_reply": new.auto_reply.is_some(),
        });
        let result = json!({"added": added});
        operator::record(pool, "accounts add", arguments, reason.as_deref(), result).await?;
    }
    let fields = match dry_run {
        true => None,
        false => Some(tend::first_look(accounts, settings, new.channel, &new.id).await),
    };
    match (output, dry_run) {
        (Output::Json, dry_run) => say(json!({
            "channel": new.channel, "id": new.id, "added": added, "dry_run": dry_run, "webhook_fields": fields,
        })),
        (Output::Table, true) => {
            let what = if added { "add" } else { "reconnect" };
            say(format!("Would {what} {}/{}.", new.channel, new.id));
        }
        (Output::Table, false) => {
            let what = if added { "Added" } else { "Reconnected" };
            say(format!(
                "{what} {}/{}. `hookline accounts check {}` asks Graph whether it works.",
                new.channel, new.id, new.id
            ));
            if let Some(fields) = fields {
                say(format!("Webhook fields: {fields}."));
            }
        }
    }
    Ok(Exit::Done)
}
