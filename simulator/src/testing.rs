//! What the unit tests of this crate share.

/// The bytes of one of the fixtures kept in `tests/fixtures`.
pub(crate) fn fixture_bytes(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The same, parsed.
pub(crate) fn fixture(name: &str) -> serde_json::Value {
    serde_json::from_slice(&fixture_bytes(name)).expect("fixtures are JSON")
}
