//! A private nats-server with JetStream, on loopback.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::guardian::{Guardian, PATIENCE, StopSignal};
use crate::{binaries, files, ports, process};

/// JetStream reads its streams before it answers, so a big store takes a while.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// A port found free may be taken before the server has it.
const PORT_TRIES: u32 = 5;
const USER: &str = "hookline";

/// What a private nats-server should be like.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Folder for configuration, data, password and log; made if missing.
    pub dir: PathBuf,
    /// Client port on 127.0.0.1; a free one when `None`.
    pub port: Option<u16>,
    /// Monitoring port on 127.0.0.1; a free one when `None`.
    pub monitor_port: Option<u16>,
    /// `sync_interval: always`: an ack means it is on disk. The server's default of two minutes when false.
    pub sync_always: bool,
    /// Largest message in bytes.
    pub max_payload: u64,
    /// A generated password is asked of clients, and is part of [`NatsServer::url`]. False when `extra_config` says who may enter.
    pub password: bool,
    /// Added to the end of the configuration file as it stands.
    pub extra_config: Option<String>,
}

impl NatsOptions {
    /// Durable, 8 MiB messages, free ports.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            port: None,
            monitor_port: None,
            sync_always: true,
            max_payload: 8 * 1024 * 1024,
            password: true,
            extra_config: None,
        }
    }
}

/// A private nats-server. Stopped by [`NatsServer::stop`], by dropping it, and by the death of this process.
#[derive(Debug)]
pub struct NatsServer {
    options: NatsOptions,
    dir: PathBuf,
    program: PathBuf,
    name: String,
    password: Option<String>,
    port: u16,
    monitor_port: u16,
    guardian: Option<Guardian>,
    _lock: files::FolderLock,
}

impl NatsServer {
    /// Starts the server and waits until JetStream is ready. An orphan of a crashed run is stopped first.
    ///
    /// # Errors
    /// No program, folder in use by another hookline, or the server did not come up: then with the end of its log.
    pub async fn start(options: NatsOptions) -> anyhow::Result<Self> {
        let program = binaries::nats_server()?;
        fs::create_dir_all(&options.dir)
            .with_context(|| format!("making {}", options.dir.display()))?;
        let dir = fs::canonicalize(&options.dir)
            .with_context(|| format!("finding {}", options.dir.display()))?;
        // What is stored there is people's words; the server makes folders that a group may read.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("closing {} to others", dir.display()))?;
        let lock = files::FolderLock::take(&dir)?;
        let orphan_dir = dir.clone();
        tokio::task::spawn_blocking(move || stop_orphan(&orphan_dir))
            .await
            .context("looking for an orphaned nats-server")??;

        let digest = Sha256::digest(dir.as_os_str().as_encoded_bytes());
        let name = format!("hookline-{}", &hex::encode(digest)[..12]);
        let mut server = Self {
            dir,
            program,
            name,
            password: None,
            port: 0,
            monitor_port: 0,
            guardian: None,
            _lock: lock,
            options,
        };
        for tries_left in (0..PORT_TRIES).rev() {
            server.port = server.options.port.map_or_else(ports::free, Ok)?;
            server.monitor_port = server.options.monitor_port.map_or_else(ports::free, Ok)?;
            match server.launch().await {
                Ok(()) => break,
                Err(error) if tries_left > 0 && server.may_choose_again(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(server)
    }

    /// `nats://user:password@127.0.0.1:port`. Holds a secret: not for logs.
    ///
    /// `async_nats::connect` ignores what a URL says before the `@`; see [`NatsServer::credentials`].
    pub fn url(&self) -> String {
        match &self.password {
            Some(password) => format!("nats://{USER}:{password}@127.0.0.1:{}", self.port),
            None => format!("nats://127.0.0.1:{}", self.port),
        }
    }

    /// User and password, unless `extra_config` says who may enter. Secret.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.password.as_deref().map(|password| (USER, password))
    }

    /// `http://127.0.0.1:port` of the monitoring endpoints.
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor_port)
    }

    /// Client port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the running server.
    pub fn pid(&self) -> Option<u32> {
        self.guardian.as_ref().map(Guardian::server_pid)
    }

    /// False once the server has ended, asked or not.
    pub fn is_running(&mut self) -> bool {
        self.guardian.as_mut().is_some_and(|guardian| guardian.exit_status().is_none())
    }

    /// What the next [`NatsServer::restart`] will use; ports and folder stay as they are.
    pub fn options_mut(&mut self) -> &mut NatsOptions {
        &mut self.options
    }

