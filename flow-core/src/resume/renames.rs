//! Partitions that the user has renamed.

/// The renames that the user gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Renames(Vec<Rename>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rename {
    Pair(String, String),
    /// `OLD=NEW`. Only the names of the partitions show which `=` separates the two.
    Text(String),
}

impl Renames {
    pub(crate) fn add_pair(&mut self, old: String, new: String) {
        self.0.push(Rename::Pair(old, new));
    }

    pub(crate) fn add_text(&mut self, text: String) {
        self.0.push(Rename::Text(text));
    }

    /// The new name of a partition.
    pub(crate) fn of(&self, name: &str, listed: &[String]) -> Option<String> {
        let mut new = self.0.iter().filter_map(|rename| rename.of(name, listed));
        new.next()
    }

    /// The old name of a rename that matches no partition of a source: neither its old name, nor
    /// its new name, which is stored after a start with the same rename.
    pub(crate) fn unused(
        &self,
        is_used: impl Fn(&dyn Fn(&str, &[String]) -> bool) -> bool,
    ) -> Option<String> {
        let mut unused = self.0.iter().filter(|rename| {
            !is_used(&|name, listed| rename.of(name, listed).is_some() || rename.is_to(name))
        });
        unused.next().map(|rename| match rename {
            Rename::Pair(old, _) => old.clone(),
            Rename::Text(text) => text.split('=').next().unwrap_or_default().to_owned(),
        })
    }
}

impl Rename {
    fn is_to(&self, name: &str) -> bool {
        match self {
            Rename::Pair(_, new) => new == name,
            Rename::Text(text) => text
                .strip_suffix(name)
                .is_some_and(|old| old.ends_with('=')),
        }
    }

    fn of(&self, name: &str, listed: &[String]) -> Option<String> {
        match self {
            Rename::Pair(old, new) => (old == name).then(|| new.clone()),
            Rename::Text(text) => {
                let new = text.strip_prefix(name)?.strip_prefix('=')?;
                let is_listed = listed.iter().any(|listed| listed == new);
                (is_listed || text.matches('=').count() == 1).then(|| new.to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_the_sign_that_parts_them() {
        let text = |text: &str| Renames(vec![Rename::Text(text.to_owned())]);
        let listed =
            |names: &[&str]| -> Vec<String> { names.iter().map(ToString::to_string).collect() };
        assert_eq!(text("a=b").of("a", &[]), Some("b".to_owned()));
        assert_eq!(text("a=b").of("b", &[]), None);
        let dated = text("day=1/in=day=2/in");
        assert_eq!(
            dated.of("day=1/in", &listed(&["day=2/in"])),
            Some("day=2/in".to_owned())
        );
        assert_eq!(dated.of("day", &listed(&["day=2/in"])), None);
        let is_to = |name: &str| dated.0[0].is_to(name);
        assert!(is_to("day=2/in") && !is_to("day=1/in") && !is_to("y=2/in"));
    }
}
