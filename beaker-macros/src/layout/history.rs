//! What each step from one version to the next makes, from what each field says about itself.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::Span;
use syn::{Error, Expr, LitStr, Result, Type};

use super::attributes::{Change, StructOptions, Version};

/// A field that is stored under a name of its own.
pub(super) struct Field<'a> {
    /// Its name in the store, as it is now.
    pub(super) name: String,
    /// Its type, if that is what is stored under the name.
    pub(super) stored_type: Option<&'a Type>,
    /// From the oldest to the newest.
    pub(super) changes: Vec<Change>,
}

impl Field<'_> {
    /// Its name in `version`, where it is there then.
    fn name_in(&self, version: u32) -> String {
        let later = self.changes.iter().filter(|change| change.before.number > version);
        let was = later.filter_map(|change| change.was.as_ref()).map(LitStr::value).next();
        was.unwrap_or_else(|| self.name.clone())
    }

    /// Whether it is sure that it is there in `version`, of which `newest` is the last: before its first change
    /// it may have been no more than a version, and without a change it may be new.
    fn is_known_in(&self, version: u32, newest: u32) -> bool {
        let first = self.changes.first().map_or(newest, |change| change.before.number - 1);
        version >= first
    }

    /// Where its name in `version` is said, unless nothing is said of it.
    fn said_in(&self, version: u32) -> Option<Span> {
        let said = self.changes.iter().rfind(|change| change.before.number <= version);
        said.or(self.changes.first()).map(|change| change.before.span)
    }
}

/// The steps that make something, each by the version that it leads to.
#[derive(Default)]
pub(super) struct History<'a> {
    steps: BTreeMap<u32, Step<'a>>,
}

/// What is made of the values of the version before.
#[derive(Default)]
pub(super) struct Step<'a> {
    pub(super) drops: Vec<String>,
    /// From and to.
    pub(super) renames: Vec<(String, String)>,
    pub(super) conversions: Vec<Conversion<'a>>,
    /// The names whose values go or change, in the version before.
    taken: Vec<String>,
}

/// The value under a name becomes another.
pub(super) struct Conversion<'a> {
    pub(super) name: String,
    pub(super) by: &'a Expr,
    /// Of which type, where that is known.
    pub(super) into: Option<&'a Type>,
}

impl<'a> History<'a> {
    /// # Errors
    ///
    /// Refuses changes that are of no version of the struct, or that are not the only one of a value, and two
    /// fields that have one name in a version.
    pub(super) fn of(options: &StructOptions, fields: &'a [Field<'a>]) -> Result<Self> {
        let mut history = Self::default();
        for dropped in &options.drops {
            let step = history.step(dropped.before, options.version)?;
            step.take(dropped.name.value(), dropped.before)?;
            step.drops.push(dropped.name.value());
        }
        for field in fields {
            for (at, change) in field.changes.iter().enumerate() {
                let step = history.step(change.before, options.version)?;
                step.add(change, field, &field.changes[at + 1..])?;
            }
        }
        let newest = options.version.number;
        refuse_dropped(options, fields)?;
        refuse_same_names(fields, newest)?;
        Ok(history)
    }

    /// Each step, with the version that it leads to.
    pub(super) fn steps(&self) -> impl Iterator<Item = (u32, &Step<'a>)> {
        self.steps.iter().map(|(before, step)| (*before, step))
    }

    fn step(&mut self, before: Version, newest: Version) -> Result<&mut Step<'a>> {
        let (number, newest) = (before.number, newest.number);
        let message = if number == 0 {
            "no version is before 0; sessions from before there was a number are before 1"
                .to_owned()
        } else if number > newest {
            format!(
                "this is version {newest}: write `#[session(version = {number})]` on the struct"
            )
        } else {
            return Ok(self.steps.entry(number).or_default());
        };
        Err(Error::new(before.span, message))
    }
}

impl<'a> Step<'a> {
    /// Adds a change of `field`, which has had the `later` ones since.
    fn add(&mut self, change: &'a Change, field: &Field<'a>, later: &[Change]) -> Result<()> {
        let before = change.before;
        let name = field.name_in(before.number);
        let was = change.was.as_ref().map(LitStr::value);
        if let Some(literal) = change.was.as_ref().filter(|_| was.as_ref() == Some(&name)) {
            let message =
                format!("that is its name in version {} too: write the one before", before.number);
            return Err(Error::new(literal.span(), message));
        }
        self.take(was.clone().unwrap_or_else(|| name.clone()), before)?;
        self.renames.extend(was.map(|was| (was, name.clone())));
        self.conversions.extend(change.convert.as_ref().map(|by| {
            let is_newest = later.iter().all(|change| change.convert.is_none());
            Conversion { name, by, into: field.stored_type.filter(|_| is_newest) }
        }));
        Ok(())
    }

    fn take(&mut self, name: String, before: Version) -> Result<()> {
        if self.taken.contains(&name) {
            let number = before.number;
            let message =
                format!("what was `{name}` before version {number} is changed twice; remove one");
            return Err(Error::new(before.span, message));
        }
        self.taken.push(name);
        Ok(())
    }
}

/// A value that is dropped is not that of a field which goes on with it.
fn refuse_dropped(options: &StructOptions, fields: &[Field<'_>]) -> Result<()> {
    for dropped in &options.drops {
        let (name, version) = (dropped.name.value(), dropped.before.number - 1);
        let has_it = |field: &Field<'_>| {
            field.is_known_in(version, options.version.number) && field.name_in(version) == name
        };
        if fields.iter().any(has_it) {
            let message =
                format!("`{name}` is a field in version {version}, which goes on: remove this");
            return Err(Error::new(dropped.name.span(), message));
        }
    }
    Ok(())
}

/// Of two values under one name only one is stored. Names change with the versions that are said to change
/// something, and are the same between them.
fn refuse_same_names(fields: &[Field<'_>], newest: u32) -> Result<()> {
    let changes = fields.iter().flat_map(|field| &field.changes);
    let mut versions: BTreeSet<u32> =
        changes.flat_map(|change| [change.before.number - 1, change.before.number]).collect();
    versions.insert(newest);
    for version in versions {
        let mut named = BTreeMap::new();
        for field in fields.iter().filter(|field| field.is_known_in(version, newest)) {
            let (name, said) = (field.name_in(version), field.said_in(version));
            let first = named.insert(name.clone(), said);
            if let Some(first) = first
                && let Some(span) = said.or(first)
            {
                let message =
                    format!("two fields are `{name}` in version {version}; rename one otherwise");
                return Err(Error::new(span, message));
            }
        }
    }
    Ok(())
}
