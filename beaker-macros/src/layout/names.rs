//! The names under which serde stores the fields of a struct.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::{Attribute, Error, Expr, ExprLit, Field, Lit, LitStr, Meta, Result, Token};

/// How a struct's fields are named that say nothing themselves.
pub(super) struct Naming {
    rule: Option<LitStr>,
}

/// Where a field is stored.
pub(super) enum Name {
    Stored(String),
    /// Under no name of its own, and so it can have no changes: why, and what to write instead.
    Nowhere(&'static str),
}

impl Naming {
    /// # Errors
    ///
    /// Refuses a struct that serde stores as something else.
    pub(super) fn of(attrs: &[Attribute]) -> Result<Self> {
        let mut rule = None;
        for option in serde_options(attrs) {
            if is_one_of(&option, &["transparent", "from", "try_from", "into"]) {
                let message = "serde stores another type in place of this one: \
                               derive `SessionData` for that";
                return Err(Error::new_spanned(option, message));
            }
            if is_one_of(&option, &["rename_all"]) {
                rule = Some(one_name(&option)?);
            }
        }
        Ok(Self { rule })
    }

    pub(super) fn of_field(&self, field: &Field) -> Result<Name> {
        let mut renamed = None;
        for option in serde_options(&field.attrs) {
            if is_one_of(&option, &["skip", "skip_serializing", "skip_deserializing"]) {
                return Ok(Name::Nowhere("this field is not stored: remove its `#[session(…)]`"));
            }
            if is_one_of(&option, &["flatten"]) {
                let message = "the fields in this one are stored, each by its name: \
                               write their changes as `#[session(migrate = function)]` of the struct";
                return Ok(Name::Nowhere(message));
            }
            if is_one_of(&option, &["rename"]) {
                renamed = Some(one_name(&option)?);
            }
        }
        let name = match renamed {
            Some(name) => name.value(),
            None => self.by_rule(field)?,
        };
        if is_reserved(&name) {
            let message = "names that begin with an underscore are not the program's: \
                           give it another in the store by `#[serde(rename = \"…\")]`";
            return Err(Error::new_spanned(&field.ident, message));
        }
        Ok(Name::Stored(name))
    }

    fn by_rule(&self, field: &Field) -> Result<String> {
        let name = field.ident.as_ref().map(|name| name.unraw().to_string()).unwrap_or_default();
        let Some(rule) = &self.rule else { return Ok(name) };
        renamed(&rule.value(), &name).ok_or_else(|| {
            let message = "this rule is not known here: give each field its name by \
                           `#[serde(rename = \"…\")]`";
            Error::new(rule.span(), message)
        })
    }
}

/// Whether a field is stored otherwise than its type would be.
pub(super) fn has_its_own_form(field: &Field) -> bool {
    let forms = ["with", "serialize_with", "deserialize_with"];
    serde_options(&field.attrs).any(|option| is_one_of(&option, &forms))
}

/// Whether a name is not for programs.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with('_')
}

/// What serde's own attributes say. Those that cannot be read serde refuses itself.
fn serde_options(attrs: &[Attribute]) -> impl Iterator<Item = Meta> {
    let read = Punctuated::<Meta, Token![,]>::parse_terminated;
    let serde = attrs.iter().filter(|attr| attr.path().is_ident("serde"));
    serde.filter_map(move |attr| attr.parse_args_with(read).ok()).flatten()
}

fn is_one_of(option: &Meta, names: &[&str]) -> bool {
    names.iter().any(|name| option.path().is_ident(name))
}

/// The text of `rename` or `rename_all`.
fn one_name(option: &Meta) -> Result<LitStr> {
    if let Meta::NameValue(pair) = option
        && let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value
    {
        return Ok(text.clone());
    }
    let message = "a session is read by the names that it was written by: give one, for both";
    Err(Error::new_spanned(option, message))
}

/// The name of a field by a rule of serde's `rename_all`, whose rules these are.
fn renamed(rule: &str, field: &str) -> Option<String> {
    Some(match rule {
        "lowercase" | "snake_case" => field.to_owned(),
        "UPPERCASE" | "SCREAMING_SNAKE_CASE" => field.to_ascii_uppercase(),
        "kebab-case" => field.replace('_', "-"),
        "SCREAMING-KEBAB-CASE" => field.to_ascii_uppercase().replace('_', "-"),
        "PascalCase" => pascal(field),
        "camelCase" => with_first(&pascal(field), |first| first.to_ascii_lowercase()),
        _ => return None,
    })
}

fn pascal(field: &str) -> String {
    field.split('_').map(|word| with_first(word, |first| first.to_ascii_uppercase())).collect()
}

fn with_first(word: &str, change: impl FnOnce(char) -> char) -> String {
    let mut rest = word.chars();
    rest.next().map(change).into_iter().chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::renamed;

    #[test]
    fn a_rule_names_a_field_as_serde_does() {
        for (rule, name) in [
            ("lowercase", "last_page2_seen"),
            ("UPPERCASE", "LAST_PAGE2_SEEN"),
            ("PascalCase", "LastPage2Seen"),
            ("camelCase", "lastPage2Seen"),
            ("snake_case", "last_page2_seen"),
            ("SCREAMING_SNAKE_CASE", "LAST_PAGE2_SEEN"),
            ("kebab-case", "last-page2-seen"),
            ("SCREAMING-KEBAB-CASE", "LAST-PAGE2-SEEN"),
        ] {
            assert_eq!(renamed(rule, "last_page2_seen").as_deref(), Some(name), "{rule}");
        }
    }

    /// serde refuses it too, unless it has learnt it since.
    #[test]
    fn a_rule_that_is_not_known_is_refused_unless_no_field_needs_it() {
        let refused = |attribute| {
            let item = quote!(
                #[session(version = 1)]
                #[serde(rename_all = "Title Case")]
                struct Visit {
                    #attribute
                    last_page: u32,
                }
            );
            crate::layout::session_data(item).err().map(|error| error.to_string())
        };
        let message = "this rule is not known here: give each field its name by \
                       `#[serde(rename = \"…\")]`";
        assert_eq!(refused(quote!()).as_deref(), Some(message));
        assert_eq!(refused(quote!(#[serde(rename = "Last Page")])), None);
    }
}
