//! Finds mistakes that are visible without types. It looks only at steps that keep a state, and at
//! sources of a parameter that is a flow, because other types have no methods of these names.

use proc_macro2::Span;

use crate::model::{Keeps, Name, Step};

/// All mistakes in the steps of a function.
pub(crate) fn steps(steps: &[Step<'_>], errors: &mut Vec<syn::Error>) {
    errors.extend(
        steps
            .iter()
            .filter_map(|step| step.borrowed_key.map(borrowed_key)),
    );
    let mut seen: Vec<(&str, Span, &Step<'_>)> = Vec::new();
    for step in steps.iter().filter(|step| step.keeps != Keeps::Nothing) {
        if let Name::Known(id, at) = &step.name
            && (id.is_empty() || id.contains('.'))
        {
            errors.push(bad_name(*at, id));
            continue;
        }
        // The closure may be called only once, so its sources are checked when the flow is built.
        let repeated_by = match (step.keeps, step.place.repeated_by) {
            (Keeps::Tokens, Some("closure")) => continue,
            (_, repeated_by) => repeated_by,
        };
        match (&step.name, repeated_by) {
            // A source without a name is named by its kind.
            (Name::Computed, _) => {}
            (Name::Missing, None) if step.keeps == Keeps::Tokens => {}
            (Name::Missing, None) => errors.push(anonymous(step)),
            (Name::Missing, Some(by)) => {
                errors.push(repeated(step.method.span(), step, "step", by))
            }
            (Name::Known(id, at), Some(by)) => errors.push(repeated(*at, step, id, by)),
            (Name::Known(id, at), None) => {
                let same = |(known, _, first): &&(&str, Span, &Step<'_>)| {
                    let (place, first) = (&step.place, &first.place);
                    known == id && first.scope == place.scope && !first.excludes(place)
                };
                match seen.iter().find(same) {
                    Some((_, at_first, first)) => {
                        let lets = first.named_by_let && step.named_by_let;
                        errors.push(twice(*at, id, *at_first, lets));
                    }
                    None => seen.push((id, *at, step)),
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
    let what = match step.keeps {
        Keeps::Tokens => "this source",
        _ => "this step keeps a state and",
    };
    let message = format!(
        "{what} stands in a {by}, so it may be made several times under one id\nhelp: {help}"
    );
    syn::Error::new(at, message)
}

fn twice(at: Span, id: &str, first: Span, lets: bool) -> syn::Error {
    let line = first.start().line;
    let help = match lets {
        true => {
            "each has its id from its `let`: give one of them another name, or add `.named(\"..\")`"
        }
        false => "give one of them an id of its own: `.named(\"..\")`",
    };
    let message = format!(
        "two steps keep their state under the id `{id}`: the first is on line {line}\nhelp: {help}"
    );
    syn::Error::new(at, message)
}

fn bad_name(at: Span, name: &str) -> syn::Error {
    let message = match name {
        "" => "a name can't be empty\nhelp: give it a word, or leave the call out".to_owned(),
        name => format!(
            "`{name}` can't be the name of a step: ids are names joined by periods, so it would \
             look like the id of a nested step\nhelp: use another character: `{}`",
            name.replace('.', "-")
        ),
    };
    syn::Error::new(at, message)
}

fn borrowed_key(at: Span) -> syn::Error {
    let message = "a key owns its data, but this is a reference into its record\n\
        help: return a copy: `.clone()`, or `.to_owned()` for a text";
    syn::Error::new(at, message)
}
