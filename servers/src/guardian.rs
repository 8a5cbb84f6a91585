//! A child that cannot outlive us.
//!
//! Between us and the server stands a shell. It holds one end of a pipe whose other end only we hold: when we die,
//! even by kill -9, the pipe closes, and the shell stops the server. Both are in a process group of their own, so that Ctrl-C
//! in a terminal reaches only us, and we stop the server when nobody needs it any more.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::Signal;

use crate::process;

/// Arguments: signal name, seconds until KILL, then the server's command line. Prints the server's pid, ends with its exit code.
const SCRIPT: &str = r#"
signal=$1; patience=$2; shift 2
exec 3<&0
"$@" 3<&- </dev/null >&2 &
server=$!
(
  while read -r line; do :; done <&3
  kill -s "$signal" "$server"
  tries=$((patience * 10))
  while [ "$tries" -gt 0 ] && kill -s 0 "$server"; do sleep 0.1; tries=$((tries - 1)); done
  kill -s KILL "$server"
) </dev/null >/dev/null 2>&1 &
watcher=$!
exec 3<&- </dev/null
echo "$server"
exec >&2
wait "$server"
code=$?
kill -s KILL "$watcher" 2>/dev/null
exit "$code"
"#;

/// How long a server may take to stop before it is killed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// A running server and the shell that guards it. Dropping it stops the server in the background.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Option<Child>,
    lifeline: Option<ChildStdin>,
    server: u32,
    stop_signal: StopSignal,
}

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopSignal {
    /// SIGTERM: NATS finishes its writes and goes.
    Term,
    /// SIGINT: Postgres's fast shutdown; on SIGTERM it would wait for every client to leave.
    Int,
}

impl StopSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
        }
    }

    pub(crate) fn signal(self) -> Signal {
        match self {
            Self::Term => Signal::TERM,
            Self::Int => Signal::INT,
        }
    }
}

