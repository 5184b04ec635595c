//! The attribute [`macro@cached`]: a function whose results are kept, by region and by argument. And
//! [`macro@SessionData`], for a session that is one struct, whatever version of the program stored it.
//!
//! They are not for use alone: what they expand to is in `beaker-container` and in `beaker-session`.
//! `beaker-cache` re-exports the first, `beaker-session` the second.

#![forbid(unsafe_code)]

mod definition;
mod expand;
mod function;
mod layout;
mod many;
mod options;

use proc_macro::TokenStream;
use quote::quote;

// What it shows is tested in `beaker-macros-tests`, which has what that needs.
#[cfg_attr(not(doctest), doc = include_str!("cached.md"))]
#[proc_macro_attribute]
pub fn cached(options: TokenStream, item: TokenStream) -> TokenStream {
    let item: proc_macro2::TokenStream = item.into();
    match expand::cached(options.into(), item.clone()) {
        Ok(code) => code.into(),
        Err(error) => {
            let error = error.into_compile_error();
            // With the function itself, so that its callers raise no further errors.
            quote!(#error #item).into()
        }
    }
}

// What it shows is tested in `beaker-session`.
#[cfg_attr(not(doctest), doc = include_str!("session_data.md"))]
#[proc_macro_derive(SessionData, attributes(session))]
pub fn session_data(item: TokenStream) -> TokenStream {
    match layout::session_data(item.into()) {
        Ok(code) => code.into(),
        Err(error) => error.into_compile_error().into(),
    }
}
