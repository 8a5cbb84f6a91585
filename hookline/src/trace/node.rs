//! ◆ Pure: a tree of lines.

/// One line of the tree and what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    text: String,
    children: Vec<Self>,
}

impl Node {
    /// A line with nothing on it.
    pub(crate) fn leaf(text: impl Into<String>) -> Self {
        Self { text: text.into(), children: Vec::new() }
    }

    /// A line and what hangs on it.
    pub(crate) fn with(text: impl Into<String>, children: Vec<Self>) -> Self {
        Self { text: text.into(), children }
    }

    /// The tree as it is printed.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.text.clone()];
        hang(&self.children, "", &mut lines);
        lines
    }
}

fn hang(children: &[Node], before: &str, lines: &mut Vec<String>) {
    for (n, child) in children.iter().enumerate() {
        let last = n + 1 == children.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(format!("{before}{branch}{}", child.text));
        hang(&child.children, &format!("{before}{below}"), lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_branches() {
        let tree = Node::with("a", vec![Node::with("b", vec![Node::leaf("c")]), Node::leaf("d")]);
        assert_eq!(tree.lines(), ["a", "├─ b", "│  └─ c", "└─ d"]);
    }
}
