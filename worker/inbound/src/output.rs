//! ◆ Pure: what a raw webhook is turned into.

use facts::Draft;
use facts::follow_up::senderless::Senderless;

/// Everything a raw webhook says, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalized {
    /// In the order in which it happened within each conversation, else as in the body.
    pub outputs: Vec<Output>,
}

/// One thing a raw webhook says.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant)] // nearly all are facts
pub enum Output {
    /// An event.
    Fact(Draft),
    /// A message that exists, reported without its sender or without its content: it waits, is looked up, and may become an event.
    Senderless(Senderless),
}

impl Normalized {
    /// The drafts alone.
    pub fn facts(&self) -> impl Iterator<Item = &Draft> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Fact(draft) => Some(draft),
            Output::Senderless(_) => None,
        })
    }

    /// The sender-less items alone.
    pub fn senderless(&self) -> impl Iterator<Item = &Senderless> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Fact(_) => None,
            Output::Senderless(item) => Some(item),
        })
    }
}
