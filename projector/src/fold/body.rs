//! ◆ Pure: a statement as table `facts` keeps it, in column `body` beside the kind.

use schemas::{AccountId, Channel, ContactId, Fact, Kind, Via};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::row_fact::Statement;

/// A statement; fields that are false or absent are left out.
#[derive(Serialize, Deserialize)]
struct Body {
    channel: Channel,
    account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contact: Option<ContactId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    approximate: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    standby: bool,
    #[serde(default, rename = "self", skip_serializing_if = "std::ops::Not::not")]
    is_self: bool,
    via: Via,
    fact: Map<String, Value>,
}

impl Statement {
    /// The statement as JSON.
    ///
    /// # Errors
    /// When the fact cannot be written as JSON, which no fact read from JSON is.
    pub(crate) fn to_body(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(Body {
            channel: self.channel,
            account: self.account_id.clone(),
            contact: self.contact_id.clone(),
            approximate: self.time_approximate,
            standby: self.standby,
            is_self: self.is_self,
            via: self.via,
            fact: self.fact.to_fields()?,
        })
    }

    /// Reads what [`Statement::to_body`] wrote.
    ///
    /// # Errors
    /// When the body is not that of a fact of `kind`.
    pub(crate) fn from_body(kind: Kind, body: Value) -> Result<Self, serde_json::Error> {
        let body: Body = serde_json::from_value(body)?;
        Ok(Self {
            channel: body.channel,
            account_id: body.account,
            contact_id: body.contact,
            time_approximate: body.approximate,
            standby: body.standby,
            is_self: body.is_self,
            via: body.via,
            fact: Fact::from_fields(kind, body.fact)?,
        })
    }
}
