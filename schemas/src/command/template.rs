//! ◆ Pure: the fields of `template_submit`, `template_status` and `template_send` (docs/meta-platform-2.md 20).

mod components;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_with::skip_serializing_none;

use super::error::{CommandError, not_empty};
use crate::{Channel, EventId};

pub use components::body_placeholders;

/// Longest name.
const NAME_BYTES_MAX: usize = 512;
/// Longest text of one parameter.
const PARAMETER_CHARS_MAX: usize = 1024;
const PARAMETERS_MAX: usize = 32;
/// The only category of Messenger.
const UTILITY: &str = "UTILITY";

/// `template_submit`: asks Meta to approve a template.
// Fields in the order of their names, as of every command.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateSubmitData {
    /// `UTILITY`.
    pub category: String,
    /// HEADER, BODY, BUTTONS, as Meta takes them, with a sample of every placeholder.
    pub components: Vec<Value>,
    /// Such as `en_US`.
    pub language: String,
    /// Its name at Meta: lower-case letters, digits and `_`.
    pub name: String,
    /// `POSITIONAL` (`{{1}}`), where absent, or `NAMED` (`{{order}}`).
    pub parameter_format: Option<String>,
}

/// `template_status`: reads what Meta has decided.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRef {
    /// Such as `en_US`.
    pub language: String,
    /// Its name at Meta.
    pub name: String,
}

/// `template_send`: sends an approved template to a person. No window.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateSendData {
    /// The event it answers.
    pub caused_by: Option<EventId>,
    /// What stands for the placeholder of the header.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<TemplateParameter>,
    /// Such as `en_US`.
    pub language: String,
    /// Its name at Meta.
    pub name: String,
    /// What stands for the placeholders of the body, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<TemplateParameter>,
}

/// What stands for a placeholder.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateParameter {
    /// The placeholder, where placeholders have names.
    pub name: Option<String>,
    /// The text.
    pub text: String,
}

/// The name of a template at Meta, from what a person calls it: lower-case letters and digits, everything else one `_`.
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('_') {
            slug.push('_');
        }
    }
    slug.trim_end_matches('_').chars().take(NAME_BYTES_MAX).collect()
}

/// Whether a channel has templates.
///
/// # Errors
/// [`CommandError::Invalid`] saying what there is in their place.
pub fn check_channel(channel: Channel) -> Result<(), CommandError> {
    match channel {
        Channel::Messenger => Ok(()),
        Channel::Instagram => Err(CommandError::invalid(
            "channel",
            "Instagram has no message templates: outside the window only a person reaches people there, with HUMAN_AGENT",
        )),
    }
}

fn check_key(name: &str, language: &str) -> Result<(), CommandError> {
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || NAME_BYTES_MAX < name.len() || !name.bytes().all(of_name) {
        let reason = format!("1 to {NAME_BYTES_MAX} lower-case letters, digits and `_`");
        return Err(CommandError::invalid("data.name", reason));
    }
    let (base, region) = language.split_once('_').unwrap_or((language, "US"));
    let is_base =
        (2..=3).contains(&base.len()) && base.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_region =
        (2..=4).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_base || !is_region {
        return Err(CommandError::invalid("data.language", "a code of Meta's, such as en_US"));
    }
    Ok(())
}

impl TemplateSubmitData {
    /// Checks the fields: what Meta refuses for sure is named before it is asked.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        check_key(&self.name, &self.language)?;
        if self.category != UTILITY {
            return Err(CommandError::invalid("data.category", "Messenger has UTILITY only"));
        }
        let named = match self.parameter_format.as_deref() {
            None | Some("POSITIONAL") => false,
            Some("NAMED") => true,
            Some(_) => {
                return Err(CommandError::invalid(
                    "data.parameter_format",
                    "use POSITIONAL or NAMED",
                ));
            }
        };
        components::check(&self.components, named)
    }
}

impl TemplateRef {
    /// Checks the fields.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        check_key(&self.name, &self.language)
    }
}

impl TemplateSendData {
    /// Checks the fields.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] naming the field.
    pub fn check(&self) -> Result<(), CommandError> {
        check_key(&self.name, &self.language)?;
        for (field, parameters) in [("header", &self.header), ("parameters", &self.parameters)] {
            if PARAMETERS_MAX < parameters.len() {
                let reason = format!("at most {PARAMETERS_MAX}");
                return Err(CommandError::invalid(&format!("data.{field}"), reason));
            }
            for parameter in parameters {
                not_empty(&format!("data.{field}.text"), parameter.text.trim())?;
                if PARAMETER_CHARS_MAX < parameter.text.chars().count() {
                    let reason = format!("at most {PARAMETER_CHARS_MAX} characters");
                    return Err(CommandError::invalid(&format!("data.{field}.text"), reason));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_name_that_meta_takes() {
        for (name, expected) in [
            ("Order shipped (v1)", "order_shipped_v1"),
            ("  Grüße -- 2 ", "gr_e_2"),
            ("order_shipped_v1", "order_shipped_v1"),
            ("!!!", ""),
        ] {
            assert_eq!(slug(name), expected);
            assert_eq!(slug(&slug(name)), expected);
            assert_eq!(check_key(&slug(name), "en_US").is_ok(), !expected.is_empty());
        }
    }

    #[test]
    fn instagram_has_none_and_names_and_languages_are_checked() {
        assert!(check_channel(Channel::Instagram).unwrap_err().to_string().contains("HUMAN_AGENT"));
        assert!(check_channel(Channel::Messenger).is_ok());
        for language in ["en_US", "de", "es_LA", "zh_HK"] {
            assert!(check_key("a", language).is_ok(), "{language}");
        }
        for language in ["", "EN_us", "english", "en_", "e"] {
            assert!(check_key("a", language).is_err(), "{language}");
        }
        assert!(check_key("Order", "en_US").is_err());
    }
}
