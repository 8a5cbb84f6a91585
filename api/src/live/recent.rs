//! ◆ Pure: the latest events, kept in memory for clients that come back after a moment.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::LiveEvent;

/// Most events that are kept.
const EVENTS_MAX: usize = 4096;
/// Most bytes of them.
const BYTES_MAX: usize = 16 << 20;

/// Every event after one position, up to another.
#[derive(Debug)]
pub(super) struct Recent {
    /// Everything after this position is here.
    after: u64,
    /// Up to this one.
    up_to: u64,
    bytes: usize,
    events: VecDeque<Arc<LiveEvent>>,
}

/// Some events, in order.
#[derive(Debug)]
pub(super) struct Part {
    pub events: Vec<Arc<LiveEvent>>,
    /// Nothing else that is wanted lies up to here.
    pub up_to: u64,
}

impl Recent {
    /// Nothing yet after `position`.
    pub(super) const fn begin(position: u64) -> Self {
        Self { after: position, up_to: position, bytes: 0, events: VecDeque::new() }
    }

    /// Whether everything after `position` is here.
    pub(super) const fn has(&self, position: u64) -> bool {
        self.after <= position && position <= self.up_to
    }

    /// Adds what is at the next position, if it is an event.
    pub(super) fn push(&mut self, position: u64, event: Option<&Arc<LiveEvent>>) {
        self.up_to = position;
        if let Some(event) = event {
            self.bytes += event.json.len();
            self.events.push_back(Arc::clone(event));
        }
        while EVENTS_MAX < self.events.len() || BYTES_MAX < self.bytes {
            let Some(first) = self.events.pop_front() else { return };
            self.bytes -= first.json.len();
            self.after = first.sequence;
        }
    }

    /// At most `max` wanted events after `position`; `None` where some of them may not be here any more.
    pub(super) fn after(
        &self,
        position: u64,
        max: usize,
        wanted: impl Fn(&LiveEvent) -> bool,
    ) -> Option<Part> {
        if !self.has(position) {
            return None;
        }
        let begin = self.events.partition_point(|event| event.sequence <= position);
        let mut events = Vec::new();
        for event in self.events.range(begin..).filter(|event| wanted(event)) {
            if max <= events.len() {
                let up_to = events.last().map_or(position, |last: &Arc<LiveEvent>| last.sequence);
                return Some(Part { events, up_to });
            }
            events.push(Arc::clone(event));
        }
        Some(Part { events, up_to: self.up_to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u64, kind: &str, text: &str) -> Arc<LiveEvent> {
        let json = format!(
            r#"{{"type":"hookline.{kind}.v1","data":{{"channel":"instagram","account_id":"1","text":"{text}"}}}}"#
        );
        Arc::new(LiveEvent::read(n, json.as_bytes()).unwrap())
    }

    fn numbers(part: &Part) -> Vec<u64> {
        part.events.iter().map(|event| event.sequence).collect()
    }

    #[test]
    fn what_is_here_comes_in_parts_and_what_is_not_is_said() {
        let mut recent = Recent::begin(10);
        for n in 11..=30 {
            let event = event(n, if n % 2 == 0 { "message.read" } else { "message.received" }, "");
            recent.push(n, Some(&event));
        }
        recent.push(31, None);
        let read = |event: &LiveEvent| event.kind == "message.read";
        let part = recent.after(14, 5, read).unwrap();
        assert_eq!((numbers(&part), part.up_to), (vec![16, 18, 20, 22, 24], 24));
        let part = recent.after(part.up_to, 5, read).unwrap();
        assert_eq!((numbers(&part), part.up_to), (vec![26, 28, 30], 31));
        let part = recent.after(30, 5, |_| true).unwrap();
        assert_eq!((numbers(&part), part.up_to), (vec![], 31));
        assert!(recent.has(10) && recent.after(9, 5, read).is_none());
        assert!(!recent.has(32), "the future");
    }

    #[test]
    fn what_is_kept_has_a_limit_in_number_and_bytes() {
        let mut many = Recent::begin(0);
        for n in 1..=EVENTS_MAX as u64 + 5 {
            many.push(n, Some(&event(n, "message.read", "")));
        }
        assert!(many.has(5) && !many.has(4));
        let mut large = Recent::begin(0);
        let text = "x".repeat(BYTES_MAX / 4);
        for n in 1..=6 {
            large.push(n, Some(&event(n, "message.received", &text)));
        }
        assert!(large.has(3) && !large.has(2), "{}", large.after);
    }
}
