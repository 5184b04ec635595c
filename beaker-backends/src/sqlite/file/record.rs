use std::cmp::Ordering;

/// A column of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sqlite) enum Value<'a> {
    Null,
    Integer(i64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

impl Value<'_> {
    /// As SQLite sorts them.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) | (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Integer(_) => 1,
            Self::Text(_) => 2,
            Self::Blob(_) => 3,
        }
    }
}

/// The columns of a record, which end where it cannot be read on.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    kinds: &'a [u8],
    body: &'a [u8],
}

impl<'a> Columns<'a> {
    pub(super) fn of(record: &'a [u8]) -> Option<Self> {
        let mut rest = record;
        let header_bytes = usize::try_from(varint(&mut rest)?).ok()?;
        let (header, body) = record.split_at_checked(header_bytes)?;
        let kinds = header.get(record.len() - rest.len()..)?;
        Some(Self { kinds, body })
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let kind = varint(&mut self.kinds)?;
        let bytes = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 => 8,
            // A float (7) is in no column of ours, and 10 and 11 are in no file.
            7 | 10 | 11 => return None,
            long => (long - 12) / 2,
        };
        let (value, body) = self.body.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.body = body;
        Some(match kind {
            0 => Value::Null,
            1..=6 => Value::Integer(integer(value)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            even if even % 2 == 0 => Value::Blob(value),
            _ => Value::Text(value),
        })
    }
}

/// At most eight bytes, the highest first, the first of which has the sign.
fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value, &byte| (value << 8) | i64::from(byte))
}

/// Takes a number of one to nine bytes from the front of `from`.
pub(super) fn varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for at in 0..9 {
        let byte = *from.get(at)?;
        let is_last = at == 8 || byte & 0x80 == 0;
        value = match at {
            8 => (value << 8) | u64::from(byte),
            _ => (value << 7) | u64::from(byte & 0x7f),
        };
        if is_last {
            *from = &from[at + 1..];
            break;
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_of_one_to_nine_bytes() {
        let read = |mut bytes: &[u8]| varint(&mut bytes).map(|value| (value, bytes.len()));
        assert_eq!(read(&[5, 9]), Some((5, 1)));
        assert_eq!(read(&[0x81, 0]), Some((128, 0)));
        assert_eq!(read(&[0xff; 10]), Some((u64::MAX, 1)));
        assert_eq!(read(&[0x81]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn columns_are_read_until_one_cannot_be() {
        // The header's length and the kinds, then -2, 258, a blob and a text.
        let record = [&[7, 1, 2, 0, 9, 14, 15][..], &[0xfe, 1, 2, 7, b't']].concat();
        let columns: Vec<_> = Columns::of(&record).unwrap().collect();
        let expected = [
            Value::Integer(-2),
            Value::Integer(258),
            Value::Null,
            Value::Integer(1),
            Value::Blob(&[7]),
            Value::Text(b"t"),
        ];
        assert_eq!(columns, expected);
        assert_eq!(Columns::of(&record[..11]).unwrap().count(), 5, "the text is cut off");
        assert_eq!(Columns::of(&[2, 7]).unwrap().count(), 0, "a float");
        assert!(Columns::of(&record[..6]).is_none());
    }
}
