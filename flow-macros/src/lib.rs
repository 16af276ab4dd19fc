//! The `#[dataflow]` attribute.

use proc_macro::TokenStream;

/// See the facade.
#[proc_macro_attribute]
pub fn dataflow(_options: TokenStream, item: TokenStream) -> TokenStream {
    item
}
