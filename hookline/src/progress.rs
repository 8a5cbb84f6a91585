//! Progress of a verb on standard error: a bar on a terminal, otherwise one JSON line every 5 s.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const SAY_EVERY: Duration = Duration::from_secs(5);

/// The progress of one verb.
pub(crate) struct Progress {
    bar: ProgressBar,
    what: &'static str,
    unit: &'static str,
    began: Instant,
    said: Instant,
    shown: bool,
}

impl Progress {
    /// Starts at 0 of `total` `unit`s, where the total is known.
    pub(crate) fn new(what: &'static str, unit: &'static str, total: Option<u64>) -> Self {
        let shown = std::io::stderr().is_terminal();
        let target =
            if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => "{prefix} {bar:40} {pos}/{len} {per_sec} {eta} {msg}",
            None => "{prefix} {spinner} {pos} {per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        let now = Instant::now();
        Self { bar, what, unit, began: now, said: now, shown }
    }

    /// The total has changed.
    pub(crate) fn total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// So many are done; `more` is shown beside the number.
    pub(crate) fn at(&mut self, done: u64, more: &str) {
        self.bar.set_position(done);
        self.bar.set_message(more.to_owned());
        if !self.shown && self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            let line = serde_json::json!({
                "progress": self.what, "unit": self.unit, "done": done, "total": self.bar.length(),
                "seconds": self.began.elapsed().as_secs(), "note": more,
            });
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
