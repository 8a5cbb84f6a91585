//! What a rule does not refuse: `house/exceptions/<rule>.txt`, a number and a file per line, and behind `#` why. The numbers may only shrink.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

use crate::Finding;

/// By file.
#[derive(Debug, Default)]
pub(crate) struct Exceptions(BTreeMap<String, Exception>);

#[derive(Debug)]
struct Exception {
    count: usize,
    /// Empty: it only waits to be mended.
    why: String,
}

impl Exceptions {
    /// None when there is no such file.
    pub(crate) fn read(root: &Path, rule: &str) -> anyhow::Result<Self> {
        let file = root.join(format!("house/exceptions/{rule}.txt"));
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text).with_context(|| format!("reading {}", file.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("reading {}", file.display())),
        }
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut exceptions = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (line, why) = line.split_once('#').unwrap_or((line, ""));
            let (count, file) =
                line.trim().split_once(' ').context("a line is `NUMBER path/of/file # why`")?;
            let exception = Exception { count: count.parse()?, why: why.trim().to_owned() };
            exceptions.insert(file.trim().to_owned(), exception);
        }
        Ok(Self(exceptions))
    }

    pub(crate) fn complaints(&self, rule: &str, findings: &[Finding]) -> Vec<String> {
        let mut complaints = Vec::new();
        let found = by_file(findings);
        for (file, findings) in &found {
            let allowed = self.0.get(*file).map_or(0, |exception| exception.count);
            if findings.len() > allowed {
                let excepted =
                    if allowed > 0 { format!(" ({allowed} are excepted)") } else { String::new() };
                complaints.push(format!("{rule}: {file}: {} findings{excepted}", findings.len()));
                complaints.extend(findings.iter().map(|finding| format!("    {finding}")));
            }
        }
        for (file, Exception { count: allowed, .. }) in &self.0 {
            let found = found.get(file.as_str()).map_or(0, Vec::len);
            if found < *allowed {
                complaints.push(format!(
                    "{rule}: {file}: {allowed} exceptions, {found} findings: run `cargo run -p house -- shrink`"
                ));
            }
        }
        complaints
    }

    pub(crate) fn shrink(
        self,
        root: &Path,
        rule: &str,
        findings: &[Finding],
    ) -> anyhow::Result<String> {
        let (before, now) = (self.sum(), findings.len());
        if now > before {
            return Ok(format!("{rule}: {now} findings, {before} exceptions: mend the new ones"));
        }
        let file = root.join(format!("house/exceptions/{rule}.txt"));
        if now == 0 {
            if file.exists() {
                std::fs::remove_file(&file)
                    .with_context(|| format!("removing {}", file.display()))?;
            }
            return Ok(format!("{rule}: no exceptions"));
        }
        std::fs::write(&file, self.text(rule, findings))
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(format!("{rule}: {before} exceptions before, {now} now"))
    }

    fn sum(&self) -> usize {
        self.0.values().map(|exception| exception.count).sum()
    }

    /// The file for what is left; reasons stay.
    fn text(&self, rule: &str, findings: &[Finding]) -> String {
        let mut text = format!(
            "# What the rule `{rule}` does not refuse. Numbers may only shrink: `cargo run -p house -- shrink`.\n"
        );
        for (file, findings) in by_file(findings) {
            let why = self.0.get(file).map_or("", |exception| exception.why.as_str());
            let why = if why.is_empty() { String::new() } else { format!(" # {why}") };
            text += &format!("{} {file}{why}\n", findings.len());
        }
        text
    }
}

fn by_file(findings: &[Finding]) -> BTreeMap<&str, Vec<&Finding>> {
    let mut by_file: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        by_file.entry(&finding.file).or_default().push(finding);
    }
    by_file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(exceptions: &str, findings: usize) -> usize {
        let finding = Finding::new("a.rs", 1, "wrong".to_owned());
        let exceptions = Exceptions::parse(exceptions).expect("exceptions");
        exceptions.complaints("rule", &vec![finding; findings]).len()
    }

    #[test]
    fn numbers_only_shrink() {
        assert_eq!(complaints("2 a.rs\n", 2), 0);
        assert_eq!(complaints("2 a.rs\n", 3), 4, "one more: all are shown");
        assert_eq!(complaints("# why\n2 a.rs\n", 1), 1, "one was mended: the number goes down");
        assert_eq!(complaints("", 1), 2);
        assert_eq!(complaints("1 gone.rs\n", 0), 1);
        assert!(Exceptions::parse("a.rs").is_err());
    }

    #[test]
    fn a_reason_stays_with_its_file() {
        let exceptions = Exceptions::parse("2 a.rs # the schema is chosen late\n").expect("one");
        let finding = Finding::new("a.rs", 1, "wrong".to_owned());
        let text = exceptions.text("rule", &[finding]);
        assert!(text.ends_with("\n1 a.rs # the schema is chosen late\n"), "{text}");
    }
}
