//! `load::many(…)`: many calls at once.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Error, FnArg, Ident, Lifetime, Pat, ReceiverKind, Result, Type, parse_quote};

use crate::expand::{Expansion, Inputs};
use crate::function::{Function, Returns};
use crate::options::Options;

impl Expansion<'_> {
    /// With `many`: the function for the arguments of many calls.
    pub(crate) fn many(&self) -> Option<TokenStream> {
        self.options.many?;
        let doc = self.doc_of_future(
            "The values of many calls, in their order. What is missing is made by the function, for one \
             after the other; of an error nothing is kept.",
            "Dropping the future leaves nothing but what it has kept so far; one of those who wait for the \
             rest makes it.",
        );
        let calls = Ident::new("calls", Span::mixed_site());
        let (mut sig, value, support) =
            (self.signature_of_many(&calls), &self.value, &self.support);
        let (does, awaited) = self.asynchronous("try_many");
        let (vis, definition, make) = (self.vis(), self.definition_call(), self.make_created());
        let (arguments, key) = (self.arguments(), self.key_expression());
        let key = match self.options.by_serde {
            true => key,
            false => quote!(::core::result::Result::Ok(#key)),
        };
        let kept = Ident::new("key", Span::mixed_site());
        let keyed = quote! {
            ::core::iter::Iterator::collect(::core::iter::Iterator::map(
                ::core::iter::IntoIterator::into_iter(#calls),
                |#arguments| {
                    // By itself, so that what borrows the arguments is gone when they are moved.
                    let #kept = #key;
                    (#kept, #arguments)
                },
            ))
        };
        let mut made =
            quote!(#support::#does(#definition, #keyed, move |#arguments| #make) #awaited);
        let output = &self.function.output;
        sig.output = match self.function.returns {
            Returns::Value => {
                made = quote!(#support::never_fails(#made));
                parse_quote!(-> ::std::vec::Vec<#value>)
            }
            Returns::Result => parse_quote! {
                -> ::core::result::Result<
                    ::std::vec::Vec<#value>,
                    <#output as #support::AnyResult>::Error,
                >
            },
        };
        Some(quote!(#doc #vis #sig { #made }))
    }

    /// What all calls have in common, and the arguments of each.
    fn signature_of_many(&self, calls: &Ident) -> syn::Signature {
        let mut sig = self.signature(&self.helper("many"), Inputs::Shared);
        let lifetime = Lifetime::new("'calls", Span::mixed_site());
        let types: Vec<TokenStream> = own(self.function)
            .map(|(_, r#type)| named(r#type.to_token_stream(), &lifetime))
            .collect();
        let borrows = own(self.function)
            .zip(&types)
            .any(|((_, plain), named)| plain.to_token_stream().to_string() != named.to_string());
        if borrows {
            sig.generics.params.insert(0, parse_quote!(#lifetime));
        }
        let item = together(&types);
        sig.inputs.push(parse_quote!(#calls: impl ::core::iter::IntoIterator<Item = #item>));
        sig
    }

    /// The arguments of one call, as a pattern and as an expression.
    fn arguments(&self) -> TokenStream {
        let names: Vec<TokenStream> =
            own(self.function).map(|(name, _)| name.to_token_stream()).collect();
        together(&names)
    }
}

/// One alone, or a tuple.
fn together(parts: &[TokenStream]) -> TokenStream {
    match parts {
        [part] => part.clone(),
        [..] => quote!((#(#parts),*)),
    }
}

/// The arguments that tell the calls apart.
fn own(function: &Function) -> impl Iterator<Item = (&Ident, &Type)> {
    function.item.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(name) if !function.skips(&name.ident) => Some((&name.ident, &*typed.ty)),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    })
}

/// Names the lifetimes that are left out: in an `impl Trait` they need a name.
fn named(tokens: TokenStream, lifetime: &Lifetime) -> TokenStream {
    let mut named = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let inner = self::named(group.stream(), lifetime);
                named.extend([TokenTree::Group(Group::new(group.delimiter(), inner))]);
            }
            TokenTree::Punct(ref and) if and.as_char() == '&' => {
                let has_name = matches!(
                    tokens.peek(),
                    Some(TokenTree::Punct(quote)) if quote.as_char() == '\''
                );
                named.extend([token]);
                if !has_name {
                    lifetime.to_tokens(&mut named);
                }
            }
            TokenTree::Punct(ref quote) if quote.as_char() == '\'' => match tokens.next() {
                Some(TokenTree::Ident(name)) if name == "_" => lifetime.to_tokens(&mut named),
                name => named.extend([Some(token), name].into_iter().flatten()),
            },
            token => named.extend([token]),
        }
    }
    named
}

impl Function {
    /// What runs several times takes what its calls share by shared references.
    pub(crate) fn check_many(&self, options: &Options) -> Result<()> {
        let Some(span) = options.many else { return Ok(()) };
        if own(self).next().is_none() {
            let message = "`many` is for calls that differ: the function has no argument that tells them apart";
            return Err(Error::new(span, message));
        }
        for input in &self.item.sig.inputs {
            let is_shared = match input {
                FnArg::Receiver(receiver) => {
                    matches!(&receiver.kind, ReceiverKind::Reference(_, _, None))
                }
                FnArg::Typed(typed) => match (&*typed.pat, &*typed.ty) {
                    (_, Type::Reference(reference)) => reference.mutability.is_none(),
                    (Pat::Ident(name), _) => !self.skips(&name.ident),
                    _ => false,
                },
            };
            if !is_shared {
                let message = "with `many` the function runs several times: what all calls share it takes as a \
                               `&` reference";
                return Err(Error::new_spanned(input, message));
            }
        }
        Ok(())
    }
}
