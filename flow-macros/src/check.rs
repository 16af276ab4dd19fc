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
            (Name::Missing, Some(by)) => {
                errors.push(repeated(step.method.span(), step, "step", by))
            }
            (Name::Known(id, at), Some(by)) => errors.push(repeated(*at, step, id, by)),
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
    let help = match step.gives_two {
        true => "pass a named function, or bind the step with `let (name, dead) = ..`",
        false => {
            "pass a named function, bind the step with `let name = ..`, or add `.named(\"..\")`"
        }
    };
    let message = format!("this step keeps a state, but has no id to keep it under\nhelp: {help}");
    syn::Error::new(step.method.span(), message)
}

fn repeated(at: Span, step: &Step<'_>, id: &str, by: &str) -> syn::Error {
    let help = match step.gives_two {
        true => format!(
            "give each a scope of its own: `flow::scope(format!(\"{id}-{{name}}\"), || ..)`"
        ),
        false => format!("give each its own id: `.named(format!(\"{id}-{{name}}\"))`"),
    };
    let message = format!(
        "this step keeps a state and stands in a {by}, so it may be made several times under one id\nhelp: {help}"
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
