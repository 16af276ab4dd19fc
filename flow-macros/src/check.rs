//! What can be seen to be wrong without knowing a type. Only steps that keep a state are looked at: their methods' names
//! mean nothing to other types.

use proc_macro2::Span;

use crate::model::{Name, Place, Step};

/// Everything that is wrong with the steps of a function.
pub(crate) fn steps(steps: &[Step<'_>], errors: &mut Vec<syn::Error>) {
    let mut seen: Vec<(&str, Span, &Place)> = Vec::new();
    for step in steps.iter().filter(|step| step.keeps_state) {
        match (&step.name, step.place.repeated_by) {
            (Name::Computed, _) => {}
            (Name::Missing, None) => errors.push(anonymous(step)),
            (Name::Missing, Some(by)) => errors.push(repeated(step.method.span(), "step", by)),
            (Name::Known(id, at), Some(by)) => errors.push(repeated(*at, id, by)),
            (Name::Known(id, at), None) => {
                let same = |(known, _, place): &&(&str, Span, &Place)| {
                    known == id && place.scope == step.place.scope && !place.excludes(&step.place)
                };
                match seen.iter().find(same) {
                    Some((_, first, _)) => errors.push(twice(*at, id, *first)),
                    None => seen.push((id, *at, &step.place)),
                }
            }
        }
    }
}

fn anonymous(step: &Step<'_>) -> syn::Error {
    let message = "this step keeps a state, but has no id to keep it under\n\
        help: pass a named function, bind the step with `let name = ..`, or add `.named(\"..\")`";
    syn::Error::new(step.method.span(), message)
}

fn repeated(at: Span, id: &str, by: &str) -> syn::Error {
    let message = format!(
        "this step keeps a state and stands in a {by}, so it may be made several times under one id\n\
        help: give each its own id: `.named(format!(\"{id}-{{name}}\"))`"
    );
    syn::Error::new(at, message)
}

fn twice(at: Span, id: &str, first: Span) -> syn::Error {
    let line = first.start().line;
    let message = format!(
        "two steps keep their state under the id `{id}`: the first is on line {line}\n\
        help: give one of them an id of its own: `.named(\"..\")`"
    );
    syn::Error::new(at, message)
}
