//! The name of a value.

use std::sync::Arc;

/// Up to this many bytes are held in place.
const IN_PLACE: usize = 22;

/// The name of a value. Most are short, and copied without an allocation.
#[derive(Debug, Clone)]
pub(crate) enum Name {
    Short { len: u8, bytes: [u8; IN_PLACE] },
    Long(Arc<str>),
}

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        match u8::try_from(name.len()) {
            Ok(len) if name.len() <= IN_PLACE => {
                let mut bytes = [0; IN_PLACE];
                bytes[..name.len()].copy_from_slice(name.as_bytes());
                Self::Short { len, bytes }
            }
            _ => Self::Long(name.into()),
        }
    }

    /// In the order of these, names are in the order of their texts.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len).min(IN_PLACE)],
            Self::Long(name) => name.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // It was made of a text.
            Self::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(name) => name,
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_is_read_back() {
        for len in [0, 1, 21, 22, 23, 255, 256, 300] {
            let text = "ü".repeat(len / 2) + &"n".repeat(len % 2);
            let name = Name::new(&text);
            assert_eq!((name.as_str(), name.as_bytes()), (text.as_str(), text.as_bytes()));
            assert_eq!(matches!(name, Name::Short { .. }), len <= 22, "{len} bytes");
        }
    }
}
