//! Message templates of a page (docs/meta-platform-2.md 20).

use serde_json::Value;

use super::call::Call;
use super::client::Graph;
use super::error::GraphError;
use super::host::node;
use super::limits::Lane;
use super::reads::{list, next, text_of};
use facts::accounts::Connected;

/// Pages of the listing that are read at most: a name has few languages.
const PAGES_MAX: usize = 5;
const FIELDS: &str = "id,name,language,status,category,rejected_reason";

/// A template as Graph shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTemplate {
    /// Meta's id of it.
    pub id: String,
    /// `APPROVED`, `PENDING`, `REJECTED`, …
    pub status: String,
    /// `UTILITY`.
    pub category: Option<String>,
    /// Why Meta rejected it.
    pub reason: Option<String>,
}

impl FoundTemplate {
    /// The one of exactly this name and language. Meta's filter finds names that contain it.
    fn among(answer: &Value, name: &str, language: &str) -> Option<Self> {
        let item = list(answer.get("data"))
            .find(|item| item["name"] == name && item["language"] == language)?;
        Some(Self {
            id: text_of(item.get("id"))?,
            status: text_of(item.get("status")).unwrap_or_else(|| "PENDING".to_owned()),
            category: text_of(item.get("category")),
            reason: text_of(item.get("rejected_reason")).filter(|reason| reason != "NONE"),
        })
    }
}

impl Graph {
    /// The template of this name and language, if the page has it.
    ///
    /// # Errors
    /// That of the last try; its class says whether to call again.
    pub async fn template(
        &self,
        connected: &Connected,
        name: &str,
        language: &str,
        lane: Lane,
    ) -> Result<Option<FoundTemplate>, GraphError> {
        let path = [node(&connected.account), "message_templates"];
        let mut after: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("name", name), ("fields", FIELDS), ("limit", "100")];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let call = Call::new("template", lane);
            let answer = self.get(connected, call, &path, &query).await?;
            if let Some(found) = FoundTemplate::among(&answer, name, language) {
                return Ok(Some(found));
            }
            after = match next(&answer, after.as_deref()) {
                Some(next) => Some(next),
                None => return Ok(None),
            };
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_matched_exactly() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/meta/graph2");
        let text = std::fs::read_to_string(format!("{folder}/template-list.json")).unwrap();
        let answer: Value = serde_json::from_str(&text).unwrap();
        let body = &answer["response"]["body"];
        let of = |name: &str, language: &str| {
            FoundTemplate::among(body, name, language).map(|found| (found.id, found.status))
        };
        let pair = |id: &str, status: &str| Some((id.to_owned(), status.to_owned()));
        assert_eq!(of("order_shipped_v1", "en_US"), pair("770000000000001", "APPROVED"));
        assert_eq!(of("order_shipped_v1", "de_DE"), pair("770000000000002", "PENDING"));
        assert_eq!(of("order_shipped", "en_US"), None);
    }
}
