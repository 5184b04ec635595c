//! A request's `Cookie` headers, unread.

/// A longer header is shared with the request where that can be done, not copied.
#[cfg(feature = "tower")]
const COPIED_BYTES: usize = 126;

/// Length in front of a header, in bytes.
const LENGTH_BYTES: usize = size_of::<u32>();

/// How the `Cookie` headers of a request are kept.
#[derive(Debug)]
pub(crate) enum Form {
    /// There is one, and the bytes are it.
    One,
    /// Each stands behind its length, four bytes; so no byte of it is taken for its end.
    Framed,
    /// One long header as it is, shared with the request. There are no bytes besides.
    #[cfg(feature = "tower")]
    Shared(http::HeaderValue),
}

/// The `Cookie` headers of a request that has not looked into its session. Every request pays for
/// this, so nothing is looked for in them yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CookieText<'a> {
    pub(crate) form: &'a Form,
    pub(crate) bytes: &'a [u8],
}

/// What is to be kept of a request as its [`CookieText`].
#[derive(Debug)]
pub(crate) enum CookieHeaders<'h> {
    One(&'h [u8]),
    Framed(Vec<u8>),
    #[cfg(feature = "tower")]
    Shared(&'h http::HeaderValue),
}

impl<'h> CookieHeaders<'h> {
    pub(crate) const NONE: Self = Self::Framed(Vec::new());

    /// All of a request's headers.
    pub(crate) fn of(headers: impl IntoIterator<Item = &'h [u8]>) -> Self {
        let mut headers = headers.into_iter();
        let Some(first) = headers.next() else { return Self::NONE };
        match headers.next() {
            None => Self::One(first),
            Some(second) => Self::framed([first, second].into_iter().chain(headers)),
        }
    }

    /// As [`of`](Self::of); one long header is shared.
    #[cfg(feature = "tower")]
    #[inline]
    pub(crate) fn of_map(headers: &'h http::HeaderMap) -> Self {
        let all = headers.get_all(http::header::COOKIE);
        let mut values = all.iter();
        let Some(first) = values.next() else { return Self::NONE };
        if values.next().is_some() {
            return Self::framed(all.iter().map(http::HeaderValue::as_bytes));
        }
        match first.as_bytes() {
            long if long.len() > COPIED_BYTES => Self::Shared(first),
            short => Self::One(short),
        }
    }

    #[cold]
    fn framed(headers: impl Iterator<Item = &'h [u8]>) -> Self {
        let mut bytes = Vec::new();
        for header in headers {
            let Ok(len) = u32::try_from(header.len()) else { continue };
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(header);
        }
        Self::Framed(bytes)
    }

    /// What is copied.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::One(header) => header,
            Self::Framed(headers) => headers,
            #[cfg(feature = "tower")]
            Self::Shared(_) => &[],
        }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Self::One(_) => Form::One,
            Self::Framed(_) => Form::Framed,
            #[cfg(feature = "tower")]
            Self::Shared(header) => Form::Shared(http::HeaderValue::clone(header)),
        }
    }
}

impl<'a> CookieText<'a> {
    /// The headers, one by one.
    pub(crate) fn headers(self) -> impl Iterator<Item = &'a [u8]> {
        let (whole, mut rest) = match self.form {
            Form::One => (Some(self.bytes), &[][..]),
            Form::Framed => (None, self.bytes),
            #[cfg(feature = "tower")]
            Form::Shared(value) => (Some(value.as_bytes()), &[][..]),
        };
        let framed = std::iter::from_fn(move || {
            let (len, after) = rest.split_first_chunk::<LENGTH_BYTES>()?;
            let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
            let (header, more) = after.split_at_checked(len)?;
            rest = more;
            Some(header)
        });
        whole.into_iter().chain(framed)
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

    fn kept(headers: &[&[u8]]) -> Vec<Vec<u8>> {
        all_of(&CookieHeaders::of(headers.iter().copied()))
    }

    fn all_of(headers: &CookieHeaders<'_>) -> Vec<Vec<u8>> {
        let (form, bytes) = (headers.form(), headers.bytes());
        let text = CookieText { form: &form, bytes };
        text.headers().map(<[u8]>::to_vec).collect()
    }

    #[cfg(feature = "tower")]
    fn kept_of_map(headers: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut map = http::HeaderMap::new();
        for header in headers {
            map.append(http::header::COOKIE, http::HeaderValue::from_bytes(header).unwrap());
        }
        all_of(&CookieHeaders::of_map(&map))
    }

    #[test]
    fn headers_of_any_length_and_number_come_back_one_by_one() {
        let lengths = [0, 1, 2, 60, 125, 126, 127, 128, 256, 4_000];
        let of = |byte: u8, len: usize| vec![byte; len];
        for (first, second) in lengths.into_iter().flat_map(|a| lengths.map(|b| (a, b))) {
            let all = [of(b'a', first), of(b'b', second), of(b'c', 3)];
            for number in 0..=all.len() {
                let all: Vec<&[u8]> = all[..number].iter().map(Vec::as_slice).collect();
                assert_eq!(kept(&all), all, "{number} of {first} and {second} bytes");
                #[cfg(feature = "tower")]
                assert_eq!(kept_of_map(&all), all, "{number} of {first} and {second} bytes");
            }
        }
    }

    #[test]
    fn parts_are_those_of_a_split() {
        for text in ["", ";", "a", "a;", ";a", "a;b", "a;;b", ";;"] {
            let split = text.as_bytes().split(|byte| *byte == b';');
            assert!(parts(text.as_bytes(), b';').eq(split), "{text}");
        }
    }
}
