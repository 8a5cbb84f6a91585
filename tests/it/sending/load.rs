//! Replies that are asked for little by little while something else happens, and what nobody may see of them.

use simulator::CallKind;
use simulator::{Fault, FaultRule};
use tests::crowd::{Asked, Shop, Wish, ask_at};
use tests::{Api, Lab};
use tokio::sync::Semaphore;

/// What goes wrong with sends, in shares: 20 % of answers lost after delivery, 10 % before, 5 % HTTP 500 of either kind, 5 % throttled.
pub(super) fn misfortune(lab: &Lab) {
    for (fault, rate) in [
        (Fault::ResetAfter, 0.1),
        (Fault::TimeoutAfter, 0.05),
        (Fault::BadGatewayAfter, 0.05),
        (Fault::ResetBefore, 0.05),
        (Fault::TimeoutBefore, 0.05),
        (Fault::ServerErrorAfter, 0.025),
        (Fault::ServerErrorBefore, 0.025),
        (Fault::RateLimited, 0.05),
    ] {
        lab.simulator.fault(FaultRule::new(fault).on(CallKind::Send).rate(rate));
    }
}

/// `commands` wishes over all people, in as many parts; no two of one text.
pub(super) fn wishes(shops: &[Shop], commands: usize, parts: usize) -> Vec<Vec<Wish<'_>>> {
    let mut all: Vec<Vec<Wish>> = (0..parts).map(|_| Vec::new()).collect();
    for n in 0..commands {
        let shop = &shops[n % shops.len()];
        let person = &shop.people[n / shops.len() % shop.people.len()];
        all[n * parts / commands].push((shop, person, format!("text {n}"), format!("key-{n}")));
    }
    all
}

/// Asks for one part for each permit of `gate`.
pub(super) async fn ask_by_gate(
    api: &Api,
    parts: Vec<Vec<Wish<'_>>>,
    gate: &Semaphore,
) -> Vec<Asked> {
    let mut asked = Vec::new();
    for part in parts {
        gate.acquire().await.unwrap().forget();
        asked.extend(ask_at(api, part).await);
    }
    asked
}

/// Nobody has two messages of one text; the texts differ.
pub(super) fn no_text_twice(shops: &[Shop]) {
    for person in shops.iter().flat_map(|shop| &shop.people) {
        let mut texts = person.texts_received();
        texts.sort();
        let twice: Vec<_> = texts.windows(2).filter(|two| two[0] == two[1]).collect();
        assert!(twice.is_empty(), "{} got something twice: {twice:?}", person.name());
    }
}
