//! The place in the user's code where a step is made, and the names around it.
//!
//! `#[dataflow]` puts one guard at the start of a function: its name, and a table from call place
//! to id. While the function runs, the guard is on a stack of this thread. So dataflows that call
//! dataflows nest their names. The user's own code is not changed.

use std::{borrow::Cow, cell::RefCell, panic::Location};

/// The facts that `#[dataflow]` gathers of one function: its name and the ids of the calls in its
/// body.
pub struct Sites {
    /// The function's name.
    pub name: &'static str,
    /// The name it had before, from `#[dataflow(renamed_from = "..")]`.
    pub renamed_from: Option<&'static str>,
    /// The place of each method call that may make a step, and the step's id.
    pub rows: &'static [(&'static Location<'static>, &'static str)],
}

/// The place that calls this function.
///
/// For a row of [`Sites`], the macro gives this call the span of the user's method name. So the
/// place equals the caller that the method sees.
#[track_caller]
#[must_use]
pub const fn here() -> &'static Location<'static> {
    Location::caller()
}

struct Frame {
    name: Cow<'static, str>,
    renamed_from: Option<&'static str>,
    sites: Option<&'static Sites>,
}

thread_local!(static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) });

/// Removes the newest frame when it is dropped, also on `?`, `return` and unwinding.
pub struct Scope(());

impl Drop for Scope {
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(Vec::pop);
    }
}

/// Enters a `#[dataflow]` function.
#[must_use]
pub fn enter(sites: &'static Sites) -> Scope {
    push(Frame {
        name: Cow::Borrowed(sites.name),
        renamed_from: sites.renamed_from,
        sites: Some(sites),
    })
}

fn push(frame: Frame) -> Scope {
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    Scope(())
}

/// Puts a name before the ids of all steps that `build` makes.
///
/// A dataflow that is used twice makes the same ids twice. A scope around each use makes them
/// different: `flow::scope("eu", || carts(eu_events))` keeps its state under `eu.carts.joiner`.
pub fn scope<R>(name: impl Into<String>, build: impl FnOnce() -> R) -> R {
    let _scope = push(Frame {
        name: Cow::Owned(name.into()),
        renamed_from: None,
        sites: None,
    });
    build()
}

/// The names around a step at the moment it is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ScopePath {
    /// The scopes from the outside in, without the outermost dataflow; each with its former name.
    scopes: Vec<(String, Option<String>)>,
}

impl ScopePath {
    /// `id` below this path: `carts.joiner`.
    pub(crate) fn join(&self, id: &str) -> String {
        let mut path = String::new();
        for (name, _) in &self.scopes {
            path.push_str(name);
            path.push('.');
        }
        path + id
    }

    /// The ids that a step may have had before, if it is now called `id` and was called one of
    /// `former_ids`:
    /// - below this path, with the present and former names of its scopes;
    /// - a former id by itself, for a step that was not nested, or was nested elsewhere.
    ///
    /// The present id is not among them.
    pub(crate) fn former(&self, id: &str, former_ids: &[String]) -> Vec<String> {
        let mut paths = vec![String::new()];
        for (name, former) in &self.scopes {
            let mut longer = Vec::new();
            for path in &paths {
                for name in std::iter::once(name).chain(former) {
                    longer.push(format!("{path}{name}."));
                }
            }
            paths = longer;
        }
        let present = self.join(id);
        let mut names = Vec::new();
        for path in &paths {
            for id in std::iter::once(id).chain(former_ids.iter().map(String::as_str)) {
                let name = format!("{path}{id}");
                if name != present && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        for name in former_ids {
            if *name != present && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The scopes and dataflows around it, each with the name that it had before.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let scopes = self.scopes.iter();
        scopes.map(|(name, former)| (name.as_str(), former.as_deref()))
    }

    pub(crate) fn is_nested(&self) -> bool {
        !self.scopes.is_empty()
    }
}

/// The path of the step that is being made now.
pub(crate) fn path() -> ScopePath {
    FRAMES.with_borrow(|frames| ScopePath {
        scopes: frames
            .iter()
            .enumerate()
            // The outermost dataflow is the flow itself: its name is in no id.
            .filter(|(depth, frame)| *depth > 0 || frame.sites.is_none())
            .map(|(_, frame)| {
                let former = frame.renamed_from.map(str::to_owned);
                (frame.name.clone().into_owned(), former)
            })
            .collect(),
    })
}

/// The name of the outermost dataflow.
pub(crate) fn outermost() -> Option<String> {
    FRAMES.with_borrow(|frames| Some(frames.first()?.name.clone().into_owned()))
}

/// The id that `#[dataflow]` found for the call at `place`, if it saw that call.
pub(crate) fn id_at(place: &Location<'_>) -> Option<&'static str> {
    FRAMES.with_borrow(|frames| {
        let sites = frames.iter().rev().find_map(|frame| frame.sites)?;
        let mut ids = sites.rows.iter().filter(|(at, _)| *at == place);
        let (_, id) = ids.next()?;
        // In a body that a macro has made, all calls may have one place. Then the table can't tell
        // their ids apart.
        ids.all(|(_, other)| other == id).then_some(*id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(scopes: &[(&str, Option<&str>)]) -> ScopePath {
        ScopePath {
            scopes: scopes
                .iter()
                .map(|(name, former)| ((*name).into(), former.map(str::to_owned)))
                .collect(),
        }
    }

    #[test]
    fn former_names_cover_renamed_scopes_and_steps() {
        let path = path_of(&[("eu", None), ("carts", Some("baskets"))]);
        assert_eq!(path.join("joiner"), "eu.carts.joiner");
        assert_eq!(
            path.former("joiner", &["join".into()]),
            [
                "eu.carts.join",
                "eu.baskets.joiner",
                "eu.baskets.join",
                "join"
            ]
        );
        assert!(path_of(&[]).former("joiner", &[]).is_empty());
    }

    #[test]
    fn scopes_nest_and_end_on_unwinding() {
        let outer = scope("a", || {
            let caught = std::panic::catch_unwind(|| scope("b", || panic!("user code")));
            assert!(caught.is_err());
            scope("c", path)
        });
        assert_eq!(outer.join("x"), "a.c.x");
        assert!(!path().is_nested());
    }
}
