//! What an event leaves for others to do or to know: senders to be found ([`senderless`] items in [`waiting`]), profiles to be read
//! ([`wants`]), and what the reply policy must know of a conversation ([`conversation_state`], [`conversations`], `knowledge`, [`content`]).

pub mod content;
pub mod conversation_state;
pub mod conversations;
mod knowledge;
pub mod overview;
pub mod senderless;
pub mod waiting;
pub mod wants;
