//! What this process asks of the operating system.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Assumed where the system names no limit.
const UNLIMITED: u64 = 1 << 20;

/// Raises the number of files and sockets this process may open to what it is allowed to raise it to, and returns that number.
/// A low soft limit (1024 on many systems) would let that many slow clients keep everybody else out.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(UNLIMITED);
    let current = limit.current.unwrap_or(UNLIMITED);
    if current < wanted {
        let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, current, "Could not raise the limit of open files; set it with `ulimit -n`");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_soft_limit_reaches_the_hard_one() {
        let raised = super::raise_open_files();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
        assert_eq!(Some(raised), limit.current.or(Some(super::UNLIMITED)));
    }
}
