//! What stands in the parentheses of `#[cached(…)]`.

use std::time::Duration;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Ident, LitInt, LitStr, Path, Result, Token, parenthesized};

/// The options, each checked by itself.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) region: Option<LitStr>,
    pub(crate) url: Option<LitStr>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) negative_ttl: Option<Ttl>,
    pub(crate) stale: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) key: Option<Expr>,
    pub(crate) by_serde: bool,
    pub(crate) skip: Vec<Ident>,
    pub(crate) skip_none: Option<Span>,
    pub(crate) tags: Vec<Expr>,
    pub(crate) spawn: bool,
    pub(crate) objects: bool,
    pub(crate) redact: bool,
    pub(crate) many: Option<Span>,
    pub(crate) in_impl: bool,
    pub(crate) krate: Option<Path>,
    seen: Vec<Ident>,
}

/// How long a value lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ttl {
    For(Duration),
    Forever,
}

const KNOWN: &str = "region, url, name, version, ttl, negative_ttl, stale, wait, key, \
                     by_serde, skip, skip_none, tags, spawn, many, objects, redact, in_impl, crate";

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        while !input.is_empty() {
            let option = input.call(Ident::parse_any)?;
            options.parse_one(&option, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        options.check()?;
        Ok(options)
    }
}

impl Options {
    fn parse_one(&mut self, option: &Ident, input: ParseStream<'_>) -> Result<()> {
        if self.seen.contains(option) {
            let message = format!("`{option}` is given twice; remove one");
            return Err(Error::new(option.span(), message));
        }
        self.seen.push(option.clone());
        match option.to_string().as_str() {
            "region" => self.region = Some(text(option, input)?),
            "url" => self.url = Some(text(option, input)?),
            "name" => self.name = Some(name(text(option, input)?)?),
            "version" => self.version = Some(version(option, input)?),
            "ttl" => self.ttl = Some(ttl(option, input)?),
            "negative_ttl" => self.negative_ttl = Some(ttl(option, input)?),
            "stale" => self.stale = Some(duration(option, input)?),
            "wait" => self.wait = Some(duration(option, input)?),
            "key" => self.key = Some(key(option, input)?),
            "by_serde" => self.by_serde = flag(option, input).map(|_| true)?,
            "skip" => self.skip = skip(option, input)?,
            "tags" => self.tags = tags(option, input)?,
            "spawn" => self.spawn = flag(option, input).map(|_| true)?,
            "skip_none" => self.skip_none = Some(flag(option, input)?),
            "many" => self.many = Some(flag(option, input)?),
            "objects" => self.objects = flag(option, input).map(|_| true)?,
            "redact" => self.redact = flag(option, input).map(|_| true)?,
            "in_impl" => self.in_impl = flag(option, input).map(|_| true)?,
            "crate" => self.krate = Some(path(option, input)?),
            unknown => {
                let message = format!("there is no option `{unknown}`; there are {KNOWN}");
                return Err(Error::new(option.span(), message));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match self.skip_none {
            Some(span) if self.negative_ttl.is_some() => Err(Error::new(
                span,
                "what is not stored does not expire: write either `skip_none` or `negative_ttl`",
            )),
            _ => Ok(()),
        }
    }
}

/// Takes the `=` of an option that has a value.
pub(crate) fn equals(option: &Ident, example: &str, input: ParseStream<'_>) -> Result<()> {
    if !input.peek(Token![=]) {
        return Err(Error::new(option.span(), format!("write `{option} = {example}`")));
    }
    input.parse::<Token![=]>().map(drop)
}

fn text(option: &Ident, input: ParseStream<'_>) -> Result<LitStr> {
    let example = match option.to_string().as_str() {
        "region" => "\"short_term\"",
        "url" => "\"file:///var/cache/app\"",
        _ => "\"users\"",
    };
    equals(option, example, input)?;
    let span = input.span();
    match input.parse::<LitStr>() {
        Ok(text) if !text.value().trim().is_empty() => Ok(text),
        _ => Err(Error::new(span, format!("write a text, such as `{option} = {example}`"))),
    }
}

/// The characters that we write behind a name ourselves.
fn name(name: LitStr) -> Result<LitStr> {
    if name.value().contains(['<', '>', '@']) {
        let message = "a name has no `<`, `>` or `@`: the types and the `version` are added to it";
        return Err(Error::new(name.span(), message));
    }
    Ok(name)
}

fn version(option: &Ident, input: ParseStream<'_>) -> Result<LitInt> {
    equals(option, "2", input)?;
    let span = input.span();
    match input.parse::<LitInt>() {
        Ok(version) if version.base10_parse::<u64>().is_ok() => Ok(version),
        _ => Err(Error::new(span, "write a whole number, such as `version = 2`")),
    }
}

fn ttl(option: &Ident, input: ParseStream<'_>) -> Result<Ttl> {
    let fix = "write whole seconds (3600), a duration (\"90s\", \"10m\", \"1h30m\") or \"never\"";
    period(option, fix, input)
}

fn duration(option: &Ident, input: ParseStream<'_>) -> Result<Duration> {
    let fix = "write whole seconds (3600) or a duration (\"90s\", \"10m\", \"1h30m\")";
    let span = option.span();
    match period(option, fix, input)? {
        Ttl::For(duration) => Ok(duration),
        Ttl::Forever => Err(Error::new(span, format!("`{option}` is no duration; {fix}"))),
    }
}

fn period(option: &Ident, fix: &str, input: ParseStream<'_>) -> Result<Ttl> {
    equals(option, "\"5m\"", input)?;
    let span = input.span();
    let read = if input.peek(LitInt) {
        let seconds = input.parse::<LitInt>()?;
        seconds.base10_parse().ok().map(|seconds| Ttl::For(Duration::from_secs(seconds)))
    } else {
        input.parse::<LitStr>().ok().and_then(|text| read_period(&text.value()))
    };
    read.ok_or_else(|| Error::new(span, format!("`{option}` is no duration; {fix}")))
}

/// As the configuration reads `expire`.
fn read_period(text: &str) -> Option<Ttl> {
    match text.trim() {
        "never" => Some(Ttl::Forever),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().map(|seconds| Ttl::For(Duration::from_secs(seconds)))
        }
        duration => humantime::parse_duration(duration).ok().map(Ttl::For),
    }
}

fn key(option: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    equals(option, "(&tenant, id)", input)?;
    input.parse()
}

fn path(option: &Ident, input: ParseStream<'_>) -> Result<Path> {
    equals(option, "::beaker_container", input)?;
    input.parse()
}

fn skip(option: &Ident, input: ParseStream<'_>) -> Result<Vec<Ident>> {
    let arguments;
    let wrong = || Error::new(option.span(), "write the arguments to leave out: `skip(database)`");
    if !input.peek(syn::token::Paren) {
        return Err(wrong());
    }
    parenthesized!(arguments in input);
    let arguments =
        Punctuated::<Ident, Token![,]>::parse_terminated_with(&arguments, Ident::parse_any)
            .map_err(|_| wrong())?;
    if arguments.is_empty() {
        return Err(wrong());
    }
    Ok(arguments.into_iter().collect())
}

fn tags(option: &Ident, input: ParseStream<'_>) -> Result<Vec<Expr>> {
    let tags;
    let wrong = || {
        let message =
            "write what the values are tagged with: `tags(\"users\", format!(\"user:{id}\"))`";
        Error::new(option.span(), message)
    };
    if !input.peek(syn::token::Paren) {
        return Err(wrong());
    }
    parenthesized!(tags in input);
    let tags = Punctuated::<Expr, Token![,]>::parse_terminated(&tags)?;
    if tags.is_empty() {
        return Err(wrong());
    }
    Ok(tags.into_iter().collect())
}

fn flag(option: &Ident, input: ParseStream<'_>) -> Result<Span> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(option.span());
    }
    Err(Error::new(option.span(), format!("`{option}` has no value: write `{option}` alone")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Result<Options> {
        syn::parse_str(text)
    }

    #[test]
    fn periods_are_read_as_the_configuration_reads_them() {
        let seconds = |seconds| Some(Ttl::For(Duration::from_secs(seconds)));
        for (text, read) in [
            ("0", seconds(0)),
            ("90", seconds(90)),
            ("90s", seconds(90)),
            (" 1h 30m ", seconds(5400)),
            ("never", Some(Ttl::Forever)),
            ("250ms", Some(Ttl::For(Duration::from_millis(250)))),
            ("", None),
            ("-1s", None),
            ("1x", None),
        ] {
            assert_eq!(read_period(text), read, "{text}");
        }
    }

    #[test]
    fn every_option_is_read() {
        let read = options(
            r#"region = "short", url = "memory:", name = "users", version = 2, ttl = "5m",
               negative_ttl = 10, stale = "1m", wait = "2s", key = (a, b), by_serde,
               skip(self, db), tags("all", format!("user:{id}")), spawn, many, objects, redact,
               in_impl, crate = ::beaker_container"#,
        )
        .unwrap();
        assert_eq!(read.ttl, Some(Ttl::For(Duration::from_secs(300))));
        assert_eq!(read.negative_ttl, Some(Ttl::For(Duration::from_secs(10))));
        assert_eq!(read.stale, Some(Duration::from_secs(60)));
        assert_eq!(read.skip.len(), 2);
        assert_eq!(read.tags.len(), 2);
        assert!(read.spawn && read.objects && read.redact && read.in_impl);
        assert!(read.many.is_some() && read.krate.is_some());
        assert!(
            KNOWN
                .split(", ")
                .all(|known| known == "skip_none" || read.seen.iter().any(|seen| seen == known))
        );
    }
}
