//! What Meta decides about message templates, and the webhooks it writes about it (docs/meta-platform-2.md 20).

use crate::account::AccountHandle;
use crate::act::Act;
use crate::json::object;
use crate::outbox::Tracked;
use crate::payload::{Envelope, Item};
use crate::world::Template;

impl AccountHandle {
    /// Meta decides about a template of this page: `APPROVED`, `REJECTED`, … The webhook about it is the act's; without [`Act::release`]
    /// none is sent.
    pub fn decides_template(&self, name: &str, status: &str, reason: Option<&str>) -> Act {
        let decided = {
            let mut world = self.shared.world();
            let is_it = |one: &&mut Template| one.account == self.key && one.name == name;
            world.templates.values_mut().find(is_it).map(|template| {
                template.status = status.to_owned();
                template.reason = reason.map(str::to_owned);
                template.clone()
            })
        };
        let group = decided.map(|template| {
            let node = object([
                ("event", status.into()),
                ("message_template_id", template.id.as_str().into()),
                ("message_template_name", template.name.as_str().into()),
                ("message_template_language", template.language.as_str().into()),
                ("reason", reason.unwrap_or("NONE").into()),
            ]);
            let item = Item {
                account: self.key.clone(),
                order: format!("{}/templates", self.key.id),
                envelope: Envelope::Changes,
                field: "message_template_status_update",
                node,
            };
            vec![Tracked::new(item, self.login)]
        });
        let groups = group.into_iter().collect();
        Act { shared: self.shared.clone(), mid: None, comment: None, groups }
    }

    /// All templates of this page.
    pub fn templates(&self) -> Vec<Template> {
        let world = self.shared.world();
        world.templates.values().filter(|one| one.account == self.key).cloned().collect()
    }
}
