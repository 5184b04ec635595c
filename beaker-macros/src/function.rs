//! The function under the attribute, and whether it can be cached.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Error, Expr, FnArg, GenericArgument, Ident, ItemFn, Pat, PatType, PathArguments, Receiver,
    ReceiverKind, Result, ReturnType, Safety, Signature, Type,
};

use crate::options::Options;

/// A function that can be cached.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Returns,
    /// What a call returns: of `Created<T>` it is `T`.
    pub(crate) output: Type,
    /// Whether the function decides by a `Created` what is stored.
    pub(crate) decides: bool,
    /// Whether it stands in an `impl` block.
    pub(crate) in_impl: bool,
    /// Whether its receiver is left out of the key.
    pub(crate) skips_self: bool,
}

pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) is_skipped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    /// Its value is stored, its error is not.
    Result,
    Value,
}

impl Function {
    pub(crate) fn parse(item: TokenStream, options: &Options) -> Result<Self> {
        let item: ItemFn =
            syn::parse2(item.clone()).map_err(|error| not_a_function(&item, error))?;
        check_kind(&item)?;
        let mut output = output(&item.sig)?;
        let returns = returns(&output);
        let decides = take_created(&mut output, returns);
        let arguments = item.sig.inputs.iter().filter_map(typed).map(|it| argument(it, options));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let skips_self = options.skip.iter().any(|skipped| skipped == "self");
        let in_impl = options.in_impl || item.sig.receiver().is_some();
        let function = Self { item, arguments, returns, output, decides, in_impl, skips_self };
        function.check_skip(options)?;
        function.check_receiver(options)?;
        function.check_decides(options)?;
        function.check_spawn(options)?;
        function.check_many(options)?;
        Ok(function)
    }

    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.item.sig.receiver()
    }

    /// Whether this argument is left out of the key.
    pub(crate) fn skips(&self, name: &Ident) -> bool {
        self.arguments.iter().any(|argument| argument.is_skipped && argument.name == *name)
    }

    pub(crate) fn output_span(&self) -> Span {
        self.output.span()
    }

    fn check_skip(&self, options: &Options) -> Result<()> {
        let is_argument = |skipped: &&Ident| match skipped.to_string().as_str() {
            "self" => self.receiver().is_some(),
            _ => self.arguments.iter().any(|argument| argument.name == **skipped),
        };
        match options.skip.iter().find(|skipped| !is_argument(skipped)) {
            Some(unknown) => Err(Error::new(
                unknown.span(),
                format!("there is no argument `{unknown}` to skip; write the name of one"),
            )),
            None => Ok(()),
        }
    }

    fn check_decides(&self, options: &Options) -> Result<()> {
        match options.skip_none {
            Some(span) if self.decides => Err(Error::new(
                span,
                "a function that returns `Created` says itself what is not kept: \
                 `Created::new(None).unstored()`",
            )),
            _ => Ok(()),
        }
    }

    /// What runs behind its caller borrows nothing from it.
    fn check_spawn(&self, options: &Options) -> Result<()> {
        if !options.spawn {
            return Ok(());
        }
        let message = "with `spawn` the function can outlive its call: take what it needs as owned values, \
                       such as `String` instead of `&str`";
        for input in &self.item.sig.inputs {
            let is_borrowed = match input {
                FnArg::Receiver(receiver) => matches!(receiver.kind, ReceiverKind::Reference(..)),
                FnArg::Typed(typed) => borrowed(typed.ty.to_token_stream()).is_some(),
            };
            if is_borrowed {
                return Err(Error::new_spanned(input, message));
            }
        }
        Ok(())
    }

    /// Two objects never share a value unless somebody said that they may.
    fn check_receiver(&self, options: &Options) -> Result<()> {
        let Some(receiver) = self.receiver().filter(|_| !self.skips_self) else { return Ok(()) };
        let changes = match &receiver.kind {
            ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
            _ => false,
        };
        if changes {
            return Err(changed(receiver, "self"));
        }
        if !options.key.as_ref().is_some_and(names_self) {
            return Err(Error::new_spanned(
                receiver,
                "say whether all objects share the values: write `skip(self)` if they do, or \
                 `key = (self.id, …)`, with what tells them apart and the arguments",
            ));
        }
        Ok(())
    }
}

fn not_a_function(item: &TokenStream, error: Error) -> Error {
    let is_function = item
        .clone()
        .into_iter()
        .any(|token| matches!(&token, TokenTree::Ident(word) if word == "fn"));
    if is_function {
        return error;
    }
    Error::new(Span::call_site(), "`#[cached]` stands on a function: write it above `fn`")
}

fn check_kind(item: &ItemFn) -> Result<()> {
    let sig = &item.sig;
    if let Some(token) = sig.constness {
        let message =
            "a `const fn` is computed when it is compiled: remove `const`, or do not cache it";
        return Err(Error::new_spanned(token, message));
    }
    if let Safety::Unsafe(token) = sig.safety {
        let message = "an unsafe function cannot be cached: write a safe one that calls it";
        return Err(Error::new_spanned(token, message));
    }
    if let Some(abi) = &sig.abi {
        let message =
            "a function of another language's ABI cannot be cached: write one that calls it";
        return Err(Error::new_spanned(abi, message));
    }
    match &sig.variadic {
        Some(variadic) => Err(Error::new_spanned(variadic, "a variadic function cannot be cached")),
        None => Ok(()),
    }
}

