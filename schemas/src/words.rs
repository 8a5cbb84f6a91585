//! ◆ Pure: closed sets of words. The one mapping between an enum and its text.

/// The text is none of the words of a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {set}: use {choices}")]
pub struct UnknownWord {
    /// What the words are, such as `channel`.
    pub set: &'static str,
    /// The first 64 characters of what stood there.
    pub word: String,
    /// The words there are.
    pub choices: String,
}

/// Gives an enum of units its words: `ALL`, `as_str`, `Display` and `FromStr` with [`UnknownWord`].
#[macro_export]
macro_rules! words {
    ($type:ident, $set:literal: $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// All there are.
            #[allow(dead_code)] // not every set is walked
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::str::FromStr for $type {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err($crate::UnknownWord {
                        set: $set,
                        word: other.chars().take(64).collect(),
                        choices: [$(concat!("`", $word, "`")),+].join(", "),
                    }),
                }
            }
        }
    };
}
