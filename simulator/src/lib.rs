//! A Meta to test against: the Graph API and the sender of signed webhooks in one process, on a seed.
//!
//! ```no_run
//! # async fn example() -> Result<(), simulator::SimulatorError> {
//! use simulator::{AccountSpec, CallKind, Fault, FaultRule, Simulator, SimulatorConfig};
//!
//! let meta = Simulator::start(SimulatorConfig::default()).await?;
//! let shop = meta.add_account(AccountSpec::instagram("17841400000000101"))?;
//! let ann = shop.person("Ann Berg");
//! ann.says("Is the blue lamp still in stock?").accepted().await?.redeliver(4).await;
//! meta.fault(FaultRule::new(Fault::TimeoutAfter).on(CallKind::Send).times(1));
//! assert_eq!(ann.texts_received().len(), 1);
//! # Ok(()) }
//! ```
//!
//! Modules in the order to read them: `model` (accounts, people, messages), `world` (state), `ids` and `json` (how Meta
//! writes), `payload` (webhook bodies), `people` and `commenting` (acts), `outbox` and `deliver` (order, signing, retry), `faults`,
//! `graph` (answers), `echo` (what follows a send), `oauth` (logins in a browser), `start`, `handle` and `account` (the front), `control` (the same over HTTP), `traffic`.

mod account;
mod act;
mod call_kind;
mod callback;
mod calls;
mod commenting;
mod config;
mod control;
mod deliver;
mod echo;
mod error;
mod faults;
mod graph;
mod handle;
mod ids;
mod json;
mod model;
mod oauth;
mod outbox;
mod payload;
mod people;
mod server;
mod shared;
mod sign;
mod start;
mod templating;
#[cfg(test)]
mod testing;
mod traffic;
mod world;

pub use account::AccountHandle;
pub use act::{ACCEPTED_WITHIN, Act};
pub use call_kind::CallKind;
pub use callback::{CallbackKind, signed_request};
pub use calls::Call;
pub use config::{AppSecrets, Policy, SimulatorConfig};
pub use error::{Invalid, SimulatorError};
pub use faults::{Fault, FaultRule};
pub use handle::SimulatorHandle;
pub use ids::InstagramMid;
pub use model::{
    AccountSpec, Channel, Comment, Host, Login, Lookup, Message, ProfileAnswer, Side, Usage,
};
pub use oauth::CodeRefusal;
pub use outbox::{Attempt, Delivery, DeliveryState};
pub use payload::{Content, Envelope};
pub use people::{Person, Telling};
pub use sign::{appsecret_proof, signature};
pub use start::Simulator;
pub use traffic::{Traffic, demo_accounts, unconnected_accounts};
pub use world::{Conversion, INSTAGRAM_FIELDS, PersonSpec, Template};

/// The role: a simulator with the demo accounts and, when there is a webhook to send to, demo traffic, until `stop` ends.
///
/// # Errors
/// When it cannot start.
pub async fn run(
    config: SimulatorConfig,
    traffic: Option<Traffic>,
    stop: impl Future<Output = ()>,
) -> Result<(), SimulatorError> {
    let simulator = Simulator::start(config).await?;
    for spec in demo_accounts() {
        let account = simulator.add_account(spec)?;
        tracing::info!(account.id = account.id(), "Simulated account `{}` is there", account.id());
    }
    if let Some(traffic) = traffic {
        simulator.start_traffic(traffic)?;
    }
    tracing::info!(
        "Simulated Meta: GRAPH_FACEBOOK_URL={} GRAPH_INSTAGRAM_URL={} control at {}",
        simulator.facebook_url(),
        simulator.instagram_url(),
        simulator.control_url(),
    );
    stop.await;
    simulator.shutdown().await;
    Ok(())
}
