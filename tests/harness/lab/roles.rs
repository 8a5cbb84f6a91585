//! The roles of a lab: in a process each, or all in one.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Child;

use super::process::{Ports, Role, Running};
use super::{Lab, free_address, least};
use crate::binary::hookline_command_of;
use crate::client::eventually;

const ADMIN_LISTEN: &str = runtime::admin::LISTEN;
const TOGETHER: &str = "the roles of this lab share a process: start them with `run_apart`";

impl Lab {
    /// Starts all four roles in one process (`hookline up` with the servers of this lab), waits until they are ready, and points Meta at
    /// ingest. None of them can be stopped alone.
    pub async fn run_all(&mut self) {
        if least::all_apart() {
            self.run_apart().await;
            self.run(Role::Ops).await;
            return self.ready(Role::Ops).await;
        }
        let inbox = self.choose_ports(Role::Api, 0);
        let (door, inbox, admin) = (free_address(), inbox.door, inbox.admin);
        for (role, door) in [
            (Role::Ingest, door),
            (Role::Worker, admin),
            (Role::Projector, admin),
            (Role::Api, inbox),
            (Role::Ops, admin),
        ] {
            self.ports.insert((role, 0), Ports { door, admin });
        }
        // A folder below, so that other verbs do not read what `up` writes for them.
        std::fs::create_dir_all(self.folder.join("up")).unwrap();
        let listens = [("INGEST_LISTEN", door), ("API_LISTEN", inbox), (ADMIN_LISTEN, admin)];
        let child = self.spawn("up", "up", &listens);
        self.together = Some(Running { child, ports: Ports { door: admin, admin } });
        self.all_ready().await;
        self.point_meta_at_ingest();
    }

    /// From now on roles connect accounts by the logins of the simulated Meta, by an app named `main`.
    pub fn connect_in_browser(&mut self) {
        let inbox = self.choose_ports(Role::Api, 0).door;
        let simulator = self.simulator.clone();
        self.set("PUBLIC_URL", &format!("http://{inbox}"));
        // Meta takes a code once: an answer that came too late would be a used code.
        self.set("GRAPH_TIMEOUT", "20s");
        self.set("META_APPS", &simulator.meta_apps("main"));
        self.set("INSTAGRAM_LOGIN_URL", &simulator.instagram_login_url());
        self.set("INSTAGRAM_OAUTH_URL", &simulator.instagram_oauth_url());
        self.set("FACEBOOK_LOGIN_URL", &simulator.facebook_login_url());
    }

    /// Starts all four roles in a process each, waits until they are ready, and points Meta at ingest.
    pub async fn run_apart(&mut self) {
        self.has_worker = true;
        for role in Role::ALL {
            self.run(role).await;
        }
        self.all_ready().await;
        self.point_meta_at_ingest();
    }

    /// Meta delivers to the webhook door of this lab.
    pub fn point_meta_at_ingest(&self) {
        let door = url::Url::parse(&self.url(Role::Ingest)).unwrap();
        self.simulator.set_webhook_url(door);
    }

    /// Waits until `/readyz` of every role says 200.
    pub async fn all_ready(&self) {
        for role in Role::ALL {
            self.ready(role).await;
        }
    }

    /// Starts the first process of a role.
    pub async fn run(&mut self, role: Role) {
        self.run_nth(role, 0).await;
    }

    /// The same ones at every start.
    fn choose_ports(&mut self, role: Role, n: u32) -> Ports {
        *self.ports.entry((role, n)).or_insert_with(|| {
            let admin = free_address();
            Ports { door: role.door().map_or(admin, |_| free_address()), admin }
        })
    }

    /// Starts process number `n` of a role; after a kill on the same port as before.
    pub async fn run_nth(&mut self, role: Role, n: u32) {
        assert!(self.together.is_none() || n > 0, "{TOGETHER}");
        self.has_worker |= role == Role::Worker;
        let ports = self.choose_ports(role, n);
        let mut listens = vec![(ADMIN_LISTEN, ports.admin)];
        listens.extend(role.door().map(|variable| (variable, ports.door)));
        let child = self.spawn(role.name(), &format!("{}-{n}", role.name()), &listens);
        self.roles.insert((role, n), Running { child, ports });
    }

    fn spawn(&self, verb: &str, log: &str, listens: &[(&str, SocketAddr)]) -> Child {
        let folder = if verb == "up" { self.folder.join("up") } else { self.folder.clone() };
        let log = self.folder.join(format!("{log}.log"));
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        hookline_command_of(&self.program)
            .arg(verb)
            .current_dir(folder)
            .envs(&self.settings)
            .envs(self.least(verb))
            .envs(listens.iter().map(|(name, address)| (name, address.to_string())))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits until `/readyz` of a role says 200.
    pub async fn ready(&self, role: Role) {
        self.ready_nth(role, 0).await;
    }

    pub async fn ready_nth(&self, role: Role, n: u32) {
        let url = format!("{}/readyz", self.url_nth(role, n));
        let meta = self.meta();
        eventually(
            &format!("{} is ready (log in {})", role.name(), self.folder.display()),
            Duration::from_secs(30),
            async || match meta.http.get(&url).send().await {
                Ok(answer) if answer.status() == 200 => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            },
        )
        .await;
    }

    /// What `/readyz` of a role answers: the status of its door where it has one, and the text of its admin listener; 0 where nobody does.
    pub async fn readyz(&self, role: Role) -> (u16, String) {
        let (status, _) = self.ask(&format!("{}/readyz", self.url(role))).await;
        (status, self.ask(&format!("{}/readyz", self.admin_url(role, 0))).await.1)
    }

    /// What `/metrics` of a role shows.
    pub async fn metrics(&self, role: Role) -> String {
        self.ask(&format!("{}/metrics", self.admin_url(role, 0))).await.1
    }

    async fn ask(&self, url: &str) -> (u16, String) {
        match self.meta().http.get(url).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
            Err(error) => (0, error.to_string()),
        }
    }

