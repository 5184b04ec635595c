//! What marks say of entries.

use std::collections::HashMap;

use beaker_namespace::{Entry, Error, Mark, Namespace, Timestamp};

/// The marks of the tags of `entry`. Most entries have none, and then nothing is asked.
pub(crate) fn of(namespace: &dyn Namespace, entry: &Entry) -> Result<Mark, Error> {
    match entry.tag_list() {
        [] => Ok(Mark::default()),
        tags => namespace.marks(&mut tags.iter().map(String::as_str)),
    }
}

/// The marks of many entries, which share their tags: each tag is looked up once.
#[derive(Debug)]
pub(crate) struct Marks<'a> {
    namespace: &'a dyn Namespace,
    known: HashMap<String, Mark>,
}

impl<'a> Marks<'a> {
    pub(crate) fn new(namespace: &'a dyn Namespace) -> Self {
        Self { namespace, known: HashMap::new() }
    }

    /// Whether what carries `tags` and began at `began` was invalidated.
    pub(crate) fn invalidate(&mut self, tags: &[String], began: Timestamp) -> Result<bool, Error> {
        Ok(self.of(tags)?.invalidates(began))
    }

    /// Whether nobody may serve it any more, however stale values he takes.
    pub(crate) fn remove(&mut self, tags: &[String], began: Timestamp) -> Result<bool, Error> {
        Ok(self.of(tags)?.gone_until().is_some_and(|until| began <= until))
    }

    fn of(&mut self, tags: &[String]) -> Result<Mark, Error> {
        tags.iter().try_fold(Mark::default(), |all, tag| {
            let mark = match self.known.get(tag) {
                Some(mark) => *mark,
                None => {
                    let mark = self.namespace.marks(&mut std::iter::once(tag.as_str()))?;
                    self.known.insert(tag.clone(), mark);
                    mark
                }
            };
            Ok(all.merge(mark))
        })
    }
}
