//! The code that stands for `#[derive(SessionData)]`.
//
// 1. A change is of one version: `before = 3` is what the step from version 2 to version 3 makes.
// 2. In a step values are dropped first, then renamed, all at once, then converted under their new
//    names. The function of `migrate` comes last, and sees what the attributes left.
// 3. What a field is called in a version is what it was before the next version that renamed it; if
//    none did since, it is called as serde stores it.

mod attributes;
mod history;
mod names;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::token::Comma;
use syn::{Data, DeriveInput, Error, Expr, Fields, Ident, Path, Result, parse_quote};

use self::attributes::StructOptions;
use self::history::{Conversion, Field, History, Step};
use self::names::{Name, Naming};

pub(crate) fn session_data(item: TokenStream) -> Result<TokenStream> {
    let item: DeriveInput = syn::parse2(item)?;
    let options = StructOptions::of(&item)?;
    let fields = fields(&item)?;
    let history = History::of(&options, &fields)?;
    Ok(implementation(&item, &options, &history))
}

/// The fields that are stored each under a name of its own.
fn fields(item: &DeriveInput) -> Result<Vec<Field<'_>>> {
    if let Some(lifetime) = item.generics.lifetimes().next() {
        let message = "what is read of a session is its own: write `String` for `&str`";
        return Err(Error::new_spanned(lifetime, message));
    }
    let naming = Naming::of(&item.attrs)?;
    let mut fields = Vec::new();
    for field in named_fields(item)? {
        let changes = attributes::changes(field)?;
        match (naming.of_field(field)?, changes.first()) {
            (Name::Stored(name), _) => {
                let is_plain = !names::has_its_own_form(field);
                let stored_type = is_plain.then_some(&field.ty);
                fields.push(Field { name, stored_type, changes });
            }
            (Name::Nowhere(why), Some(change)) => {
                return Err(Error::new(change.before.span, why));
            }
            (Name::Nowhere(_), None) => {}
        }
    }
    Ok(fields)
}

fn named_fields(item: &DeriveInput) -> Result<&Punctuated<syn::Field, Comma>> {
    if let Data::Struct(data) = &item.data
        && let Fields::Named(fields) = &data.fields
    {
        return Ok(&fields.named);
    }
    Err(Error::new_spanned(&item.ident, "a whole session is a struct with named fields"))
}

fn implementation(
    item: &DeriveInput,
    options: &StructOptions,
    history: &History<'_>,
) -> TokenStream {
    let krate = options.krate.clone().unwrap_or_else(|| parse_quote!(::beaker_session));
    // A layout that never changed uses neither.
    let (from, values) = (local("_from"), local("_values"));
    let version = options.version.number;
    let steps = history.steps().map(|(before, step)| {
        let (step_from, step) = (before - 1, step.code(&krate, &values));
        quote!(if #from == #step_from { #step })
    });
    let rest = options.migrate.iter().map(|migrate| call(migrate, &krate, &from, &values));
    let name = &item.ident;
    let (impl_generics, type_generics, _) = item.generics.split_for_impl();
    let bounds = bounds(item, &krate);
    quote! {
        #[automatically_derived]
        impl #impl_generics #krate::SessionData for #name #type_generics #bounds {
            const VERSION: u32 = #version;

            fn migrate(#from: u32, #values: &mut #krate::Data) {
                #(#steps)*
                #(#rest)*
            }
        }
    }
}

/// A name that the functions of the attributes cannot see.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The call of a function that may be written as a closure.
fn call(migrate: &Expr, krate: &Path, from: &Ident, values: &Ident) -> TokenStream {
    let migrate_by = local("migrate_by");
    quote! {
        let #migrate_by: fn(u32, &mut #krate::Data) = #migrate;
        #migrate_by(#from, #values);
    }
}

/// The struct's own bounds, and what the trait asks of a type whose parameters are not known here.
fn bounds(item: &DeriveInput, krate: &Path) -> TokenStream {
    let mut generics = item.generics.clone();
    if generics.params.is_empty() {
        return generics.where_clause.into_token_stream();
    }
    generics.make_where_clause().predicates.push(parse_quote! {
        Self: #krate::layout::Serialize + #krate::layout::DeserializeOwned
    });
    generics.where_clause.into_token_stream()
}

impl Step<'_> {
    fn code(&self, krate: &Path, values: &Ident) -> TokenStream {
        let mut code = TokenStream::new();
        if !self.drops.is_empty() {
            let drops = &self.drops;
            code.extend(quote!(#krate::layout::remove(#values, &[#(#drops),*]);));
        }
        if !self.renames.is_empty() {
            let renames = self.renames.iter().map(|(was, name)| quote!((#was, #name)));
            code.extend(quote!(#krate::layout::rename(#values, &[#(#renames),*]);));
        }
        for Conversion { name, by, into } in &self.conversions {
            let into = into.map_or_else(|| quote!(_), ToTokens::to_token_stream);
            code.extend(quote!(#krate::layout::convert::<_, #into>(#values, #name, #by);));
        }
        code
    }
}
