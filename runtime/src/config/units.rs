//! ◆ Pure: durations and sizes as people write them.

use std::time::Duration;

/// Reads `500ms`, `8s`, `10m`, `2h`, `30d` or `0`.
///
/// # Errors
/// A text with the expected form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "use a duration such as 500ms, 8s, 10m, 2h or 30d".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 0,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Reads `4MiB`, `512KiB`, `8MB` or a number of bytes.
///
/// # Errors
/// A text with the expected form.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let wrong = || "use a size such as 4MiB, 512KiB or 1048576".to_owned();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: usize = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).ok_or_else(wrong)
}

/// Whether a text can name an app, a secret, a key or a token in a variable: 1 to 64 of `A-Z a-z 0-9 _ - .`.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "8", "s", "-1s", "8 s", "99999999999999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_size("4MiB"), Ok(4 << 20));
        assert_eq!(parse_size("17"), Ok(17));
        assert!(parse_size("4 parsecs").is_err());
    }
}
