//! The attribute [`macro@cached`]: a function whose results are kept, by region and by argument.
//!
//! It is not for use alone: what it expands to is in `beaker-container`. `beaker-cache` has both, and
//! re-exports it.

#![forbid(unsafe_code)]

mod definition;
mod expand;
mod function;
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