    /// Stops the server in peace. Data and ports are kept for [`NatsServer::restart`].
    ///
    /// # Errors
    /// When it does not end even by force.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        match self.guardian.take() {
            Some(guardian) => guardian.stop().await.context("stopping nats-server"),
            None => Ok(()),
        }
    }

    /// Kills the server as a crash would.
    ///
    /// # Errors
    /// When it survives.
    pub async fn kill9(&mut self) -> anyhow::Result<()> {
        match self.guardian.take() {
            Some(guardian) => guardian.kill9().await.context("killing nats-server"),
            None => Ok(()),
        }
    }

    /// Starts the server again on the same data and ports, after stopping it if it runs.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.stop().await?;
        self.launch().await
    }

    async fn launch(&mut self) -> anyhow::Result<()> {
        self.password = if self.options.password {
            Some(files::password(&self.dir.join("password"))?)
        } else {
            None
        };
        let config = self.dir.join("nats.conf");
        files::write_private(&config, &self.config_text())?;
        let log_path = self.dir.join("nats.log");
        let (log, log_start) = files::open_log(&log_path)?;
        let mut server = Command::new(&self.program);
        server.arg("-c").arg(&config);
        let mut shell = Command::new("/bin/sh");
        shell.current_dir(&self.dir);
        let mut guardian = Guardian::spawn(shell, &server, log, StopSignal::Term)?;

        let deadline = Instant::now() + READY_WITHIN;
        let problem = loop {
            if let Some(status) = guardian.exit_status() {
                break format!("nats-server ended at once ({status})");
            }
            if self.is_ready().await && guardian.exit_status().is_none() {
                self.guardian = Some(guardian);
                tracing::info!(
                    "Started private nats-server on port {}, data in `{}`",
                    self.port,
                    self.dir.display()
                );
                return Ok(());
            }
            if deadline <= Instant::now() {
                guardian.stop().await.ok();
                break format!("nats-server was not ready within {} s", READY_WITHIN.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let tail = files::log_tail(&log_path, log_start);
        bail!("{problem}. The end of {}:\n{tail}", log_path.display())
    }

    /// Somebody took a port between our look and the server's bind, and nobody insisted on that port.
    fn may_choose_again(&self, error: &anyhow::Error) -> bool {
        (self.options.port.is_none() || self.options.monitor_port.is_none())
            && error.to_string().contains("address already in use")
    }

    /// Ready when JetStream is up and the one who answers at our port is ours.
    async fn is_ready(&self) -> bool {
        let health = "GET /healthz?js-enabled-only=true HTTP/1.0\r\n\r\n";
        let healthy = first_line(self.monitor_port, Some(health)).await;
        if !healthy.is_some_and(|line| line.contains(" 200 ")) {
            return false;
        }
        let info = first_line(self.port, None).await;
        info.is_some_and(|line| line.starts_with("INFO ") && line.contains(&self.name))
    }

    fn config_text(&self) -> String {
        let options = &self.options;
        let sync = if options.sync_always { "  sync_interval: always\n" } else { "" };
        let authorization = match &self.password {
            Some(password) => {
                format!("authorization {{ user: {USER}, password: {} }}\n", quoted(password))
            }
            None => String::new(),
        };
        format!(
            "# Written at every start; changes are lost.\n\
             server_name: {name}\nlisten: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
             pid_file: {pid}\nmax_payload: {payload}\n\
             jetstream {{\n  store_dir: {store}\n{sync}}}\n{authorization}{extra}\n",
            name = quoted(&self.name),
            port = self.port,
            monitor = self.monitor_port,
            pid = quoted(&self.dir.join("nats.pid").to_string_lossy()),
            payload = options.max_payload,
            store = quoted(&self.dir.join("store").to_string_lossy()),
            extra = options.extra_config.as_deref().unwrap_or_default(),
        )
    }
}

/// Stops a nats-server that still works on our folder. The pid alone proves nothing, so its command line is looked at.
fn stop_orphan(dir: &Path) -> anyhow::Result<()> {
    let pid_file = dir.join("nats.pid");
    let Ok(text) = fs::read_to_string(&pid_file) else { return Ok(()) };
    let config = dir.join("nats.conf").to_string_lossy().into_owned();
    if let Ok(pid) = text.trim().parse()
        && is_our_server(&process::command_line(pid), &config)
    {
        tracing::warn!("Stopping nats-server {pid}, left behind by a run that crashed");
        if !process::stop_orphan(pid, StopSignal::Term.signal(), PATIENCE) {
            bail!("nats-server {pid} of an earlier run does not stop: kill it by hand");
        }
    }
    fs::remove_file(&pid_file).ok();
    Ok(())
}

fn is_our_server(command_line: &[String], config: &str) -> bool {
    command_line.first().is_some_and(|program| program.ends_with("nats-server"))
        && command_line.iter().any(|argument| argument == config)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What a loopback port says first, after `request` if there is one.
async fn first_line(port: u16, request: Option<&str>) -> Option<String> {
    let exchange = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()?;
        if let Some(request) = request {
            stream.write_all(request.as_bytes()).await.ok()?;
        }
        let mut bytes = vec![0; 4096];
        let mut filled = 0;
        while filled < bytes.len() && !bytes[..filled].contains(&b'\n') {
            match stream.read(&mut bytes[filled..]).await.ok()? {
                0 => break,
                read => filled += read,
            }
        }
        Some(String::from_utf8_lossy(&bytes[..filled]).into_owned())
    };
    tokio::time::timeout(Duration::from_secs(2), exchange).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_with_our_file_is_ours() {
        let ours = |line: &[&str]| {
            let line: Vec<String> = line.iter().map(|part| (*part).to_owned()).collect();
            is_our_server(&line, "/x/nats.conf")
        };
        assert!(ours(&["/usr/bin/nats-server", "-c", "/x/nats.conf"]));
        assert!(!ours(&["/usr/bin/nats-server", "-c", "/y/nats.conf"]));
        assert!(!ours(&["vi", "/x/nats.conf"]));
        assert!(!ours(&[]));
    }

    #[test]
    fn paths_are_quoted() {
        assert_eq!(quoted(r#"/a "b" \c"#), r#""/a \"b\" \\c""#);
    }
}
