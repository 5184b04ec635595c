//! The session's cookie in `Cookie` headers.

use super::text::parts;

/// How many cookies of one name are tried: a sibling host may have set some of them.
pub(crate) const MAX_CANDIDATES: usize = 4;

/// Shows `visit` the values of the cookies `name`, as they came, the first few of them. Names are
/// compared exactly: browsers take `__hOsT-id` for another cookie than `__Host-id`, which a sibling
/// host could set.
pub(crate) fn candidates<'h>(
    headers: impl IntoIterator<Item = &'h [u8]>,
    name: &str,
    visit: &mut dyn FnMut(&'h [u8]),
) {
    let pairs = headers.into_iter().flat_map(|header| parts(header, b';'));
    let found = pairs.filter_map(|pair| value_of(pair, name.as_bytes()));
    found.take(MAX_CANDIDATES).for_each(visit);
}

fn value_of<'h>(pair: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let pair = pair.trim_ascii();
    // The length first: most cookies are not ours.
    (pair.get(name.len()) == Some(&b'=') && pair.starts_with(name)).then(|| &pair[name.len() + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(header: &str) -> Vec<String> {
        found([header], "id")
    }

    fn found<const N: usize>(headers: [&str; N], name: &str) -> Vec<String> {
        let mut found = Vec::new();
        candidates(headers.map(str::as_bytes), name, &mut |value| {
            found.push(String::from_utf8_lossy(value).into_owned());
        });
        found
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(values("id=1"), ["1"]);
        assert_eq!(values("a=b; id=1; c=d"), ["1"]);
        assert_eq!(values(" id=1 "), ["1"]);
        assert_eq!(values("a=b;id=1"), ["1"]);
        assert_eq!(values("id="), [""]);
    }

    #[test]
    fn broken_neighbours_do_not_hide_it() {
        for header in ["bad[name=1; id=1", "null; id=1", ";;; id=1;;", "=x; id=1", "a=\"; id=1"] {
            assert_eq!(values(header), ["1"], "{header}");
        }
    }

    #[test]
    fn another_name_is_another_cookie() {
        for header in ["ID=1", "Id=1", "xid=1", "id2=1", "id", "id =1", ""] {
            assert!(values(header).is_empty(), "{header}");
        }
        assert!(found(["__hOsT-id=1"], "__Host-id").is_empty());
    }

    #[test]
    fn a_value_of_any_length_is_kept_whole() {
        for len in [0, 1, 71, 255, 256, 4_000] {
            let value = "v".repeat(len);
            assert_eq!(values(&format!("a=b; id={value}; c=d")), [value], "{len} bytes");
        }
    }

    #[test]
    fn duplicates_are_tried_in_order_and_no_more_than_four() {
        assert_eq!(values("id=1; x=y; id=2"), ["1", "2"]);
        assert_eq!(values("id=1; id=2; id=3; id=4; id=5"), ["1", "2", "3", "4"]);
        assert_eq!(found(["id=1", "id=2"], "id"), ["1", "2"]);
    }
}