    /// Waits until `/readyz` of a role says 503 with these words.
    pub async fn not_ready(&self, role: Role, words: &str, within: Duration) {
        eventually(&format!("{} says {words}", role.name()), within, async || {
            match self.readyz(role).await {
                (503, reason) if reason.contains(words) => Ok(()),
                other => Err(format!("{other:?}\n{}", self.log(role))),
            }
        })
        .await;
    }

    pub fn url(&self, role: Role) -> String {
        self.url_nth(role, 0)
    }

    pub fn url_nth(&self, role: Role, n: u32) -> String {
        format!("http://{}", self.ports_of(role, n).door)
    }

    /// Where process number `n` of a role gives reasons and metrics.
    pub fn admin_url(&self, role: Role, n: u32) -> String {
        format!("http://{}", self.ports_of(role, n).admin)
    }

    fn ports_of(&self, role: Role, n: u32) -> Ports {
        self.roles.get(&(role, n)).map_or_else(|| self.ports[&(role, n)], |running| running.ports)
    }

    /// `kill -9`, and waits for the process to be gone.
    pub async fn kill9(&mut self, role: Role) {
        self.kill9_nth(role, 0).await;
    }

    pub async fn kill9_nth(&mut self, role: Role, n: u32) {
        let mut running = self.alone(role, n);
        running.child.kill().await.unwrap();
    }

    /// A process of one role, which nobody waits for any more.
    fn alone(&mut self, role: Role, n: u32) -> Running {
        assert!(self.together.is_none() || n > 0, "{TOGETHER}");
        self.roles.remove(&(role, n)).expect("the role runs")
    }

    /// Starts a process that will die at these failpoints (`runtime::failpoint`).
    pub async fn run_to_die(&mut self, role: Role, failpoints: &str) {
        self.set(runtime::failpoint::ENV, failpoints);
        self.run(role).await;
        self.settings.remove(runtime::failpoint::ENV);
    }

    /// Waits for a process to kill itself; `false`: it still runs. A process that ended in any other way is a failure.
    pub async fn died(&mut self, role: Role, within: Duration) -> bool {
        use std::os::unix::process::ExitStatusExt;
        let running = self.roles.get_mut(&(role, 0)).expect("the role runs");
        let Ok(status) = tokio::time::timeout(within, running.child.wait()).await else {
            return false;
        };
        let status = status.unwrap();
        assert_eq!(status.signal(), Some(9), "{} ended: {status}", role.name());
        self.roles.remove(&(role, 0));
        true
    }

    /// Waits for a process to end by itself; its exit code.
    pub async fn ended(&mut self, role: Role) -> i32 {
        let mut running = self.alone(role, 0);
        let ended = tokio::time::timeout(Duration::from_secs(30), running.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{} lives on", role.name())).unwrap();
        status.code().unwrap_or_else(|| panic!("{} was killed: {status}", role.name()))
    }

    /// The leases of a role that is dead lapse now, and others know that it is: a test need not wait for what only the clock would do.
    pub async fn lapse(&self, role: Role) {
        let sql = match role {
            Role::Worker => {
                "update worker.leases set expires_at = clock_timestamp() - interval '1 second'; delete from worker.members"
            }
            Role::Projector => {
                "update inbox_v1.leases set expires_at = clock_timestamp() - interval '1 second'"
            }
            Role::Ingest | Role::Api | Role::Ops => return,
        };
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }

    /// SIGTERM; the exit code, or `None` where it did not end within 12 s.
    pub async fn stop(&mut self, role: Role) -> Option<i32> {
        self.stop_nth(role, 0).await
    }

    pub async fn stop_nth(&mut self, role: Role, n: u32) -> Option<i32> {
        let mut running = self.alone(role, n);
        let pid = running.child.id().expect("it runs");
        signal(pid, rustix::process::Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(12), running.child.wait()).await;
        ended.ok().and_then(|status| status.unwrap().code())
    }

    /// The process id of a role.
    pub fn pid(&self, role: Role, n: u32) -> u32 {
        assert!(self.together.is_none() || n > 0, "{TOGETHER}");
        self.roles[&(role, n)].child.id().expect("it runs")
    }

    /// What a role logged: beside what the others did, where they share a process.
    pub fn log(&self, role: Role) -> String {
        let name = match self.together {
            Some(_) => "up.log".to_owned(),
            None => format!("{}-0.log", role.name()),
        };
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

/// Sends a signal to a process that may be gone already. Of a stop it waits until every thread stands: one that still runs for a moment
/// would do what a test says is not done.
#[allow(
    clippy::disallowed_methods,
    reason = "some milliseconds, in a test that waits for nothing else"
)]
pub fn signal(pid: u32, signal: rustix::process::Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, signal);
    }
    if signal == rustix::process::Signal::STOP {
        let deadline = std::time::Instant::now() + Duration::from_secs(2);
        while runs(pid) && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Waits until a failpoint `=stop` has stopped this process.
pub async fn is_stopped(pid: u32, what: &str, within: Duration) {
    eventually(what, within, async || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Its state stands behind its name, which may hold anything.
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        crate::client::holds(state.starts_with('T'), || stat.clone())
    })
    .await;
}

/// Whether a thread of a process is not stopped; `false` where the system does not say.
fn runs(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
        state.is_some_and(|state| !matches!(state, 'T' | 't' | 'Z' | 'X'))
    })
}
