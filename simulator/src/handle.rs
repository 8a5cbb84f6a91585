//! The library's front: a running simulator, its accounts, its people.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::account::AccountHandle;
use crate::act::Act;
use crate::call_kind::CallKind;
use crate::callback::{self, CallbackKind};
use crate::calls::Call;
use crate::config::Policy;
use crate::error::{Invalid, SimulatorError};
use crate::faults::FaultRule;
use crate::model::{AccountSpec, Login, Message, Side};
use crate::outbox::{Attempt, Delivery};
use crate::people::Person;
use crate::shared::Shared;
use crate::sign;
use crate::world::Conversion;

/// A running simulator; clones speak to the same one.
#[derive(Clone)]
pub struct SimulatorHandle {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl SimulatorHandle {
    pub(crate) fn new(shared: Arc<Shared>, address: SocketAddr) -> SimulatorHandle {
        SimulatorHandle { shared, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For `GRAPH_FACEBOOK_URL`.
    pub fn facebook_url(&self) -> String {
        format!("{}/facebook", self.shared.base)
    }

    /// For `GRAPH_INSTAGRAM_URL`.
    pub fn instagram_url(&self) -> String {
        format!("{}/instagram", self.shared.base)
    }

    /// For `INSTAGRAM_LOGIN_URL`.
    pub fn instagram_login_url(&self) -> String {
        format!("{}/www.instagram", self.shared.base)
    }

    /// For `INSTAGRAM_OAUTH_URL`.
    pub fn instagram_oauth_url(&self) -> String {
        format!("{}/api.instagram", self.shared.base)
    }

    /// For `FACEBOOK_LOGIN_URL`.
    pub fn facebook_login_url(&self) -> String {
        format!("{}/www.facebook", self.shared.base)
    }

    /// An app of this name for both logins, for `META_APPS`.
    pub fn meta_apps(&self, name: &str) -> String {
        let (instagram, facebook) = (crate::config::INSTAGRAM_APP_ID, self.shared.app_id);
        format!("{name}:instagram:{instagram},{name}:facebook:{facebook}")
    }

    /// Every code and token that was given out by a login: what must be found nowhere.
    pub fn given_secrets(&self) -> Vec<String> {
        self.shared.world().grants.secrets.clone()
    }

    /// Where control is (`/sim/…`).
    pub fn control_url(&self) -> String {
        format!("{}/sim", self.shared.base)
    }

    /// Value for `META_APP_SECRETS`.
    pub fn app_secrets(&self) -> String {
        let secrets = &self.shared.secrets;
        format!("facebook={},instagram={}", secrets.facebook, secrets.instagram)
    }

    /// Adds an account.
    ///
    /// # Errors
    /// Names the field that is wrong or taken.
    pub fn add_account(&self, spec: AccountSpec) -> Result<AccountHandle, SimulatorError> {
        let login = spec.login;
        let now = self.shared.now();
        let key = self.shared.world().add_account(spec, now)?;
        Ok(AccountHandle { shared: self.shared.clone(), key, login })
    }

    /// The account with this id, page id or alias.
    pub fn account(&self, id: &str) -> Option<AccountHandle> {
        let world = self.shared.world();
        let key = world.account_by_id(id)?.clone();
        let login = world.spec(&key)?.login;
        drop(world);
        Some(AccountHandle { shared: self.shared.clone(), key, login })
    }

    /// All accounts.
    pub fn accounts(&self) -> Vec<AccountHandle> {
        let world = self.shared.world();
        let keys = world.accounts.iter().map(|(key, account)| (key.clone(), account.spec.login));
        let handle = |(key, login)| AccountHandle { shared: self.shared.clone(), key, login };
        keys.map(handle).collect()
    }

    /// The person with this IGSID or PSID.
    pub fn person(&self, id: &str) -> Option<Person> {
        let world = self.shared.world();
        let account = world.people.get(id)?.account.clone();
        let login = world.spec(&account)?.login;
        drop(world);
        Some(Person::new(self.shared.clone(), account, login, id.to_owned()))
    }

    /// Sends webhooks here from now on; those that wait for an address go out.
    pub fn set_webhook_url(&self, url: Url) {
        self.shared.webhook_url.send_replace(Some(url));
    }

    /// The habits in force.
    pub fn policy(&self) -> Policy {
        self.shared.policy()
    }

    /// Changes habits: `sim.set_policy(|policy| policy.duplicate_rate = 0.2)`.
    ///
    /// # Errors
    /// Names a rate outside 0 to 1 or a limit out of range; nothing changes then.
    pub fn set_policy(&self, change: impl FnOnce(&mut Policy)) -> Result<(), SimulatorError> {
        let mut policy = self.shared.policy();
        change(&mut policy);
        policy.check()?;
        self.shared.set_policy(policy);
        Ok(())
    }

    /// Calls a webhook's app back about a person; returns status and body of the answer, 0 where there is none.
    pub async fn call_back(
        &self,
        app: &str,
        kind: CallbackKind,
        user_id: &str,
        issued_at: Option<i64>,
    ) -> (u16, String) {
        let issued_at = issued_at.unwrap_or_else(|| self.shared.now().timestamp());
        let secret = &self.shared.secrets.facebook;
        let body = callback::form(&callback::signed_request(secret, user_id, issued_at));
        let base = self.shared.webhook_url.borrow().clone();
        let base =
            base.map(|url| url.as_str().trim_end_matches('/').to_owned()).unwrap_or_default();
        let request = self
            .shared
            .http
            .post(format!("{base}/callbacks/{app}/{}", kind.as_str()))
            .timeout(self.shared.policy().post_timeout)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        match request.send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// Adds a fault behind those already there.
    pub fn fault(&self, rule: FaultRule) {
        self.shared.world().faults.add(rule);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Calls so far, oldest first; none means any kind or account.
    pub fn calls(&self, kind: Option<CallKind>, account: Option<&str>) -> Vec<Call> {
        self.shared.world().calls.matching(kind, account).cloned().collect()
    }

    /// How many calls of this kind there were.
    pub fn count(&self, kind: CallKind) -> u64 {
        self.shared.world().calls.count(Some(kind), None)
    }

    /// Every body so far with its attempts.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.outbox().all().cloned().collect()
    }

    /// Waits until every webhook sent so far is accepted or given up; false when `within` passed first.
    pub async fn settled(&self, within: Duration) -> bool {
        self.shared.settled(within).await
    }

    /// Posts the items of these acts anew in one body per webhook path; one try, the statuses that came back.
    pub async fn deliver_together(&self, acts: &[&Act]) -> Vec<Option<u16>> {
        let items: Vec<_> = acts.iter().flat_map(|act| act.items().cloned()).collect();
        let posted = self.shared.post_anew(&items).await;
        posted.into_iter().map(|(_, status)| status).collect()
    }

    /// Posts any bytes to `path`, rightly signed for `login`; one try.
    pub async fn deliver_raw(&self, path: &str, login: Login, body: impl Into<Vec<u8>>) -> Attempt {
        let body = body.into();
        let signature = sign::signature(self.shared.secrets.of(login), &body);
        self.shared.post_raw(path, body.into(), Some(signature)).await
    }

    /// Posts any bytes with exactly this signature header, or none; one try.
    pub async fn deliver_signed(
        &self,
        path: &str,
        body: impl Into<Vec<u8>>,
        signature: Option<&str>,
    ) -> Attempt {
        self.shared.post_raw(path, body.into().into(), signature.map(str::to_owned)).await
    }

    /// The handshake Meta makes when a webhook is configured (docs/meta-platform.md 1); status and body of the answer.
    ///
    /// # Errors
    /// When there is no webhook URL or no answer.
    pub async fn handshake(
        &self,
        path: &str,
        verify_token: &str,
        challenge: &str,
    ) -> Result<(u16, String), SimulatorError> {
        let base = self.shared.webhook_url.borrow().clone();
        let base = base.ok_or_else(|| Invalid::new("webhook_url", "is not set yet"))?;
        let answer = self
            .shared
            .http
            .get(format!("{}{path}", base.as_str().trim_end_matches('/')))
            .timeout(self.shared.policy().post_timeout)
            .query(&[
                ("hub.mode", "subscribe"),
                ("hub.challenge", challenge),
                ("hub.verify_token", verify_token),
            ])
            .send()
            .await
            .map_err(SimulatorError::Unreachable)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(SimulatorError::Unreachable)?))
    }

    /// Everything any person received, by person: what exactly-once tests count.
    pub fn received(&self) -> Vec<Message> {
        let world = self.shared.world();
        let mut messages: Vec<Message> =
            world.messages.values().filter(|m| m.from == Side::Account).cloned().collect();
        messages.sort_by(|a, b| (a.at, &a.mid).cmp(&(b.at, &b.mid)));
        messages
    }

    /// Whether new templates are pending until [`AccountHandle::decides_template`], or approved at once.
    pub fn review_templates_slowly(&self, slowly: bool) {
        self.shared.world().slow_templates = slowly;
    }

    /// Every event that the Conversions API has counted, as often as it came.
    pub fn conversions(&self) -> Vec<Conversion> {
        self.shared.world().conversions.clone()
    }

    /// The next `times` answers of the Conversions API are in part: no event counted, and a warning.
    pub fn answer_conversions_in_part(&self, times: u32) {
        self.shared.world().partial_conversions = times;
    }

    /// Stops everything: the port, deliveries, traffic. What was not delivered is dropped.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    pub(crate) fn of(shared: Arc<Shared>) -> SimulatorHandle {
        let address = shared.base.trim_start_matches("http://").parse();
        let address = address.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)));
        SimulatorHandle { shared, address }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl std::fmt::Debug for SimulatorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatorHandle").field("address", &self.address).finish()
    }
}
