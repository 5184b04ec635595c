//! What stands in the parentheses of `#[session(…)]`.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, DeriveInput, Error, Expr, Ident, LitInt, LitStr, Path, Result, Token};

use super::names::is_reserved;
use crate::options::equals;

/// Of the struct, and of one of its fields.
const OF_STRUCT: [&str; 5] = ["version", "drop", "before", "migrate", "crate"];
const OF_FIELD: [&str; 3] = ["was", "convert", "before"];

/// What the attributes of the struct say.
pub(super) struct StructOptions {
    pub(super) version: Version,
    pub(super) drops: Vec<Dropped>,
    pub(super) migrate: Option<Expr>,
    pub(super) krate: Option<Path>,
}

/// The number of a layout, and where it is written.
#[derive(Clone, Copy)]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) span: Span,
}

/// A value that no field has any more.
pub(super) struct Dropped {
    pub(super) name: LitStr,
    pub(super) before: Version,
}

/// What was otherwise with a field before a version.
pub(super) struct Change {
    pub(super) before: Version,
    pub(super) was: Option<LitStr>,
    pub(super) convert: Option<Expr>,
}

impl StructOptions {
    pub(super) fn of(item: &DeriveInput) -> Result<Self> {
        let mut all = Options::default();
        let mut drops = Vec::new();
        for attr in ours(&item.attrs) {
            let mut options = Options::parse(attr, &OF_STRUCT)?;
            drops.extend(options.take_drop(attr)?);
            all.merge(options)?;
        }
        let version = all.version.ok_or_else(|| {
            let message = "say which version of the layout this is: `#[session(version = 1)]`";
            Error::new(item.ident.span(), message)
        })?;
        if version.number == 0 {
            let message =
                "versions begin with 1; 0 is that of sessions from before there was a number";
            return Err(Error::new(version.span, message));
        }
        Ok(Self { version, drops, migrate: all.migrate, krate: all.krate })
    }
}

/// The changes of a field, from the oldest to the newest.
pub(super) fn changes(field: &syn::Field) -> Result<Vec<Change>> {
    let mut changes = Vec::<Change>::new();
    for attr in ours(&field.attrs) {
        let Options { was, convert, before, .. } = Options::parse(attr, &OF_FIELD)?;
        let (Some(before), true) = (before, was.is_some() || convert.is_some()) else {
            let message = "write what the field was, and before which version: \
                           `#[session(was = \"old_name\", before = 2)]`, or with `convert = function`";
            return Err(Error::new_spanned(attr, message));
        };
        if changes.iter().any(|change| change.before.number == before.number) {
            let message = "one version has one change of a field: write them in one attribute";
            return Err(Error::new(before.span, message));
        }
        changes.push(Change { before, was, convert });
    }
    changes.sort_by_key(|change| change.before.number);
    Ok(changes)
}

fn ours(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("session"))
}

/// What attributes say, before it is known to fit together.
#[derive(Default)]
struct Options {
    version: Option<Version>,
    was: Option<LitStr>,
    drop: Option<LitStr>,
    before: Option<Version>,
    convert: Option<Expr>,
    migrate: Option<Expr>,
    krate: Option<Path>,
    seen: Vec<Ident>,
}

impl Options {
    fn parse(attr: &Attribute, known: &[&str]) -> Result<Self> {
        attr.parse_args_with(|input: ParseStream<'_>| {
            let mut options = Self::default();
            while !input.is_empty() {
                let option = input.call(Ident::parse_any)?;
                options.parse_one(&option, known, input)?;
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(options)
        })
    }

    fn parse_one(&mut self, option: &Ident, known: &[&str], input: ParseStream<'_>) -> Result<()> {
        let name = option.to_string();
        if !known.contains(&name.as_str()) {
            let message =
                format!("there is no option `{name}` here; there are {}", known.join(", "));
            return Err(Error::new(option.span(), message));
        }
        self.see(option)?;
        match name.as_str() {
            "version" => self.version = Some(version(option, input)?),
            "before" => self.before = Some(version(option, input)?),
            "was" => self.was = Some(stored_name(option, input)?),
            "drop" => self.drop = Some(stored_name(option, input)?),
            "convert" => self.convert = Some(function(option, input)?),
            "migrate" => self.migrate = Some(function(option, input)?),
            _ => {
                equals(option, "::beaker_cache::session", input)?;
                self.krate = Some(input.parse()?);
            }
        }
        Ok(())
    }

    fn see(&mut self, option: &Ident) -> Result<()> {
        if self.seen.contains(option) {
            let message = format!("`{option}` is given twice; remove one");
            return Err(Error::new(option.span(), message));
        }
        self.seen.push(option.clone());
        Ok(())
    }

    /// Takes the value that is dropped, which has an attribute of its own.
    fn take_drop(&mut self, attr: &Attribute) -> Result<Option<Dropped>> {
        match (self.drop.take(), self.before.take(), self.seen.len()) {
            (Some(name), Some(before), 2) => {
                self.seen.clear();
                Ok(Some(Dropped { name, before }))
            }
            (None, None, _) => Ok(None),
            _ => {
                let message = "write in an attribute of its own what is dropped, and before which \
                               version: `#[session(drop = \"old_name\", before = 2)]`";
                Err(Error::new_spanned(attr, message))
            }
        }
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        other.seen.iter().try_for_each(|option| self.see(option))?;
        self.version = self.version.or(other.version);
        self.migrate = self.migrate.take().or(other.migrate);
        self.krate = self.krate.take().or(other.krate);
        Ok(())
    }
}

fn version(option: &Ident, input: ParseStream<'_>) -> Result<Version> {
    equals(option, "2", input)?;
    let span = input.span();
    match input.parse::<LitInt>().and_then(|number| number.base10_parse()) {
        Ok(number) => Ok(Version { number, span }),
        Err(_) => Err(Error::new(span, format!("write a whole number, such as `{option} = 2`"))),
    }
}

fn stored_name(option: &Ident, input: ParseStream<'_>) -> Result<LitStr> {
    equals(option, "\"old_name\"", input)?;
    let span = input.span();
    let name = input.parse::<LitStr>();
    let name = name.map_err(|_| Error::new(span, format!("write `{option} = \"old_name\"`")))?;
    if is_reserved(&name.value()) {
        let message =
            "names that begin with an underscore are not the program's: no step changes them";
        return Err(Error::new(span, message));
    }
    Ok(name)
}

fn function(option: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    equals(option, "function", input)?;
    input.parse()
}
