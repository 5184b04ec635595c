//! What few sessions have of their own.

use std::ops::Deref;
use std::sync::Arc;

use crate::{CookieLife, RecordKey};

/// What few sessions have of their own, so that a record is small without it. A copy shares it.
#[derive(Clone, Default)]
pub(crate) struct Own(Option<Arc<Fields>>);

/// The fields of a record that may be absent.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Fields {
    pub(crate) path: Option<String>,
    pub(crate) domain: Option<String>,
    /// How long the browser keeps its cookie.
    pub(crate) life: Option<CookieLife>,
    pub(crate) subject: Option<String>,
    pub(crate) label: Option<String>,
    /// Where another system's session is marked as ended when this one ends, which was made of it.
    pub(crate) bridged: Option<RecordKey>,
    /// Whether cookies of its id may have other limits: of a session that is all in its cookie.
    pub(crate) limits_changed: bool,
}

static NONE: Fields = Fields {
    path: None,
    domain: None,
    life: None,
    subject: None,
    label: None,
    bridged: None,
    limits_changed: false,
};

impl Own {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// The fields, to be changed.
    pub(crate) fn edit(&mut self) -> &mut Fields {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// The texts, and what each is called.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Fields { path, domain, subject, label, .. } = &**self;
        let texts = [
            ("its cookie's path", path),
            ("its cookie's domain", domain),
            ("its subject", subject),
            ("its label", label),
        ];
        texts.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }

    /// About how many bytes they take as JSON.
    pub(super) fn size(&self) -> usize {
        match &self.0 {
            None => 0,
            Some(_) => self.texts().map(|(_, text)| text.len() + 4).sum(),
        }
    }

    /// Whether it is plain without looking further that both are the same.
    fn are_shared(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Deref for Own {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

/// No fields are the same as fields that are all absent.
impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        self.are_shared(other) || **self == **other
    }
}

impl From<Fields> for Own {
    fn from(fields: Fields) -> Self {
        Self((fields != NONE).then(|| Arc::new(fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_changes_alone() {
        let mut first = Own::new();
        first.edit().subject = Some("ada".to_owned());
        let mut second = first.clone();
        assert!(first == second);
        second.edit().label = Some("phone".to_owned());
        assert_eq!((first.label.as_deref(), second.subject.as_deref()), (None, Some("ada")));
        assert!(first != second);
    }

    #[test]
    fn fields_that_are_taken_out_again_are_as_none() {
        let mut own = Own::new();
        own.edit().path = Some("/a".to_owned());
        assert!(own != Own::new());
        own.edit().path = None;
        assert!(own == Own::new());
        assert!(Own::from(Fields::default()).are_shared(&Own::new()), "it takes no room");
    }
}
