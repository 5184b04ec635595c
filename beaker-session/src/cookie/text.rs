//! A request's `Cookie` headers, unread.

/// Up to this many bytes are held without an allocation: a signed id among a few other cookies.
const INLINE_BYTES: usize = 126;

/// Parts the headers; none of them can hold it.
const BREAK: u8 = b'\n';

/// The `Cookie` headers of a request that has not looked into its session. Every request pays for
/// this, so nothing is looked for in them yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct CookieText(Repr);

#[derive(Debug, Clone)]
enum Repr {
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES],
    },
    Heap(Vec<u8>),
    /// A long header, shared with the request.
    #[cfg(feature = "tower")]
    Shared(http::HeaderValue),
}

impl Default for Repr {
    fn default() -> Self {
        Self::Inline { len: 0, bytes: [0; INLINE_BYTES] }
    }
}

impl CookieText {
    pub(crate) fn of<'h>(headers: impl IntoIterator<Item = &'h [u8]>) -> Self {
        let mut text = Self::default();
        headers.into_iter().for_each(|header| text.push(header));
        text
    }

    /// As [`of`](Self::of); one long header is shared, not copied.
    #[cfg(feature = "tower")]
    pub(crate) fn of_values<'h>(values: impl IntoIterator<Item = &'h http::HeaderValue>) -> Self {
        let mut values = values.into_iter();
        let first = values.next();
        let second = values.next();
        match (first, second) {
            (Some(value), None) if value.len() > INLINE_BYTES => Self(Repr::Shared(value.clone())),
            _ => {
                let values = first.into_iter().chain(second).chain(values);
                Self::of(values.map(http::HeaderValue::as_bytes))
            }
        }
    }

    /// The headers, one by one.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &[u8]> {
        parts(self.bytes(), BREAK)
    }

    fn bytes(&self) -> &[u8] {
        match &self.0 {
            // The length never exceeds INLINE_BYTES; see `push`.
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len).min(INLINE_BYTES)],
            Repr::Heap(bytes) => bytes,
            #[cfg(feature = "tower")]
            Repr::Shared(value) => value.as_bytes(),
        }
    }

    fn push(&mut self, header: &[u8]) {
        let end = self.bytes().len();
        let start = if end == 0 { 0 } else { end + 1 };
        let new_end = start + header.len();
        match &mut self.0 {
            Repr::Inline { len, bytes } if new_end <= INLINE_BYTES => {
                bytes[start..new_end].copy_from_slice(header);
                if start > end {
                    bytes[end] = BREAK;
                }
                *len = u8::try_from(new_end).unwrap_or(0);
            }
            Repr::Heap(bytes) => {
                if start > end {
                    bytes.push(BREAK);
                }
                bytes.extend_from_slice(header);
            }
            _ => {
                let mut all = Vec::with_capacity(new_end);
                all.extend_from_slice(self.bytes());
                self.0 = Repr::Heap(all);
                self.push(header);
            }
        }
    }
}

/// The parts of `text` between the bytes `separator`. Cookies are long, and most are not ours: this
/// goes through them faster than `split`.
pub(super) fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (part, after) = match memchr::memchr(separator, text) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_any_length_come_back_one_by_one() {
        let near = [0, 1, 2, 60, INLINE_BYTES - 2, INLINE_BYTES - 1, INLINE_BYTES, 127, 256, 4_000];
        for (first, second) in near.into_iter().flat_map(|a| near.map(|b| (a, b))) {
            let [first, second] =
                [(b'a', first), (b'b', second)].map(|(byte, len)| vec![byte; len]);
            let text = CookieText::of([&first[..], &second[..]]);
            let mut expected = vec![&first[..], &second[..]];
            // An empty header holds nothing.
            expected.retain(|header| !header.is_empty());
            let mut headers: Vec<&[u8]> = text.headers().collect();
            headers.retain(|header| !header.is_empty());
            assert_eq!(headers, expected, "{} and {} bytes", first.len(), second.len());
        }
    }

    #[test]
    fn parts_are_those_of_a_split() {
        for text in ["", ";", "a", "a;", ";a", "a;b", "a;;b", ";;"] {
            let split = text.as_bytes().split(|byte| *byte == b';');
            assert!(parts(text.as_bytes(), b';').eq(split), "{text}");
        }
    }

    #[test]
    fn no_header_is_no_cookie() {
        assert!(CookieText::of([]).headers().all(<[u8]>::is_empty));
    }
}
