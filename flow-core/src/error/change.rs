//! How a type differs from the one that was stored, and what to do about it.

use std::fmt;

use flow_store::{Difference, Rewrite, Schema};

/// How a type differs from the one that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeChange {
    /// The id of the step in the store.
    pub stored_id: String,
    /// The differences, field by field. Empty if the types look the same or can't be traced.
    pub differences: Vec<Difference>,
    /// The stored type, if it is known.
    pub stored: Option<Schema>,
    /// The types that the flow can convert. None of them is the stored one.
    pub converted_from: Vec<Schema>,
    /// Whether the type looks as it did when its values were stored.
    pub unchanged: bool,
}

impl TypeChange {
    /// A change of which nothing is known.
    pub(crate) fn unknown(stored_id: String) -> Self {
        TypeChange {
            stored_id,
            differences: Vec::new(),
            stored: None,
            converted_from: Vec::new(),
            unchanged: false,
        }
    }

    /// The type looks the same.
    pub(crate) fn none(stored_id: String) -> Self {
        TypeChange {
            unchanged: true,
            ..TypeChange::unknown(stored_id)
        }
    }

    pub(crate) fn of(stored_id: String, rewrite: &Rewrite, stored: Option<&Schema>) -> Self {
        TypeChange {
            stored_id,
            differences: rewrite.differences.clone(),
            stored: stored.cloned(),
            converted_from: Vec::new(),
            unchanged: false,
        }
    }

    /// The advice to go back to the stored type.
    pub(crate) fn back(&self) -> String {
        match &self.stored {
            Some(stored) => format!("go back to the type that is stored: {stored}"),
            None => "go back to the type that was stored".to_owned(),
        }
    }

    /// Notes beside the differences, given serde's error. Each begins with a line end.
    pub(crate) fn notes(&self, cause: &str) -> String {
        let mut notes = String::new();
        if !self.converted_from.is_empty() {
            let types: Vec<_> = self.converted_from.iter().map(Schema::to_string).collect();
            notes += &format!(
                "\nnote: `.migrate_from` reads {}, which is not what is stored",
                types.join(" or ")
            );
        }
        if let (true, Some(field)) = (self.unchanged, missing_field(cause)) {
            notes += &format!(
                "\nnote: the type is as it was: it has written a value without `{field}`, and \
                 reads none without it"
            );
        } else if self.unchanged {
            notes += "\nnote: the type looks as it did when this was stored: it has written what \
                      it can't read, or one of its types reads less than it did";
        }
        notes
    }

    /// What serde attributes could do, given serde's error.
    fn hints(&self, cause: &str) -> Vec<String> {
        let mut hints = Vec::new();
        if let Some((from, to)) = self.maybe_renamed() {
            hints.push(format!(
                "if `{from}` is now called `{to}`, `#[serde(alias = \"{from}\")]` on it reads what \
                 is stored"
            ));
        }
        if let (true, Some(field)) = (self.unchanged, missing_field(cause)) {
            hints.push(format!(
                "put `#[serde(default)]` on `{field}`, which reads what is stored"
            ));
        } else if !self.unchanged && cause.contains("missing field") {
            let hint = "`#[serde(default)]` on a new field reads what was stored without it";
            hints.push(hint.to_owned());
        }
        hints
    }

    /// The advice to convert a state. Types that look the same can't be converted, so they need
    /// another form first.
    pub(crate) fn conversion(&self) -> &'static str {
        match self.differences.is_empty() {
            true => {
                "put the type into a struct with one field, `struct New { v2: .. }`, which the \
                 store can tell from what is stored, and convert that with \
                 `.migrate_from::<Old>(..)`, "
            }
            false => "convert what is stored with `.migrate_from::<Old>(..)`, ",
        }
    }

    /// All ways out: serde attributes, then `first`, then to `drop` the state. If
    /// `#[serde(default)]` is enough, it is the only one, because nothing need be lost.
    pub(crate) fn ways_out(&self, cause: &str, first: &str, drop: &str) -> String {
        let mut ways = self.hints(cause);
        let id = &self.stored_id;
        let last = match (self.unchanged, missing_field(cause)) {
            (true, Some(_)) => return ways.join("\n"),
            (true, None) => "have its `Deserialize` read what is stored".to_owned(),
            (false, _) => self.back(),
        };
        ways.push(format!("{first}{drop} with `--drop-state {id}`, or {last}"));
        ways.join("\n")
    }

    /// A field that is gone and one that is new, in the same place and of the same type.
    fn maybe_renamed(&self) -> Option<(&str, &str)> {
        let mut pairs = self.differences.iter().filter_map(|gone| {
            let Difference::Removed { path, schema } = gone else {
                return None;
            };
            let (place, from) = path.rsplit_once('.')?;
            let mut same = self.differences.iter().filter_map(|new| match new {
                Difference::Added {
                    path,
                    schema: other,
                } if other == schema => path.strip_prefix(place)?.strip_prefix('.'),
                _ => None,
            });
            Some((from, same.next()?))
        });
        let pair = pairs.next()?;
        pairs.next().is_none().then_some(pair)
    }
}

/// The name of the field that serde misses.
fn missing_field(cause: &str) -> Option<&str> {
    let (_, rest) = cause.split_once("missing field `")?;
    rest.split_once('`').map(|(field, _)| field)
}

impl fmt::Display for TypeChange {
    /// Prints each difference on a line, each begun with a line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            write!(f, "\n  {difference}")?;
        }
        Ok(())
    }
}
