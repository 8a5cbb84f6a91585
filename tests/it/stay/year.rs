//! A simulated year: clocks of Postgres, worker and Meta go on together, the worker looks after its accounts by its own rules, and dies at
//! times. No token lapses, and what Meta withholds is noticed within a day.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use simulator::{AccountHandle, AccountSpec, CallKind};
use tests::clock::Clock;
use tests::traffic::{share, soak};
use tests::{Lab, LabOptions, Role};

const ACCOUNTS: usize = 1_000;
const HOUR_MS: i64 = 3_600_000;
const DAY: i64 = 24;
/// Without a death of the worker an account is refreshed again after 41 days.
const BETWEEN: i64 = 40 * DAY;
/// Where a worker dies, one after the other.
const DEATHS: [&str; 4] = [
    "refresh.after_call=kill",
    "refresh.after_keep=kill",
    "refresh.before_use=kill",
    "refresh.after_use=kill",
];

struct Year {
    lab: Lab,
    clocks: [Clock; 2],
    shops: Vec<AccountHandle>,
    deaths: usize,
    /// By account, the hours at which it was refreshed.
    refreshed: Vec<Vec<i64>>,
}

impl Year {
    /// `None`, with a notice, where clocks cannot be set.
    async fn begin(accounts: usize) -> Option<Self> {
        let mut lab = Lab::start_with(LabOptions { clock: true, ..LabOptions::OWN }).await;
        let Some(postgres) = lab.clock_of_postgres().cloned() else {
            eprintln!("notice: skipped, libfaketime is not installed (Debian: faketime)");
            return None;
        };
        // A look that times out on a busy machine would be repeated later.
        lab.set("GRAPH_TIMEOUT", "30s");
        let mut shops = Vec::new();
        for n in 0..accounts {
            let id = format!("178414{n:010}");
            let shop = lab.simulator.add_account(AccountSpec::instagram(&id)).unwrap();
            lab.add_account("instagram", "instagram", &id, &shop.token(), &[]).await;
            shops.push(shop);
        }
        // As a login in a browser stores it: with the end that Meta names.
        sqlx::query(
            "update worker.account_upkeep set token_ends = now() + interval '5183944 seconds'",
        )
        .execute(lab.pool())
        .await
        .unwrap();
        let worker = Clock::new(lab.folder(), "clock-of-worker").unwrap();
        lab.set(runtime::waits::ENV, &format!("{};upkeep=100ms", tests::lab::WAITS));
        lab.settings.extend(worker.variables());
        let refreshed = vec![Vec::new(); accounts];
        let mut year = Self { lab, clocks: [postgres, worker], shops, deaths: 0, refreshed };
        year.worker().await;
        Some(year)
    }

    /// Starts a worker that dies at the next place, once all places had theirs one that does not.
    async fn worker(&mut self) {
        match DEATHS.get(self.deaths) {
            Some(place) => self.lab.run_to_die(Role::Worker, place).await,
            None => self.lab.run(Role::Worker).await,
        }
    }

