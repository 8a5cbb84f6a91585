//! Prints the events of one account: NATS_URL, NATS_USER, NATS_PASSWORD, CONSUMER, CHANNEL and ACCOUNT say of which.
#![allow(clippy::print_stdout)]

use async_nats::ConnectOptions;
use hookline_client::{BoxError, Event, Fact, Handler, Meta, Options, Window, follow};
use tokio_util::sync::CancellationToken;

struct Print;

impl Handler for Print {
    async fn event(&mut self, event: &Event, _: &Meta) -> Result<(), BoxError> {
        match &event.fact {
            Some(Fact::MessageReceived(message)) => println!("{} {:?}", event.time, message.text),
            _ => println!("{} {}", event.time, event.type_name),
        }
        Ok(())
    }

    async fn withdrawn(&mut self, id: &str, _: &Event, _: &Meta) -> Result<(), BoxError> {
        println!("{id} no longer holds");
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let given = |name: &str| std::env::var(name).map_err(|_| anyhow::anyhow!("set {name}"));
    let user = given("NATS_USER")?;
    let client = ConnectOptions::with_user_and_password(user.clone(), given("NATS_PASSWORD")?)
        .custom_inbox_prefix(format!("_INBOX_{user}"))
        .connect(given("NATS_URL")?)
        .await?;
    let options = Options::new(given("CONSUMER")?, given("CHANNEL")?, given("ACCOUNT")?);
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        // Without a signal it reads on.
        if tokio::signal::ctrl_c().await.is_ok() {
            token.cancel();
        }
    });
    follow(&client, &options, &mut Print, &mut Window::default(), &stop).await?;
    Ok(())
}
