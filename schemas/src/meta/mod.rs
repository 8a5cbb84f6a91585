//! Raw payloads as Meta sends them.