impl Guardian {
    /// Starts `server` (program, arguments) by way of a shell made by `shell` (user, environment and folder are taken from it).
    ///
    /// # Errors
    /// When the shell cannot be started or ends before it has printed the server's pid. Whether the server accepts its
    /// arguments shows later, by [`Guardian::exit_status`].
    pub(crate) fn spawn(
        mut shell: Command,
        server: &Command,
        log: File,
        stop_signal: StopSignal,
    ) -> anyhow::Result<Self> {
        shell
            .args(["-c", SCRIPT, "hookline-guardian", stop_signal.name()])
            .arg(PATIENCE.as_secs().to_string())
            .arg(server.get_program())
            .args(server.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        let mut child = shell.spawn().context("starting /bin/sh to guard a private server")?;
        let lifeline = child.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).context("reading the server's pid")?;
        }
        let Ok(server) = line.trim().parse() else {
            drop(lifeline);
            let status = child.wait().context("waiting for the guardian")?;
            bail!("the guardian of a private server ended before it began ({status})");
        };
        Ok(Self { shell: Some(child), lifeline, server, stop_signal })
    }

    /// Process id of the server itself.
    pub(crate) fn server_pid(&self) -> u32 {
        self.server
    }

    /// How the server ended, or `None` while it runs.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.shell.as_mut().and_then(|shell| shell.try_wait().ok().flatten())
    }

    /// Asks the server to stop, kills it after [`PATIENCE`], and waits until it is gone.
    ///
    /// # Errors
    /// When it is still there even after that.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if self.exit_status().is_none() {
            process::signal(self.server, self.stop_signal.signal());
        }
        // The guardian does the same at its own pace, and the KILL after it.
        self.lifeline = None;
        self.wait(PATIENCE + Duration::from_secs(3)).await
    }

    /// Kills the server and every child of it at once, as a crash would, and waits until they are gone.
    ///
    /// # Errors
    /// When something survives it.
    pub(crate) async fn kill9(mut self) -> anyhow::Result<()> {
        let mut family = Vec::new();
        if self.exit_status().is_none() {
            // Stopped first, so that it makes no more children while they are counted.
            process::signal(self.server, Signal::STOP);
            family = process::children(self.server);
            process::signal(self.server, Signal::KILL);
            for child in &family {
                process::signal(*child, Signal::KILL);
            }
        }
        self.wait(Duration::from_secs(5)).await?;
        let gone = tokio::task::spawn_blocking(move || {
            process::wait_gone(&family, Duration::from_secs(5))
        });
        if !gone.await.context("waiting for the killed server's children")? {
            bail!("children of killed server {} are still running", self.server);
        }
        Ok(())
    }

    async fn wait(&mut self, patience: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while self.exit_status().is_none() {
            if deadline <= Instant::now() {
                bail!("private server with pid {} does not stop: kill it by hand", self.server);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.lifeline = None;
        if let Some(mut shell) = self.shell.take()
            && !matches!(shell.try_wait(), Ok(Some(_)))
        {
            // Only to leave no zombie; the guardian stops the server whether or not we live to see it.
            std::thread::spawn(move || shell.wait().ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::Scratch;

    fn guarded(scratch: &Scratch, program: &str, args: &[&str]) -> Guardian {
        let log = File::create(scratch.path().join("log")).expect("log");
        let mut server = Command::new(program);
        server.args(args);
        Guardian::spawn(Command::new("/bin/sh"), &server, log, StopSignal::Term).expect("spawn")
    }

    #[tokio::test]
    async fn stopping_waits_for_the_end() {
        let scratch = Scratch::new("guardian-stop");
        let guardian = guarded(&scratch, "sleep", &["600"]);
        let pid = guardian.server_pid();
        assert!(process::is_running(pid));
        guardian.stop().await.expect("stop");
        assert!(!process::is_running(pid));
    }

    #[tokio::test]
    async fn dropping_ends_the_server_too() {
        let scratch = Scratch::new("guardian-drop");
        let guardian = guarded(&scratch, "sleep", &["600"]);
        let pid = guardian.server_pid();
        drop(guardian);
        assert!(process::wait_gone(&[pid], Duration::from_secs(5)));
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_noticed_with_its_code_and_words() {
        let scratch = Scratch::new("guardian-exit");
        let mut guardian = guarded(&scratch, "sh", &["-c", "echo out; echo err >&2; exit 7"]);
        let deadline = Instant::now() + Duration::from_secs(5);
        while guardian.exit_status().is_none() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(guardian.exit_status().and_then(|status| status.code()), Some(7));
        assert_eq!(fs::read_to_string(scratch.path().join("log")).expect("log"), "out\nerr\n");
    }

    #[tokio::test]
    async fn a_deaf_server_is_killed() {
        let scratch = Scratch::new("guardian-deaf");
        let deaf = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
        let guardian = guarded(&scratch, "sh", &["-c", deaf]);
        let pid = guardian.server_pid();
        let deadline = Instant::now() + Duration::from_secs(5);
        let log = scratch.path().join("log");
        while fs::read_to_string(&log).expect("log") != "deaf\n" {
            assert!(Instant::now() < deadline, "it says so once it hears nothing");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begun = Instant::now();
        guardian.stop().await.expect("stop");
        assert!(!process::is_running(pid));
        // The guardian counts tenths of a second by sleeping, so it is not early by more than a tick.
        assert!(PATIENCE <= begun.elapsed() + Duration::from_millis(200), "it was given time");
    }

    #[tokio::test]
    async fn kill9_takes_the_children_along() {
        let scratch = Scratch::new("guardian-kill9");
        let guardian = guarded(&scratch, "sh", &["-c", "sleep 601 & sleep 602 & wait"]);
        let pid = guardian.server_pid();
        let deadline = Instant::now() + Duration::from_secs(5);
        while process::children(pid).len() < 2 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let family = process::children(pid);
        assert_eq!(family.len(), 2);
        guardian.kill9().await.expect("kill");
        assert!(
            !process::is_running(pid) && !family.iter().any(|child| process::is_running(*child))
        );
    }
}
