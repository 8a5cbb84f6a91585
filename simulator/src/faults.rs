//! ◆ Pure: which call goes wrong, and how: by a share of all calls, or for the next N calls of a kind.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

use crate::call_kind::CallKind;
use crate::model::Host;

/// What goes wrong with one Graph call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// HTTP 500 code 1; nothing was done.
    ServerErrorBefore,
    /// HTTP 500 code 1 although it was done (docs/meta-platform.md 9, code 1).
    ServerErrorAfter,
    /// HTTP 503 code 2, `is_transient`; nothing was done.
    TemporaryBefore,
    /// HTTP 502 with an HTML page although it was done.
    BadGatewayAfter,
    /// No answer ever; nothing was done.
    TimeoutBefore,
    /// No answer ever although it was done.
    TimeoutAfter,
    /// The connection ends without an answer; nothing was done.
    ResetBefore,
    /// The connection ends without an answer although it was done.
    ResetAfter,
    /// 613/2534040, rate limit of the account.
    RateLimited,
    /// Code 4 with usage headers at 100 %, rate limit of the app.
    AppLimited,
    /// 190/463, once; to expire a token for good use the account.
    TokenExpired,
    /// Code 3, the app lacks the capability.
    NoCapability,
    /// Code 10, permission missing.
    NoPermission,
    /// Code 100: the cursor of a list is none any more.
    CursorEnded,
}

impl Fault {
    /// The effect at Meta happens all the same.
    pub fn after_effect(self) -> bool {
        matches!(
            self,
            Fault::ServerErrorAfter
                | Fault::BadGatewayAfter
                | Fault::TimeoutAfter
                | Fault::ResetAfter
        )
    }
}

/// One rule; the first that matches and fires decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What happens.
    pub fault: Fault,
    /// Only calls of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CallKind>,
    /// Only calls of this account (id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only calls on this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Host>,
    /// Share of matching calls that fail, 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// How many more calls may fail; absent means without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

fn always() -> f64 {
    1.0
}

impl FaultRule {
    /// Every call, for ever, until narrowed by the methods below.
    pub fn new(fault: Fault) -> FaultRule {
        FaultRule { fault, kind: None, account: None, host: None, rate: 1.0, times: None }
    }

    /// Only this kind of call.
    pub fn on(self, kind: CallKind) -> FaultRule {
        FaultRule { kind: Some(kind), ..self }
    }

    /// Only this account.
    pub fn of(self, account: &str) -> FaultRule {
        FaultRule { account: Some(account.to_owned()), ..self }
    }

    /// Only on this host.
    pub fn at(self, host: Host) -> FaultRule {
        FaultRule { host: Some(host), ..self }
    }

    /// The next `times` matching calls only.
    pub fn times(self, times: u64) -> FaultRule {
        FaultRule { times: Some(times), ..self }
    }

    /// A share of the matching calls, 0 to 1.
    pub fn rate(self, rate: f64) -> FaultRule {
        FaultRule { rate: rate.clamp(0.0, 1.0), ..self }
    }
}

/// All rules in the order they were given.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    rules: Vec<FaultRule>,
}

impl FaultPlan {
    /// Adds a rule behind the others.
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.rules.push(rule);
    }

    /// Forgets all rules.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rules still in force.
    pub(crate) fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// The fault of this call, if any; counts one-shot rules down. Several rules with a rate share
    /// one draw, so 20 % of one and 10 % of another make 30 % together.
    pub(crate) fn draw(
        &mut self,
        kind: CallKind,
        account: &str,
        host: Host,
        random: &mut StdRng,
    ) -> Option<Fault> {
        let mut draw = random.random::<f64>();
        let chosen = self.rules.iter_mut().find(|rule| {
            let matches = rule.kind.is_none_or(|wanted| wanted == kind)
                && rule.account.as_deref().is_none_or(|wanted| wanted == account)
                && rule.host.is_none_or(|wanted| wanted == host)
                && rule.times != Some(0);
            if !matches {
                return false;
            }
            let fires = draw < rule.rate;
            draw -= rule.rate;
            fires
        })?;
        if let Some(times) = &mut chosen.times {
            *times -= 1;
        }
        let fault = chosen.fault;
        self.rules.retain(|rule| rule.times != Some(0));
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    fn draws(plan: &mut FaultPlan, count: usize, seed: u64) -> Vec<Option<Fault>> {
        let mut random = StdRng::seed_from_u64(seed);
        (0..count).map(|_| plan.draw(CallKind::Send, "a", Host::Facebook, &mut random)).collect()
    }

    #[test]
    fn a_one_shot_fault_fires_as_often_as_asked_and_only_where_asked() {
        let mut plan = FaultPlan::default();
        plan.add(FaultRule::new(Fault::ResetBefore).on(CallKind::Profile).times(1));
        plan.add(FaultRule::new(Fault::RateLimited).on(CallKind::Send).of("a").times(2));
        let limited = Some(Fault::RateLimited);
        assert_eq!(draws(&mut plan, 4, 1), [limited, limited, None, None]);
        assert_eq!(plan.rules().len(), 1, "the rule for profiles waits");
    }

    #[test]
    fn rates_add_up_and_a_seed_repeats_them() {
        let plan = || {
            let mut plan = FaultPlan::default();
            plan.add(FaultRule::new(Fault::TimeoutAfter).rate(0.2));
            plan.add(FaultRule::new(Fault::ServerErrorBefore).rate(0.1));
            plan
        };
        let first = draws(&mut plan(), 5000, 42);
        assert_eq!(first, draws(&mut plan(), 5000, 42));
        let count = |fault| first.iter().filter(|drawn| **drawn == Some(fault)).count();
        assert!(
            (850..1150).contains(&count(Fault::TimeoutAfter)),
            "{}",
            count(Fault::TimeoutAfter)
        );
        assert!((400..600).contains(&count(Fault::ServerErrorBefore)));
    }
}
