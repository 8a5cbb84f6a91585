//! ◆ Pure: Graph's `fields` parameter: `id,messages.limit(20){id,from}`.

use serde_json::{Map, Value};

use super::error::GraphError;

/// One wanted field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) limit: Option<usize>,
    pub(crate) sub: Vec<Field>,
}

/// Reads a `fields` parameter.
pub(crate) fn parse(text: &str) -> Result<Vec<Field>, GraphError> {
    let mut rest = text;
    let fields = list(&mut rest, 0)?;
    if rest.is_empty() {
        return Ok(fields);
    }
    Err(syntax(rest))
}

fn syntax(rest: &str) -> GraphError {
    GraphError::new(
        400,
        2500,
        "OAuthException",
        &format!("Syntax error in the fields parameter near \"{rest}\""),
    )
}

/// Deeper nesting than Meta's own five levels is refused.
const DEPTH_MAX: usize = 5;

fn list(rest: &mut &str, depth: usize) -> Result<Vec<Field>, GraphError> {
    if DEPTH_MAX < depth {
        return Err(syntax(rest));
    }
    let mut fields = Vec::new();
    loop {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return Err(syntax(rest));
        }
        *rest = after;
        let mut field = Field { name: name.to_owned(), limit: None, sub: Vec::new() };
        while let Some(modifier) = rest.strip_prefix('.') {
            let open = modifier.find('(').ok_or_else(|| syntax(modifier))?;
            let close = modifier.find(')').filter(|close| open < *close);
            let close = close.ok_or_else(|| syntax(modifier))?;
            let (key, argument) = (&modifier[..open], &modifier[open + 1..close]);
            if key == "limit" {
                field.limit = Some(argument.parse().map_err(|_| syntax(modifier))?);
            }
            *rest = &modifier[close + 1..];
        }
        if let Some(inner) = rest.strip_prefix('{') {
            *rest = inner;
            field.sub = list(rest, depth + 1)?;
            *rest = rest.strip_prefix('}').ok_or_else(|| syntax(rest))?;
        }
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Ok(fields),
        }
    }
}

/// The wanted part of a full object; `id` always comes along.
pub(crate) fn select(full: Map<String, Value>, fields: &[Field]) -> Value {
    let wanted = |name: &str| name == "id" || fields.iter().any(|field| field.name == name);
    full.into_iter().filter(|(name, value)| wanted(name) && !value.is_null()).collect()
}

/// The field of this name, when it is wanted.
pub(crate) fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    fields.iter().find(|field| field.name == name)
}

/// Fields by name only.
pub(crate) fn named(names: &[&str]) -> Vec<Field> {
    let field = |name: &&str| Field { name: (*name).to_owned(), limit: None, sub: Vec::new() };
    names.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_nested_fields_with_modifiers() {
        let text = "id,updated_time,participants,messages.limit(20){id,created_time,from{id}}";
        let fields = parse(text).expect("fields");
        assert_eq!(fields.len(), 4);
        let messages = find(&fields, "messages").expect("messages");
        assert_eq!((messages.limit, messages.sub.len()), (Some(20), 3));
        for bad in ["", ",", "a,", "a{", "a{b", "a}", "a.limit(x)", "a.limit", "a b"] {
            assert_eq!(parse(bad).map_err(|error| error.code), Err(2500), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[a-z{}().,é ]{0,60}") {
            let _ = parse(&text);
        }
    }
}
