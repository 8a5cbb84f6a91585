//! ◆ Pure: the kinds of rows, and the ids of those that have no id of their own.

use serde_json::Value;

/// The kind of row a fact belongs to, as the prefix of the row's id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Class {
    /// A message, by mid.
    Message,
    /// A conversation and its contact.
    Conversation,
    /// A receipt with a watermark.
    Receipt,
    /// A comment.
    Comment,
    /// One person's reaction to one comment or post.
    Reaction,
    /// A post.
    Post,
    /// A mention.
    Mention,
    /// A captured figure.
    Insight,
    /// A label of one conversation.
    Label,
    /// A note.
    Note,
    /// No row: remembers the version of an event that changes none.
    Nothing,
}

impl Class {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Message,
        Self::Conversation,
        Self::Receipt,
        Self::Comment,
        Self::Reaction,
        Self::Post,
        Self::Mention,
        Self::Insight,
        Self::Label,
        Self::Note,
        Self::Nothing,
    ];

    /// How ids of this class begin.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Message => "msg_",
            Self::Conversation => "cnv_",
            Self::Receipt => "rcp_",
            Self::Comment => "cmt_",
            Self::Reaction => "rct_",
            Self::Post => "pst_",
            Self::Mention => "men_",
            Self::Insight => "ins_",
            Self::Label => "lbl_",
            Self::Note => "nte_",
            Self::Nothing => "nil_",
        }
    }

    /// The class an entity belongs to.
    pub(crate) fn of(entity: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| entity.starts_with(class.prefix()))
    }

    /// The id of an entity of this class from its natural key.
    pub(crate) fn entity(self, key: &[&str]) -> String {
        let mut hex = schemas::ids::sha256_hex(Value::from(key).to_string().as_bytes());
        hex.truncate(32);
        format!("{}{hex}", self.prefix())
    }
}
