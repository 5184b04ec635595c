//! Numbers of bytes on the command line and in listings.

/// Reads `1000`, `64KiB`, `10MB`, `1GiB`.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1_000),
        "kib" => Some(1 << 10),
        "m" | "mb" => Some(1_000_000),
        "mib" => Some(1 << 20),
        "g" | "gb" => Some(1_000_000_000),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let bytes = factor.and_then(|factor: u64| number.parse::<u64>().ok()?.checked_mul(factor));
    bytes.ok_or_else(|| "write a number of bytes, such as 1000, 64KiB or 10MB".to_owned())
}

/// `512 B`, `1.5 KiB`, `64.0 MiB`.
pub(crate) fn display(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("64KiB"), Ok(65_536));
        assert_eq!(parse("10MB"), Ok(10_000_000));
        assert_eq!(parse("2 gib"), Ok(2 << 30));
    }

    #[test]
    fn a_wrong_size_says_how_to_write_one() {
        for wrong in ["", "x", "-1", "1.5MB", "10 apples", "99999999999999GiB"] {
            assert!(parse(wrong).unwrap_err().contains("64KiB"), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit() {
        assert_eq!(display(1_023), "1023 B");
        assert_eq!(display(1_536), "1.5 KiB");
        assert_eq!(display(64 << 20), "64.0 MiB");
    }
}
