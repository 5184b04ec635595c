//! The session's cookie in `Cookie` headers.

/// How many cookies of one name are tried: a sibling host may have set some of them.
const MAX_CANDIDATES: usize = 4;

/// Values up to this many bytes are held without an allocation: a signed id has 71.
const INLINE_BYTES: usize = 78;

/// The values of the cookies with the session's name, as they came. Every request pays for it,
/// also one that does not look into its session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Candidates(Repr);

/// Several values stand one behind the other with a `;` between them, which no value contains.
#[derive(Debug, Clone, Default)]
enum Repr {
    #[default]
    Empty,
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES],
    },
    Heap(Box<[u8]>),
}

impl Candidates {
    /// Finds `name` in the values of a request's `Cookie` headers. Names are compared exactly:
    /// browsers take `__hOsT-id` for another cookie than `__Host-id`, which a sibling host could
    /// set.
    pub(crate) fn find<'h>(headers: impl IntoIterator<Item = &'h [u8]>, name: &str) -> Self {
        let mut found = headers
            .into_iter()
            .flat_map(|header| header.split(|byte| *byte == b';'))
            .filter_map(|pair| value_of(pair, name.as_bytes()));
        Self::from_values(&mut found)
    }

    /// The first few of `found`, none of which holds a `;`.
    pub(crate) fn from_values(found: &mut dyn Iterator<Item = &[u8]>) -> Self {
        let Some(first) = found.next() else { return Self::default() };
        let mut rest = found.take(MAX_CANDIDATES - 1).peekable();
        if rest.peek().is_none() {
            return Self(Repr::of(first));
        }
        let all = rest.fold(first.to_vec(), |mut all, value| {
            all.push(b';');
            all.extend_from_slice(value);
            all
        });
        Self(Repr::Heap(all.into_boxed_slice()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().into_iter().flat_map(|all| all.split(|byte| *byte == b';'))
    }
}

impl Repr {
    fn of(value: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match (bytes.get_mut(..value.len()), u8::try_from(value.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(value);
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(value.into()),
        }
    }

    /// All of them; `None` is none, which is not the same as an empty one.
    fn values(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => None,
            // The length never exceeds INLINE_BYTES; see `of`.
            Self::Inline { len, bytes } => Some(&bytes[..usize::from(*len).min(INLINE_BYTES)]),
            Self::Heap(bytes) => Some(bytes),
        }
    }
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
        let found = Candidates::find([header.as_bytes()], "id");
        found.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
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
            assert!(Candidates::find([header.as_bytes()], "id").is_empty(), "{header}");
        }
        assert!(Candidates::find([&b"__hOsT-id=1"[..]], "__Host-id").is_empty());
    }

    #[test]
    fn a_value_of_any_length_is_kept_whole() {
        for len in [0, 1, 71, INLINE_BYTES - 1, INLINE_BYTES, INLINE_BYTES + 1, 255, 256, 4_000] {
            let value = "v".repeat(len);
            assert_eq!(values(&format!("a=b; id={value}; c=d")), [value], "{len} bytes");
        }
    }

    #[test]
    fn duplicates_are_tried_in_order_and_no_more_than_four() {
        assert_eq!(values("id=1; x=y; id=2"), ["1", "2"]);
        assert_eq!(values("id=1; id=2; id=3; id=4; id=5"), ["1", "2", "3", "4"]);
        let two = Candidates::find([&b"id=1"[..], b"id=2"], "id");
        assert_eq!(two.iter().collect::<Vec<_>>(), [b"1", b"2"]);
    }
}
