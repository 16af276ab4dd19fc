//! Makes the tokens for the compiler: the user's item, followed by its errors.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};

use crate::{
    check,
    model::{self, Name, Step},
    parse::{self, Function, Options},
};

/// The expansion of `#[dataflow(options)] item`.
pub(crate) fn dataflow(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Vec::new();
    let options = parse::options(options, &mut errors);
    let mut output = item.clone();
    match parse::function(item) {
        None => errors.push(no_function()),
        Some(Function {
            qualifier: Some(word),
            ..
        }) => errors.push(not_plain(&word)),
        Some(function) => {
            // A body that can't be parsed stays as it is, because rustc explains the error better.
            if let Some(body) = parse::body(function.body.stream()) {
                let steps = model::steps(&body.statements, &function.flows);
                check::steps(&steps, &mut errors);
                let guard = guard(&options, &function.name, &steps);
                output = with_guard(&function, &body, guard);
            }
        }
    }
    output.extend(errors.iter().map(syn::Error::to_compile_error));
    output
}

/// The function with the guard as its first statement.
fn with_guard(function: &Function, body: &parse::Body, guard: TokenStream) -> TokenStream {
    let (front, rest) = (&body.front, &body.rest);
    let mut with_guard = Group::new(function.body.delimiter(), quote!(#front #guard #rest));
    with_guard.set_span(function.body.span());
    let mut output = function.head.clone();
    output.extend([TokenTree::Group(with_guard)]);
    output
}

/// The statement that enters the scope of the dataflow until the function returns.
fn guard(options: &Options, name: &Ident, steps: &[Step<'_>]) -> TokenStream {
    let root = match &options.facade {
        Some(path) => quote!(#path::__private),
        None => quote!(::flow::__private),
    };
    let name = syn::ext::IdentExt::unraw(name).to_string();
    let renamed_from = match &options.renamed_from {
        Some(old) => quote!(::core::option::Option::Some(#old)),
        None => quote!(::core::option::Option::None),
    };
    let rows = steps.iter().filter_map(|step| match &step.name {
        Name::Known(id, _) => Some(row(&root, step.method.span(), id)),
        Name::Computed | Name::Missing => None,
    });
    // The user's code can't see the name, because of the span.
    quote_spanned! {Span::mixed_site()=>
        let _scope = #root::enter(&const {
            #root::Sites {
                name: #name,
                renamed_from: #renamed_from,
                rows: &[#(#rows),*],
            }
        });
    }
}

/// The id of the step that the method at `at` makes. All tokens have that span, so `here()` has the
/// same caller location as the method.
fn row(root: &TokenStream, at: Span, id: &str) -> TokenStream {
    let root = root.clone().into_iter().map(|mut token| {
        token.set_span(at);
        token
    });
    quote_spanned!(at=> (#(#root)*::here(), #id))
}

fn no_function() -> syn::Error {
    let message = "`#[dataflow]` goes on a function with a body\n\
        help: a flow is `fn name(flow: &Flow, args: &Args) { .. }`, \
        a piece of one `fn name(input: Stream<A>) -> Stream<B> { .. }`";
    // The error points at the attribute, which is in the wrong place.
    syn::Error::new(Span::call_site(), message)
}

fn not_plain(word: &Ident) -> syn::Error {
    let message = format!(
        "a dataflow can't be `{word}`: the function only declares the steps, and runs when the \
         flow is built\n\
        help: remove `{word}`; the work is done by the functions that the steps are given"
    );
    syn::Error::new(word.span(), message)
}
