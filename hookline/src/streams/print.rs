//! The plan as a table and as JSON.

use runtime::streams::plan::Risk;
use serde_json::json;

use super::plan::StreamsPlan;
use crate::output::{Output, say, table};

/// Prints the plan; `applied`: its changes were made.
pub(crate) fn plan(plan: &StreamsPlan, output: Output, applied: bool) -> anyhow::Result<()> {
    if output == Output::Json {
        let mut value = serde_json::to_value(plan)?;
        value["applied"] = json!(applied);
        say(value);
        return Ok(());
    }
    let mut rows = Vec::new();
    for one in &plan.streams {
        let remark = match (one.exists, applied) {
            (false, true) => Some("created"),
            (false, false) => Some("missing: `streams apply` makes it"),
            (true, _) => one.changes.is_empty().then_some("as it should be"),
        };
        if let Some(remark) = remark {
            let mut row = vec![one.stream.to_owned(), remark.to_owned()];
            row.resize(5, String::new());
            rows.push(row);
        }
        for change in &one.changes {
            let risk = match change.risk {
                Risk::Safe => "safe".to_owned(),
                Risk::Destructive => format!("DESTRUCTIVE: {}", change.why),
                Risk::Impossible => format!("IMPOSSIBLE: {}", change.why),
            };
            rows.push(vec![
                one.stream.to_owned(),
                change.setting.to_owned(),
                change.is.clone(),
                change.should.clone(),
                risk,
            ]);
        }
    }
    let header = if applied {
        ["stream", "setting", "was", "is", "risk"]
    } else {
        ["stream", "setting", "is", "should be", "risk"]
    };
    table(&header, &rows);
    for one in &plan.streams {
        for consumer in &one.durable_consumers {
            say(format!(
                "{}: durable consumer `{}` of somebody else, {} pending, {} unacknowledged; left alone",
                one.stream, consumer.name, consumer.pending, consumer.unacknowledged
            ));
        }
    }
    say(format!("nats-server {}, max_payload {}", plan.server.version, plan.server.max_payload));
    for warning in &plan.server.warnings {
        say(format!("warning: {warning}"));
    }
    Ok(())
}