    /// It is so many hours later, and the worker has done what is due.
    async fn pass_to(&mut self, hour: i64) {
        for clock in &self.clocks {
            clock.set(hour * HOUR_MS);
        }
        self.lab.simulator.set_policy(|policy| policy.clock_ahead_ms = hour * HOUR_MS).unwrap();
        let (began, began_at) = (Instant::now(), Utc::now() - TimeDelta::minutes(1));
        loop {
            let (due, is_so_late): (i64, bool) = sqlx::query_as(
                "select count(*), clock_timestamp() > $1 from worker.account_upkeep where due_at <= clock_timestamp()",
            )
            .bind(began_at + TimeDelta::milliseconds(hour * HOUR_MS))
            .fetch_one(self.lab.pool())
            .await
            .unwrap();
            assert!(is_so_late, "Postgres does not run by its clock");
            if due == 0 {
                break;
            }
            if self.lab.died(Role::Worker, Duration::from_millis(20)).await {
                self.deaths += 1;
                self.lab.lapse(Role::Worker).await;
                self.worker().await;
            }
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "{due} accounts are still due at hour {hour}: {}",
                self.lab.log(Role::Worker)
            );
        }
        for (shop, refreshed) in self.shops.iter().zip(&mut self.refreshed) {
            let tries = usize::try_from(shop.count(CallKind::TokenRefresh)).unwrap();
            refreshed.resize(tries.max(refreshed.len()), hour);
        }
        self.nobody_is_lost(hour).await;
    }

    /// Meta takes the stored token of every account.
    async fn nobody_is_lost(&self, hour: i64) {
        let lost: Vec<String> = sqlx::query_scalar(
            "select a.id from worker.accounts a join worker.account_upkeep u on u.channel = a.channel and u.account_id = a.id
              where a.state <> 'active' or u.token_ends <= clock_timestamp()",
        )
        .fetch_all(self.lab.pool())
        .await
        .unwrap();
        assert!(lost.is_empty(), "hour {hour}: {lost:?}: {}", self.lab.log(Role::Worker));
    }

    async fn withheld(&self, shop: &AccountHandle) -> Vec<String> {
        sqlx::query_scalar(
            "select field from worker.account_fields where account_id = $1 and state <> 'subscribed' order by field",
        )
        .bind(shop.id())
        .fetch_all(self.lab.pool())
        .await
        .unwrap()
    }

    /// Meta takes a field away and refuses it: a day later that is known. Then it grants it again, and a day later it is there.
    async fn a_field_is_withheld(&mut self, n: usize, hour: i64, step: i64) -> i64 {
        let shop = self.shops[n % self.shops.len()].clone();
        let all = shop.subscribed_fields();
        let rest: Vec<&str> =
            all.iter().map(String::as_str).filter(|one| *one != "comments").collect();
        shop.refuse_fields(&["comments"], 200);
        shop.set_subscribed_fields(&rest, &[]);
        let end = hour + DAY;
        for hour in (hour + step..=end).step_by(usize::try_from(step).unwrap()) {
            self.pass_to(hour).await;
        }
        assert_eq!(self.withheld(&shop).await, ["comments"], "hour {end}");
        shop.refuse_fields(&[], 200);
        self.pass_to(end + DAY).await;
        assert_eq!(self.withheld(&shop).await, Vec::<String>::new(), "hour {}", end + DAY);
        assert!(shop.subscribed_fields().iter().any(|field| field == "comments"));
        end + DAY
    }

    /// The hours between two refreshes, of accounts that no death of the worker has touched in between.
    fn rarely_refreshed(&self) {
        let too_often =
            |hours: &Vec<i64>| hours.windows(2).filter(|pair| pair[1] - pair[0] < BETWEEN).count();
        let all: usize = self.refreshed.iter().map(too_often).sum();
        assert!(all <= self.deaths, "{all} refreshes too many, {} deaths", self.deaths);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_outlives_its_end_and_a_withheld_field_is_noticed() {
    let Some(mut year) = Year::begin(4).await else { return };
    year.pass_to(1).await;
    let hour = year.a_field_is_withheld(0, 1, DAY).await;
    for hour in [hour + 300, 800, 960, 984, 1_008, 1_032, 1_056, 1_080, 1_104, 1_500] {
        year.pass_to(hour).await;
    }
    assert!(year.deaths >= 3, "{} deaths", year.deaths);
    assert!(year.refreshed.iter().all(|hours| !hours.is_empty()), "{:?}", year.refreshed);
    year.rarely_refreshed();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak"]
async fn soak_a_year() {
    let accounts = share(ACCOUNTS, soak());
    let Some(mut year) = Year::begin(accounts).await else { return };
    let (mut hour, mut withheld) = (1, 0);
    year.pass_to(hour).await;
    while hour < 365 * DAY {
        if hour % (10 * DAY) < DAY / 2 {
            hour = year.a_field_is_withheld(withheld, hour, DAY / 2).await;
            withheld += 1;
        } else {
            hour += DAY / 2;
            year.pass_to(hour).await;
        }
    }
    year.rarely_refreshed();
    let refreshes: usize = year.refreshed.iter().map(Vec::len).sum();
    eprintln!(
        "{accounts} accounts, {refreshes} refreshes, {withheld} fields withheld, {} deaths",
        year.deaths
    );
    assert!(8 * accounts <= refreshes + year.deaths && refreshes <= 9 * accounts + year.deaths);
}
