//! What a rule does not refuse yet: `house/exceptions/<rule>.txt`, a number and a file per line. The numbers may only shrink.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;

use crate::Finding;

#[derive(Debug, Default)]
pub(crate) struct Exceptions(BTreeMap<String, usize>);

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
            let (count, file) =
                line.trim().split_once(' ').context("a line is `NUMBER path/of/file`")?;
            exceptions.insert(file.trim().to_owned(), count.parse()?);
        }
        Ok(Self(exceptions))
    }

    pub(crate) fn complaints(&self, rule: &str, findings: &[Finding]) -> Vec<String> {
        let mut complaints = Vec::new();
        let found = by_file(findings);
        for (file, findings) in &found {
            let allowed = self.0.get(*file).copied().unwrap_or(0);
            if findings.len() > allowed {
                let excepted =
                    if allowed > 0 { format!(" ({allowed} are excepted)") } else { String::new() };
                complaints.push(format!("{rule}: {file}: {} findings{excepted}", findings.len()));
                complaints.extend(findings.iter().map(|finding| format!("    {finding}")));
            }
        }
        for (file, allowed) in &self.0 {
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
        let (before, now) = (self.0.values().sum::<usize>(), findings.len());
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
        std::fs::write(&file, text(rule, findings))
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(format!("{rule}: {before} exceptions before, {now} now"))
    }
}

fn by_file(findings: &[Finding]) -> BTreeMap<&str, Vec<&Finding>> {
    let mut by_file: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        by_file.entry(&finding.file).or_default().push(finding);
    }
    by_file
}

fn text(rule: &str, findings: &[Finding]) -> String {
    let mut text = format!(
        "# What the rule `{rule}` does not refuse yet. Numbers may only shrink: `cargo run -p house -- shrink`.\n"
    );
    for (file, findings) in by_file(findings) {
        text += &format!("{} {file}\n", findings.len());
    }
    text
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
}
