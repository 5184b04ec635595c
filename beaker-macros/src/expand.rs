//! The code that stands for a cached function.
//
// For a free function `load`, an `enum load {}` of the same name has the other calls as associated
// functions: a function and a type may share a name, and a type may stand wherever a function may,
// in another function's body too. In an `impl` block there can be no type, so there they are
// methods: `load_invalidate` for `load::invalidate`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, FnArg, GenericParam, Ident, Meta, Pat, Path, Result, Signature, parse_quote};

use crate::function::{Argument, Function, Returns};
use crate::options::Options;

/// The tuples that are keys have up to this many fields.
const FIELDS: usize = 8;

pub(crate) fn cached(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(options)?;
    let function = Function::parse(item, &options)?;
    Ok(Expansion::new(&function, &options).code())
}

pub(crate) struct Expansion<'a> {
    pub(crate) function: &'a Function,
    pub(crate) options: &'a Options,
    /// Where what we call is.
    pub(crate) support: TokenStream,
    /// What is kept.
    pub(crate) value: TokenStream,
    /// `::<T>`, if the function is generic.
    turbofish: TokenStream,
}

impl<'a> Expansion<'a> {
    fn new(function: &'a Function, options: &'a Options) -> Self {
        let krate: Path = match &options.krate {
            Some(krate) => krate.clone(),
            None => parse_quote!(::beaker_cache::container),
        };
        let support = quote!(#krate::function);
        let output = &function.output;
        let value = match function.returns {
            Returns::Result => quote!(<#output as #support::AnyResult>::Value),
            Returns::Value => output.to_token_stream(),
        };
        let parameters = parameters(function);
        let turbofish =
            if parameters.is_empty() { TokenStream::new() } else { quote!(::<#(#parameters),*>) };
        Self { function, options, support, value, turbofish }
    }

    fn code(&self) -> TokenStream {
        let call = self.call();
        let many = self.many();
        let helpers = [
            self.original(),
            self.refresh(),
            self.invalidate(),
            self.peek(),
            self.set(),
            self.key(),
            self.cache(),
            self.definition(),
        ];
        if self.function.in_impl {
            return quote!(#call #many #(#helpers)*);
        }
        let name = &self.function.item.sig.ident;
        let vis = &self.function.item.vis;
        let cfgs = cfgs(&self.function.item.attrs);
        let doc = format!("What else can be done with the calls of the cached function `{name}`.");
        quote! {
            #call

            #(#cfgs)*
            #[doc = #doc]
            #[allow(
                dead_code, non_camel_case_types, missing_debug_implementations, unreachable_pub,
                reason = "it only holds the calls"
            )]
            #vis enum #name {}

            #(#cfgs)*
            #[allow(
                dead_code, clippy::too_many_arguments,
                reason = "nobody needs all of them, and the function has as many"
            )]
            impl #name {
                #many
                #(#helpers)*
            }
        }
    }

