//! The attribute `#[cached]`: a function whose results are kept, by region and by argument.
//!
//! Use it through `beaker-cache`, which re-exports it; what it expands to is in `beaker-container`.

#![forbid(unsafe_code)]

mod definition;
mod expand;
mod function;
mod options;

use proc_macro::TokenStream;
use quote::quote;

/// TODO docs
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