/// The return type of something that is worth keeping and can be kept.
fn output(sig: &Signature) -> Result<Type> {
    let nothing = "a function that returns nothing leaves nothing to keep: return a value";
    let output = match &sig.output {
        ReturnType::Default => return Err(Error::new_spanned(&sig.ident, nothing)),
        ReturnType::Type(_, output) => (**output).clone(),
    };
    match &output {
        Type::Tuple(tuple) if tuple.elems.is_empty() => Err(Error::new_spanned(&output, nothing)),
        Type::Never(_) => Err(Error::new_spanned(&output, nothing)),
        Type::ImplTrait(_) => {
            let message = "the type that is kept must have a name: write it instead of `impl`";
            Err(Error::new_spanned(&output, message))
        }
        _ => match borrowed(output.to_token_stream()) {
            Some(span) => Err(Error::new(
                span,
                "a value that is kept outlives the call: return an owned one, such as `String` \
                 instead of `&str`",
            )),
            None => Ok(output),
        },
    }
}

/// Where a type borrows for less than `'static`.
fn borrowed(tokens: TokenStream) -> Option<Span> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                if let Some(span) = borrowed(group.stream()) {
                    return Some(span);
                }
            }
            TokenTree::Punct(and) if and.as_char() == '&' => match tokens.peek() {
                Some(TokenTree::Punct(quote)) if quote.as_char() == '\'' => {}
                _ => return Some(and.span()),
            },
            TokenTree::Punct(quote) if quote.as_char() == '\'' => {
                let name = tokens.next();
                if !matches!(name, Some(TokenTree::Ident(name)) if name == "static") {
                    return Some(quote.span());
                }
            }
            _ => {}
        }
    }
    None
}

fn returns(output: &Type) -> Returns {
    match output {
        Type::Path(path) => match path.path.segments.last() {
            Some(last) if last.ident == "Result" => Returns::Result,
            _ => Returns::Value,
        },
        Type::Group(group) => returns(&group.elem),
        Type::Paren(paren) => returns(&paren.elem),
        _ => Returns::Value,
    }
}

/// Puts `T` in the place of the `Created<T>` that is returned, alone or in a result, and says whether
/// there was one.
fn take_created(output: &mut Type, returns: Returns) -> bool {
    let made = match returns {
        Returns::Value => Some(output),
        Returns::Result => first_argument(output),
    };
    let Some(made) = made else { return false };
    let is_created = match &*made {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Created"),
        _ => false,
    };
    match first_argument(made).filter(|_| is_created).cloned() {
        Some(value) => {
            *made = value;
            true
        }
        None => false,
    }
}

/// The `T` of `Name<T, …>`.
fn first_argument(r#type: &mut Type) -> Option<&mut Type> {
    match r#type {
        Type::Path(path) => match &mut path.path.segments.last_mut()?.arguments {
            PathArguments::AngleBracketed(arguments) => {
                arguments.args.iter_mut().find_map(|argument| match argument {
                    GenericArgument::Type(r#type) => Some(r#type),
                    _ => None,
                })
            }
            _ => None,
        },
        Type::Group(group) => first_argument(&mut group.elem),
        Type::Paren(paren) => first_argument(&mut paren.elem),
        _ => None,
    }
}

fn typed(argument: &FnArg) -> Option<&PatType> {
    match argument {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    }
}

fn argument(argument: &PatType, options: &Options) -> Result<Argument> {
    let name = match &*argument.pat {
        Pat::Ident(name) if name.by_ref.is_none() && name.subpat.is_none() => name.ident.clone(),
        pattern => {
            let message = "give the argument a name, and take it apart in the body";
            return Err(Error::new_spanned(pattern, message));
        }
    };
    let is_skipped = options.skip.contains(&name);
    match &*argument.ty {
        r#type if has_impl(r#type.to_token_stream()) => {
            let message = "the type of an argument must have a name: write a type parameter instead of `impl`";
            Err(Error::new_spanned(r#type, message))
        }
        Type::Reference(reference) if reference.mutability.is_some() && !is_skipped => {
            Err(changed(&argument.ty, &name.to_string()))
        }
        _ => Ok(Argument { name, is_skipped }),
    }
}

fn changed(at: impl ToTokens, name: &str) -> Error {
    let message = format!(
        "a call that finds a value would leave `{name}` unchanged: borrow it without `mut`, or \
         leave it out of the key: `skip({name})`"
    );
    Error::new_spanned(at, message)
}

fn has_impl(tokens: TokenStream) -> bool {
    has_word(tokens, "impl")
}

fn names_self(key: &Expr) -> bool {
    has_word(key.to_token_stream(), "self")
}

fn has_word(tokens: TokenStream, wanted: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == wanted,
        TokenTree::Group(group) => has_word(group.stream(), wanted),
        _ => false,
    })
}
