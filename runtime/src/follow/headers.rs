//! ◆ Pure: the header block of a stored message, read so that nothing in it can break the reader.
//!
//! The client library reads headers of what it pulls by itself. A block that it cannot read makes it drop the connection or panic, and a
//! block with a status line is taken for an answer of the broker and dropped. [`read`] knows such a block by its flaw, and keeps what can be
//! read of it.

/// How a header block begins.
const VERSION: &str = "NATS/1.0";
/// A header block with more than this is of no client of ours.
const FIELDS_MAX: usize = 256;

/// What a header block says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    /// Names and values in their order: names without white space or colon, values without line ends.
    pub(super) fields: Vec<(String, String)>,
    /// Why the client library cannot read it.
    pub(super) flaw: Option<&'static str>,
}

/// Reads a header block as the client library does, line by line, and notes the first thing that it would stumble over.
pub(super) fn read(block: &[u8]) -> Headers {
    let mut read = Headers::default();
    if block.is_empty() {
        return read;
    }
    if std::str::from_utf8(block).is_err() {
        read.flaw("the headers are not UTF-8");
    }
    let text = String::from_utf8_lossy(block);
    let mut lines = text.lines().peekable();
    match lines.next().and_then(|line| line.strip_prefix(VERSION)).map(str::trim) {
        Some("" | "200") => {}
        Some(_) => read.flaw("the headers have a status line"),
        None => read.flaw("the headers have no version line"),
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            read.flaw("a header has no colon");
            continue;
        };
        let mut value = value.trim_start().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            value.push_str(more);
        }
        value.truncate(value.trim_end().len());
        if !name.chars().all(|char| char.is_ascii_graphic()) || name.is_empty() {
            read.flaw("a header has an unusable name");
        } else if value.contains(['\r', '\n']) {
            read.flaw("a header value has a line end in it");
        } else if value.contains('\u{fffd}') && read.flaw.is_some() {
            // Bytes that are no text: nothing is read into them.
        } else if read.fields.len() < FIELDS_MAX {
            read.fields.push((name.to_owned(), value));
        }
    }
    read
}

impl Headers {
    fn flaw(&mut self, flaw: &'static str) {
        self.flaw.get_or_insert(flaw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(block: &[u8], fields: &[(&str, &str)], flawed: bool) {
        let read = read(block);
        let found: Vec<(&str, &str)> =
            read.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!((found.as_slice(), read.flaw.is_some()), (fields, flawed), "{read:?}");
    }

    #[test]
    fn what_the_client_reads_is_read_alike() {
        check(b"", &[], false);
        check(b"NATS/1.0\r\n\r\n", &[], false);
        check(b"NATS/1.0\r\na: b\r\nc:d \r\n\r\n", &[("a", "b"), ("c", "d")], false);
        check(b"NATS/1.0\na: b\n  c\n\n", &[("a", "b  c")], false);
        check(b"NATS/1.0\r\na: \0\x07\r\n\r\n", &[("a", "\0\u{7}")], false);
    }

    #[test]
    fn what_breaks_the_client_is_known_and_the_rest_is_kept() {
        check(b"NATS/1.0\r\na: b\rc\r\nd: e\r\n\r\n", &[("d", "e")], true);
        check(b"NATS/1.0\r\na: b\r\nd: \xe9\r\n\r\n", &[("a", "b")], true);
        check(b"NATS/1.0 404 No Messages\r\n\r\n", &[], true);
        check(b"NATS/1.0 100\r\na: b\r\n\r\n", &[("a", "b")], true);
        check(b"HTTP/1.1\r\na: b\r\n\r\n", &[("a", "b")], true);
        check(b"NATS/1.0\r\nno colon\r\na: b\r\n\r\n", &[("a", "b")], true);
        check(b"NATS/1.0\r\nwith space: x\r\n", &[], true);
        check("NATS/1.0\r\nn\u{e9}: x\r\n".as_bytes(), &[], true);
        check(b"NATS/1.0\r\na: b\n\rc\r\n", &[], true);
    }
}
