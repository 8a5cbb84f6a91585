//! ◆ Pure: what an error of Postgres means, by its SQLSTATE. The one table of codes.

/// Whose fault an error is, and so what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The moment's: the connection, the server, a lock, its resources. The same again after a pause.
    Passing,
    /// It took too long: less at a time may pass, and nothing is given up for it.
    TooMuch,
    /// The data's: refused however often it is tried. What it is about is refused or set aside; all else goes on.
    Data,
    /// The database is not as it must be, or this release is wrong: nothing passes until somebody acts. Not ready, and a log line.
    Never,
}

/// Codes and the beginnings of codes, the longest that fits counts (PostgreSQL, appendix A).
const TABLE: [(&str, Fault); 34] = [
    // Connections, transaction states (a standby, a read-only default), conflicts, resources, locks, operators, the system.
    ("08", Fault::Passing),
    ("25", Fault::Passing),
    ("26", Fault::Passing),
    ("40", Fault::Passing),
    ("53", Fault::Passing),
    ("55", Fault::Passing),
    ("57", Fault::Passing),
    ("58", Fault::Passing),
    ("XX", Fault::Passing),
    // A plan was made for a table that was changed meanwhile; it is made again.
    ("0A000", Fault::Passing),
    // A statement over its time limit.
    ("57014", Fault::TooMuch),
    // Exceptions of data, broken constraints, limits of a row, errors raised by triggers.
    ("21", Fault::Data),
    ("22", Fault::Data),
    ("23", Fault::Data),
    ("44", Fault::Data),
    ("54", Fault::Data),
    ("P0", Fault::Data),
    // Too complex a statement is too much of it.
    ("54001", Fault::TooMuch),
    // Rights and names.
    ("28", Fault::Never),
    ("3D", Fault::Never),
    ("3F", Fault::Never),
    ("42", Fault::Never),
    // What others depend on cannot be replaced or dropped.
    ("2B", Fault::Never),
    // Features, settings.
    ("0A", Fault::Never),
    ("22P06", Fault::Never),
    ("F0", Fault::Never),
    ("HV", Fault::Never),
    // A snapshot or an index is damaged.
    ("XX001", Fault::Never),
    ("XX002", Fault::Never),
    ("55P02", Fault::Never),
    ("53400", Fault::Never),
    ("57P04", Fault::Never),
    ("58P01", Fault::Never),
    ("58P02", Fault::Never),
];

/// Whose fault the error with this code is. What nobody foresaw is waited out: nothing is given up for it.
pub(super) fn fault_of(code: &str) -> Fault {
    let fits = TABLE.iter().filter(|(start, _)| code.starts_with(start));
    fits.max_by_key(|(start, _)| start.len()).map_or(Fault::Passing, |(_, fault)| *fault)
}

/// What an operator does about an error that is [`Fault::Never`].
pub(super) fn advice(code: &str) -> &'static str {
    match code {
        "42501" => {
            "the user of DATABASE_URL lacks a right: make it the owner of the schemas inbox, worker, api and ops with all in them"
        }
        "2BP01" | "42P16" => {
            "something depends on a view that this release replaces, or a newer release has made it: drop what depends on it, or run the newer release"
        }
        "42P01" | "3F000" | "42703" => {
            "a table, view or column is missing: start the role that owns the schema in this release, or restore what was dropped"
        }
        "3D000" => "the database of DATABASE_URL does not exist: create it",
        code if code.starts_with("28") => "Postgres refuses the user or password of DATABASE_URL",
        code if code.starts_with("XX") || code.starts_with("58") => {
            "Postgres reports damaged data: see its log, and restore a backup (deploy/runbooks/postgres-restored.md)"
        }
        _ => "this release and the database do not fit: see the log of Postgres for the statement",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts() {
        for (code, fault) in [
            ("08006", Fault::Passing),
            ("25006", Fault::Passing),
            ("40P01", Fault::Passing),
            ("55P03", Fault::Passing),
            ("57P01", Fault::Passing),
            ("0A000", Fault::Passing),
            ("ZZ999", Fault::Passing),
            ("57014", Fault::TooMuch),
            ("22021", Fault::Data),
            ("22P05", Fault::Data),
            ("23505", Fault::Data),
            ("54000", Fault::Data),
            ("P0001", Fault::Data),
            ("42P16", Fault::Never),
            ("2BP01", Fault::Never),
            ("42501", Fault::Never),
            ("42P01", Fault::Never),
            ("XX001", Fault::Never),
        ] {
            assert_eq!(fault_of(code), fault, "{code}");
        }
    }

    #[test]
    fn no_code_stands_twice() {
        let mut codes = TABLE.map(|(code, _)| code);
        codes.sort_unstable();
        assert!(codes.windows(2).all(|two| two[0] != two[1]));
    }
}
