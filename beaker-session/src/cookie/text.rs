//! A request's `Cookie` headers, unread.

/// Up to this many bytes are held without an allocation: a signed id among a few other cookies.
const INLINE_BYTES: usize = 126;

/// The `Cookie` headers of a request that has not looked into its session. Every request pays for
/// this, so nothing is looked for in them yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct CookieText(Repr);

/// Each header stands behind its length, four bytes; so no byte of it is taken for its end.
#[derive(Debug, Clone)]
enum Repr {
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES],
    },
    Heap(Vec<u8>),
    /// One long header as it is, shared with the request.
    #[cfg(feature = "tower")]
    Shared(http::HeaderValue),
}

impl Default for Repr {
    fn default() -> Self {
        Self::Inline { len: 0, bytes: [0; INLINE_BYTES] }
    }
}

impl CookieText {
    /// Copies all of a request's headers; one long header is shared, not copied.
    #[cfg(feature = "tower")]
    pub(crate) fn push_values<'h>(
        &mut self,
        values: impl IntoIterator<Item = &'h http::HeaderValue>,
    ) {
        let mut values = values.into_iter();
        let Some(first) = values.next() else { return };
        let second = values.next();
        if second.is_none() && first.len() > INLINE_BYTES {
            self.0 = Repr::Shared(first.clone());
            return;
        }
        self.push(first.as_bytes());
        second.into_iter().chain(values).for_each(|value| self.push(value.as_bytes()));
    }

    /// The headers, one by one.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &[u8]> {
        let (shared, mut rest) = match &self.0 {
            #[cfg(feature = "tower")]
            Repr::Shared(value) => (Some(value.as_bytes()), &[][..]),
            // The length never exceeds INLINE_BYTES; see `push`.
            Repr::Inline { len, bytes } => (None, &bytes[..usize::from(*len).min(INLINE_BYTES)]),
            Repr::Heap(bytes) => (None, &bytes[..]),
        };
        let framed = std::iter::from_fn(move || {
            let (len, after) = rest.split_first_chunk()?;
            let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
            let (header, more) = after.split_at_checked(len)?;
            rest = more;
            Some(header)
        });
        shared.into_iter().chain(framed)
    }

    /// Copies one more header.
    pub(crate) fn push(&mut self, header: &[u8]) {
        let Ok(framed) = u32::try_from(header.len()).map(u32::to_le_bytes) else { return };
        let more = framed.len() + header.len();
        match &mut self.0 {
            Repr::Inline { len, bytes } if usize::from(*len) + more <= INLINE_BYTES => {
                let start = usize::from(*len);
                let (head, tail) = bytes[start..start + more].split_at_mut(framed.len());
                head.copy_from_slice(&framed);
                tail.copy_from_slice(header);
                *len += u8::try_from(more).unwrap_or(0);
            }
            Repr::Heap(bytes) => {
                bytes.extend_from_slice(&framed);
                bytes.extend_from_slice(header);
            }
            _ => {
                let before = std::mem::take(self);
                self.0 = Repr::Heap(Vec::with_capacity(INLINE_BYTES + more));
                before.headers().for_each(|header| self.push(header));
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

    fn of<'h>(headers: impl IntoIterator<Item = &'h [u8]>) -> CookieText {
        let mut text = CookieText::default();
        headers.into_iter().for_each(|header| text.push(header));
        text
    }

    #[test]
    fn headers_of_any_length_come_back_one_by_one() {
        let near = [0, 1, 2, 60, INLINE_BYTES - 2, INLINE_BYTES - 1, INLINE_BYTES, 127, 256, 4_000];
        for (first, second) in near.into_iter().flat_map(|a| near.map(|b| (a, b))) {
            let [first, second] =
                [(b'a', first), (b'b', second)].map(|(byte, len)| vec![byte; len]);
            let text = of([&first[..], &second[..]]);
            let headers: Vec<&[u8]> = text.headers().collect();
            assert_eq!(
                headers,
                [&first[..], &second[..]],
                "{} and {} bytes",
                first.len(),
                second.len()
            );
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
        assert_eq!(of([]).headers().count(), 0);
    }
}