    /// The function itself: the kept value, or what the original returns.
    fn call(&self) -> TokenStream {
        let (attrs, _) = split_attributes(&self.function.item.attrs);
        let vis = &self.function.item.vis;
        let sig = self.calling(&self.function.item.sig.ident);
        let body = self.create(How::Found);
        // Only where somebody documents it: else the lint that asks for documentation would be silent.
        let is_documented = attrs.iter().any(|attr| attr.path().is_ident("doc"));
        let dropped = (self.is_async() && is_documented).then(|| {
            quote! {
                #[doc = ""]
                #[doc = "# Cancel safety"]
                #[doc = ""]
                #[doc = "Dropping the future of a call that waits for another's leaves nothing. If it runs the \
                         function, that is dropped too, and one of those who wait runs it in its place; see \
                         `#[cached]`."]
            }
        });
        quote!(#(#attrs)* #dropped #vis #sig { #body })
    }

    /// The signature of a call that returns the value.
    fn calling(&self, name: &Ident) -> Signature {
        let mut sig = self.signature(name, Inputs::All);
        if self.function.decides {
            let output = &self.function.output;
            sig.output = parse_quote!(-> #output);
        }
        sig
    }

    fn original(&self) -> TokenStream {
        let (_, attrs) = split_attributes(&self.function.item.attrs);
        let name = self.helper("original");
        let doc = self.doc("The function itself, past the cache.");
        let mut sig = self.function.item.sig.clone();
        sig.ident = name;
        let (vis, block) = (self.vis(), &self.function.item.block);
        quote!(#doc #(#attrs)* #vis #sig #block)
    }

    fn refresh(&self) -> TokenStream {
        let doc = self.doc_of_future(
            "Makes the value of these arguments anew and keeps it. The old one stays until then, \
             and if this fails.",
            "Dropping the future drops what it makes: the old value stays, and one of those who wait for \
             the new one makes it.",
        );
        let sig = self.calling(&self.helper("refresh"));
        let body = self.create(How::Anew);
        let vis = self.vis();
        quote!(#doc #vis #sig { #body })
    }

    fn invalidate(&self) -> TokenStream {
        let doc = self.doc_of_future(
            "Removes the value of these arguments, and says whether there was one. It wins over a \
             call that is running.",
            "If the future is dropped the value may be removed or not.",
        );
        self.keyed("invalidate", &doc, None, &quote!(bool))
    }

    fn peek(&self) -> TokenStream {
        let doc = self.doc_of_future(
            "The current value of these arguments, if there is one.",
            "Dropping the future leaves nothing.",
        );
        let value = &self.value;
        self.keyed("peek", &doc, None, &quote!(::core::option::Option<#value>))
    }

    fn set(&self) -> TokenStream {
        let doc = self.doc_of_future(
            "Keeps `value` as what these arguments give. It wins over a call that is running.",
            "If the future is dropped the value may be kept or not.",
        );
        let value = Ident::new("value", Span::mixed_site());
        self.keyed("set", &doc, Some(&value), &quote!(()))
    }

    /// A call that needs no more than the key.
    fn keyed(
        &self,
        what: &str,
        doc: &TokenStream,
        value: Option<&Ident>,
        output: &TokenStream,
    ) -> TokenStream {
        let Self { support, .. } = self;
        let mut sig = self.signature(&self.helper(what), Inputs::OfKey);
        sig.output = self.fallible(output);
        if let Some(value) = value {
            let r#type = &self.value;
            sig.inputs.push(parse_quote!(#value: #r#type));
        }
        let (does, awaited) = self.asynchronous(what);
        let (vis, mut key) = (self.vis(), self.key_expression());
        if self.options.by_serde {
            key = quote!(#key?);
        }
        let definition = self.definition_call();
        let tags = &self.options.tags;
        let value = value.map(|value| quote!(, #support::Created::new(#value) #(.tag(#tags))*));
        quote!(#doc #vis #sig { #support::#does(#definition, &#key #value) #awaited })
    }

    fn key(&self) -> TokenStream {
        let doc = self.doc("The key under which the value of these arguments is kept.");
        let support = &self.support;
        let mut sig = self.signature(&self.helper("key"), Inputs::OfKey);
        sig.asyncness = None;
        sig.output = match self.options.by_serde {
            true => self.fallible(&quote!(#support::Key)),
            false => parse_quote!(-> #support::Key),
        };
        let (vis, key) = (self.vis(), self.key_expression());
        quote!(#doc #vis #sig { #key })
    }

    fn cache(&self) -> TokenStream {
        let doc = self.doc("The cache of all the values.");
        let (support, value) = (&self.support, &self.value);
        let mut sig = self.signature(&self.helper("cache"), Inputs::None);
        sig.asyncness = None;
        sig.output = self.fallible(&quote!(#support::FunctionCache<#value>));
        let (vis, definition) = (self.vis(), self.definition_call());
        quote!(#doc #vis #sig { #support::cache(#definition) })
    }

    fn fallible(&self, output: &TokenStream) -> syn::ReturnType {
        let support = &self.support;
        parse_quote!(-> ::core::result::Result<#output, #support::Error>)
    }

    /// Calls what asks the cache, and creates by the original.
    fn create(&self, how: How) -> TokenStream {
        let Self { support, .. } = self;
        let (definition, key) = (self.definition_call(), self.key_expression());
        let options = self.options;
        let decides =
            self.function.decides || options.skip_none.is_some() || !options.tags.is_empty();
        let (how, make, more) = match how {
            _ if options.spawn => {
                let late = self.late();
                let anew = matches!(how, How::Anew);
                ("try_spawn", self.make_created(), Some(quote!(, #late, #anew)))
            }
            How::Found if !decides => ("try_call", self.make(), None),
            How::Found => ("try_call_created", self.make_created(), None),
            How::Anew => ("try_refresh_created", self.make_created(), None),
        };
        let (how, awaited) = self.asynchronous(how);
        let kept = Ident::new("key", Span::mixed_site());
        let mut made = quote! {
            #support::#how(#definition, &#kept, move || #make #more)#awaited
        };
        if self.function.returns == Returns::Value {
            made = quote!(#support::never_fails(#made));
        }
        // By itself, so that what borrows the arguments is gone when they are moved.
        let found = self.options.by_serde.then(|| self.key_or_original(&kept));
        quote!(let #kept = #key; #found #made)
    }

    /// How the function says that it took too long, if its error can.
    fn late(&self) -> TokenStream {
        let (support, output) = (&self.support, &self.function.output);
        match self.function.returns {
            Returns::Value => quote!(::core::option::Option::None),
            Returns::Result => quote!({
                use #support::NeverLate as _;
                #support::Late::<<#output as #support::AnyResult>::Error>::new().error()
            }),
        }
    }

    /// Takes the key out of its result; without one the way is past the cache.
    fn key_or_original(&self, key: &Ident) -> TokenStream {
        let Self { support, .. } = self;
        let (definition, mut made) = (self.definition_call(), self.made());
        if self.function.decides {
            made = quote!(#made.map(#support::Created::into_value));
        }
        if self.function.returns == Returns::Value {
            made = quote!(#support::never_fails(#made));
        }
        let error = Ident::new("error", Span::mixed_site());
        quote! {
            let #key = match #key {
                ::core::result::Result::Ok(#key) => #key,
                ::core::result::Result::Err(#error) => {
                    #support::unkeyed(#definition, &#error);
                    return #made;
                }
            };
        }
    }

    /// What we call, and whether it is awaited.
    pub(crate) fn asynchronous(&self, what: &str) -> (Ident, Option<TokenStream>) {
        match self.function.item.sig.asyncness {
            Some(_) => (format_ident!("{what}_async"), Some(quote!(.await))),
            None => (format_ident!("{what}"), None),
        }
    }

    /// What creates, as a `Result` of the value.
    fn make(&self) -> TokenStream {
        let made = self.made();
        if self.is_async() { quote!(async move { #made }) } else { made }
    }

    /// What creates, as a `Result` of what is decided about the value.
    pub(crate) fn make_created(&self) -> TokenStream {
        let (support, tags) = (&self.support, &self.options.tags);
        let made = self.made();
        let created = match (self.function.decides, self.options.skip_none) {
            (true, _) => None,
            (false, Some(_)) => Some(quote!(.map(#support::some_only))),
            (false, None) => Some(quote!(.map(#support::Created::new))),
        };
        let mut make = quote!(#made #created);
        if !tags.is_empty() {
            // Made before the arguments are moved.
            let kept = Ident::new("tags", Span::mixed_site());
            make = quote!({
                let #kept = [#(::core::convert::Into::<::std::string::String>::into(#tags)),*];
                #make.map(|created| created.tags(#kept))
            });
        }
        if self.is_async() { quote!(async move { #make }) } else { make }
    }

    /// What the original returns, as a `Result`.
    fn made(&self) -> TokenStream {
        let original = self.path("original");
        let turbofish = &self.turbofish;
        let names = self.function.arguments.iter().map(|argument| &argument.name);
        let receiver = self.function.receiver().map(|receiver| receiver.self_token);
        let arguments = receiver.into_iter().map(ToTokens::into_token_stream);
        let arguments = arguments.chain(names.map(ToTokens::to_token_stream));
        let awaited = self.is_async().then(|| quote!(.await));
        let made = quote!(#original #turbofish(#(#arguments),*)#awaited);
        match self.function.returns {
            Returns::Value => {
                quote!(::core::result::Result::Ok::<_, ::core::convert::Infallible>(#made))
            }
            Returns::Result => made,
        }
    }

    fn is_async(&self) -> bool {
        self.function.item.sig.asyncness.is_some()
    }

    /// The key, from the arguments in scope; a `Result` if it is made by serde.
    pub(crate) fn key_expression(&self) -> TokenStream {
        let (support, by_serde) = (&self.support, self.options.by_serde);
        if let Some(key) = &self.options.key {
            return match by_serde {
                true => quote!(#support::key_by_serde(&#support::by_serde(&(#key)))),
                false => quote!(#support::ToKey::to_key(&(#key))),
            };
        }
        let kept = self.function.arguments.iter().filter(|argument| !argument.is_skipped);
        // Where an error says that something is no key.
        let span =
            kept.clone().next().map_or_else(Span::call_site, |argument| argument.name.span());
        let fields: Vec<TokenStream> = kept
            .map(|argument| match by_serde {
                true => argument.serializable(support),
                false => argument.borrowed(),
            })
            .collect();
        let key = match &fields[..] {
            [] => quote!(""),
            [field] => field.clone(),
            [..] => tuple(fields),
        };
        match by_serde {
            true => quote_spanned!(span=> #support::key_by_serde(&#key)),
            false => quote_spanned!(span=> #support::ToKey::to_key(&#key)),
        }
    }

    pub(crate) fn definition_call(&self) -> TokenStream {
        let (path, turbofish) = (self.path("definition"), &self.turbofish);
        quote!(#path #turbofish())
    }

    /// What one of the other calls is called.
    pub(crate) fn helper(&self, what: &str) -> Ident {
        let name = &self.function.item.sig.ident;
        if self.function.in_impl {
            format_ident!("{name}_{what}", span = name.span())
        } else {
            Ident::new(what, name.span())
        }
    }

    /// The same, as it is called.
    fn path(&self, what: &str) -> TokenStream {
        let helper = self.helper(what);
        if self.function.in_impl {
            return quote!(Self::#helper);
        }
        let name = &self.function.item.sig.ident;
        quote!(#name::#helper)
    }

    /// Inside the `enum`, whose own visibility decides, everything is public.
    pub(crate) fn vis(&self) -> TokenStream {
        let vis = &self.function.item.vis;
        if self.function.in_impl { vis.to_token_stream() } else { quote!(pub) }
    }

    /// What is said of a call, and of dropping its future if it has one.
    pub(crate) fn doc_of_future(&self, text: &str, dropped: &str) -> TokenStream {
        match self.is_async() {
            true => self.doc(&format!("{text}\n\n# Cancel safety\n\n{dropped}")),
            false => self.doc(text),
        }
    }

    fn doc(&self, text: &str) -> TokenStream {
        let cfgs = if self.function.in_impl { cfgs(&self.function.item.attrs) } else { Vec::new() };
        let allow = self.function.in_impl.then(|| {
            quote! {
                #[allow(
                    dead_code, clippy::too_many_arguments,
                    reason = "nobody needs all of them, and the function has as many"
                )]
            }
        });
        quote!(#(#cfgs)* #[doc = #text] #allow)
    }

    /// The function's signature under another name, with those inputs.
    pub(crate) fn signature(&self, name: &Ident, inputs: Inputs) -> Signature {
        let mut sig = self.function.item.sig.clone();
        sig.ident = name.clone();
        let skips_self = self.function.skips_self;
        let is_skipped = |input: &FnArg| match input {
            FnArg::Receiver(_) => skips_self,
            FnArg::Typed(typed) => {
                matches!(&*typed.pat, Pat::Ident(name) if self.function.skips(&name.ident))
            }
        };
        let kept = sig.inputs.into_iter().filter(|input| match (inputs, input) {
            (Inputs::All, _) | (Inputs::Shared, FnArg::Receiver(_)) => true,
            (Inputs::None, _) => false,
            (Inputs::OfKey, _) => !is_skipped(input),
            (Inputs::Shared, FnArg::Typed(_)) => is_skipped(input),
        });
        sig.inputs = kept.map(plain).collect();
        sig
    }
}

/// Which value is wanted.
#[derive(Clone, Copy)]
enum How {
    /// The current one, if there is one.
    Found,
    /// A new one.
    Anew,
}

/// Which inputs a signature has.
#[derive(Clone, Copy)]
pub(crate) enum Inputs {
    All,
    /// Those that are not skipped.
    OfKey,
    /// The receiver, and those that are skipped.
    Shared,
    None,
}

impl Argument {
    fn borrowed(&self) -> TokenStream {
        let name = &self.name;
        quote_spanned!(name.span()=> &#name)
    }

    fn serializable(&self, support: &TokenStream) -> TokenStream {
        let name = &self.name;
        quote_spanned!(name.span()=> #support::by_serde(&#name))
    }
}

/// The type and constant parameters, by name.
fn parameters(function: &Function) -> Vec<&Ident> {
    let parameters = function.item.sig.generics.params.iter();
    let named = parameters.filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(parameter) => Some(&parameter.ident),
        _ => None,
    });
    named.collect()
}

/// One tuple of all the fields, of tuples if there are many.
fn tuple(mut fields: Vec<TokenStream>) -> TokenStream {
    while fields.len() > FIELDS {
        fields = fields.chunks(FIELDS).map(|some| quote!((#(#some,)*))).collect();
    }
    quote!((#(#fields,)*))
}

fn cfgs(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}

/// The attributes of the function that is called, and those of the original: what is said to the
/// caller stays with the first, what is done to the body goes to the second.
fn split_attributes(attrs: &[Attribute]) -> (Vec<Attribute>, Vec<&Attribute>) {
    let is = |attr: &Attribute, names: &[&str]| names.iter().any(|name| attr.path().is_ident(name));
    let both = ["cfg", "allow", "expect", "warn", "deny", "forbid"];
    let of_call = ["doc", "must_use", "deprecated"];
    let call = attrs.iter().filter(|attr| is(attr, &both) || is(attr, &of_call));
    let original = attrs.iter().filter(|attr| !is(attr, &of_call)).collect();
    (call.cloned().map(allowing).collect(), original)
}

/// What is expected of the body may not be so of the call.
fn allowing(mut attr: Attribute) -> Attribute {
    if let Meta::List(list) = &mut attr.meta
        && list.path.is_ident("expect")
    {
        list.path = parse_quote!(allow);
    }
    attr
}

/// An input without what only the body needs to know.
fn plain(input: FnArg) -> FnArg {
    match input {
        FnArg::Receiver(mut receiver) => {
            receiver.mutability = None;
            FnArg::Receiver(receiver)
        }
        FnArg::Typed(mut typed) => {
            typed.attrs.clear();
            if let Pat::Ident(name) = &mut *typed.pat {
                name.mutability = None;
            }
            FnArg::Typed(typed)
        }
    }
}
