//! The constant that describes a cached function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{GenericParam, Ident, parse_quote};

use crate::expand::{Expansion, Inputs};
use crate::function::Returns;
use crate::options::{Options, Ttl};

impl Expansion<'_> {
    /// The function that returns the constant which describes this one.
    pub(crate) fn definition(&self) -> TokenStream {
        let Self { support, value, .. } = self;
        let name = self.helper("definition");
        let mut sig = self.signature(&name, Inputs::None);
        sig.asyncness = None;
        sig.output = parse_quote!(-> &'static #support::Function<#value>);
        let (marker, marked) = self.marker();
        let types = self.types();
        let function = self.function.item.sig.ident.to_string();
        let function = function.trim_start_matches("r#");
        let new =
            if self.options.objects { format_ident!("of_objects") } else { format_ident!("new") };
        let span = self.function.output_span();
        let construct = quote_spanned!(span=> #support::Function::<#value>::#new);
        let settings = self.settings();
        let check = self.check();
        quote! {
            #[doc(hidden)]
            #[allow(dead_code, reason = "nobody needs all of them")]
            #sig {
                #marker
                #check
                const {
                    &#construct(
                        ::core::any::TypeId::of::<#marked>(),
                        ::core::module_path!(),
                        #function,
                        || ::std::vec![#(#types),*],
                    )
                    #settings
                }
            }
        }
    }

    /// A type that stands for the function, and how it is written with the types of this call.
    fn marker(&self) -> (TokenStream, TokenStream) {
        let generics = &self.function.item.sig.generics;
        let mut declared = Vec::new();
        let mut held = Vec::new();
        let mut given = Vec::new();
        for parameter in &generics.params {
            match parameter {
                GenericParam::Type(parameter) => {
                    let name = &parameter.ident;
                    declared.push(quote!(#name: ?::core::marker::Sized));
                    held.push(quote!(::core::marker::PhantomData<#name>));
                    given.push(name.to_token_stream());
                }
                GenericParam::Const(parameter) => {
                    let (name, r#type) = (&parameter.ident, &parameter.ty);
                    declared.push(quote!(const #name: #r#type));
                    given.push(name.to_token_stream());
                }
                _ => {}
            }
        }
        if self.function.in_impl {
            let name = Ident::new("Receiver", Span::mixed_site());
            declared.insert(0, quote!(#name: ?::core::marker::Sized));
            held.push(quote!(::core::marker::PhantomData<#name>));
            given.insert(0, quote!(Self));
        }
        let marker = Ident::new("Marker", Span::mixed_site());
        (quote!(struct #marker<#(#declared),*>(#(#held),*);), quote!(#marker<#(#given),*>))
    }

    /// What the function is generic over, as texts.
    fn types(&self) -> Vec<TokenStream> {
        let support = &self.support;
        let of_self = self.function.in_impl.then(|| {
            let name = quote!(::core::any::type_name::<Self>());
            // A given name holds wherever the type stands.
            if self.options.name.is_some() { quote!(#support::type_arguments(#name)) } else { name }
        });
        let own =
            self.function.item.sig.generics.params.iter().filter_map(|parameter| match parameter {
                GenericParam::Type(parameter) => {
                    let name = &parameter.ident;
                    Some(
                        quote!(::std::borrow::ToOwned::to_owned(::core::any::type_name::<#name>())),
                    )
                }
                GenericParam::Const(parameter) => {
                    let name = &parameter.ident;
                    Some(quote!(::std::string::ToString::to_string(&#name)))
                }
                _ => None,
            });
        let of_self = of_self.map(|name| quote!(::std::borrow::ToOwned::to_owned(#name)));
        of_self.into_iter().chain(own).collect()
    }

    /// The options, as calls of the constant's builder.
    fn settings(&self) -> TokenStream {
        let Options { region, url, name, version, ttl, negative_ttl, stale, wait, .. } =
            self.options;
        let support = &self.support;
        let mut settings = TokenStream::new();
        let mut set = |setting: TokenStream| settings.extend(setting);
        for (option, text) in [("region", region), ("url", url), ("name", name)] {
            let option = format_ident!("{option}");
            set(text.iter().map(|text| quote!(.#option(#text))).collect());
        }
        if let Some(version) = version {
            let version = version.base10_digits().parse::<u64>().unwrap_or_default();
            set(quote!(.version(#version)));
        }
        if let Some(ttl) = ttl.map(Ttl::code) {
            set(quote!(.ttl(#ttl)));
        }
        if let Some(negative) = negative_ttl.map(Ttl::code) {
            set(quote!(.negative_ttl(|cache| {
                #support::Absent::with_negative_ttl(cache, #negative)
            })));
        }
        if let Some(max_age) = stale.map(duration) {
            set(quote!(.stale(#max_age)));
        }
        if let Some(wait) = wait.map(duration) {
            set(quote!(.wait(#wait)));
        }
        if self.options.spawn {
            set(quote!(.spawned()));
        }
        if self.options.redact {
            set(quote!(.redacted()));
        }
        settings
    }

    /// Refuses a `Result` that is not written as one.
    fn check(&self) -> TokenStream {
        let (support, output) = (&self.support, &self.function.output);
        match self.function.returns {
            Returns::Result => TokenStream::new(),
            Returns::Value => quote_spanned! {self.function.output_span()=>
                {
                    use #support::Kind as _;
                    #support::stored_as_it_is(#support::Returned::<#output>::new().kind());
                }
            },
        }
    }
}

impl Ttl {
    fn code(self) -> TokenStream {
        match self {
            Self::For(period) => {
                let period = duration(period);
                quote!(::core::option::Option::Some(#period))
            }
            Self::Forever => quote!(::core::option::Option::None),
        }
    }
}

fn duration(duration: std::time::Duration) -> TokenStream {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    quote!(::core::time::Duration::new(#seconds, #nanos))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    #[test]
    fn a_function_is_redacted_if_it_says_so() {
        let load = quote!(
            fn load(id: u64) -> u64 {
                id
            }
        );
        let is_redacted = |options| {
            let code = crate::expand::cached(options, load.clone()).unwrap();
            code.to_string().contains(". redacted ()")
        };
        assert!(is_redacted(quote!(redact)));
        assert!(!is_redacted(quote!(name = "users")));
    }
}
