//! ◆ Pure: what a change of a schema breaks, by rule.

use std::fmt;

macro_rules! rules {
    ($($variant:ident = $word:literal, $doc:literal;)*) => {
        /// A rule that a change breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Rule {$(
            #[doc = $doc]
            $variant,
        )*}

        impl Rule {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc),* }
            }
        }
    };
}

rules! {
    UnknownKeyword = "unknown_keyword", "the comparer does not know this keyword: teach it what may change (schemas/tests/released/schema.rs)";
    IdentityChanged = "identity_changed", "the id, dialect or title of what is published";
    KindGone = "kind_gone", "a kind of event or command is gone";
    FieldGone = "field_gone", "a field is gone";
    FieldOptional = "field_optional", "a field that was always there may be absent";
    FieldRequired = "field_required", "a field that could be left out is required";
    TypeChanged = "type_changed", "a value of another type";
    ConstChanged = "const_changed", "another constant";
    WordGone = "word_gone", "a word is gone";
    WordAdded = "word_added", "a word more in a closed list, or the list is opened";
    BoundChanged = "bound_changed", "a bound that allows more in what is published, or less in what is taken";
    FormatChanged = "format_changed", "another format";
    DefaultChanged = "default_changed", "another meaning of an absent field";
    MapChanged = "map_changed", "other fields beside those that are named";
    OperationGone = "operation_gone", "a route is gone";
    OperationRenamed = "operation_renamed", "another `operationId`: generated clients name their functions by it";
    SecurityChanged = "security_changed", "a route needs more than it did";
    ParameterGone = "parameter_gone", "a parameter is gone: requests with it are refused";
    ParameterRequired = "parameter_required", "a parameter that could be left out is required";
    BodyGone = "body_gone", "a route takes no body any more";
    BodyRequired = "body_required", "a body that could be left out is required";
    AnswerGone = "answer_gone", "a success that was answered is gone";
    MediaTypeGone = "media_type_gone", "a media type is gone";
    HeaderGone = "header_gone", "a header of an answer is gone";
}

/// One thing that a change breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub rule: Rule,
    /// Where in the description.
    pub at: String,
    /// What it was and what it is.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}: {} ({})", self.rule.as_str(), self.at, self.what, self.rule.meaning())
    }
}

/// What a comparison has found.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, rule: Rule, at: &str, what: impl Into<String>) {
        self.0.push(Finding { rule, at: at.to_owned(), what: what.into() });
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|finding| writeln!(f, "  {finding}"))
    }
}
