//! What is known so far of the type that is traced.

use crate::schema::{Field, Fields, Primitive, Schema};

pub(super) const ROOT: usize = 0;
/// No type written by people is deeper or larger.
pub(super) const DEEPEST: usize = 48;
pub(super) const LARGEST: usize = 20_000;
/// A tuple of this length or more is assumed to have the same type at all places.
pub(super) const LONG: usize = 13;
/// The tree of the type's parts, and the state of a pass.
pub(super) struct Book {
    pub(super) nodes: Vec<Node>,
    /// Whether this pass has found anything new.
    pub(super) progress: bool,
    /// The node that this pass aims at.
    pub(super) target: usize,
    /// How many enclosing types are recursive occurrences. Inside them the pass only needs a value.
    pub(super) inside: usize,
    /// The node whose sample was accepted last in this pass. If the pass then fails, the cause may
    /// be a check after the value was made: `#[serde(try_from = "..")]`, `#[serde(deserialize_with
    /// = "..")]`.
    pub(super) sampled: Option<usize>,
}

pub(super) struct Node {
    pub(super) parent: Option<usize>,
    pub(super) depth: usize,
    /// The visitor of a struct or enum, which identifies the type.
    pub(super) visitor: &'static str,
    pub(super) kind: Kind,
    /// The index of the sample to play. As far as is known, the type accepts it.
    pub(super) sample: usize,
    /// The number of samples; 0 while none was played.
    pub(super) samples: usize,
    /// Whether an enclosing type refused all accepted samples.
    pub(super) exhausted: bool,
    pub(super) done: bool,
}

pub(super) enum Kind {
    Unknown,
    Any,
    /// A key that is asked for as the name of a field. Only code of `#[serde(flatten)]` does so.
    Identifier,
    Primitive(Primitive),
    Option(usize),
    List(usize),
    Array(usize, usize),
    Tuple(Vec<usize>),
    Map(usize, usize),
    Struct(&'static str, Parts),
    Enum(&'static str, Vec<(&'static str, Option<Parts>)>),
    /// Another occurrence of the named type of an enclosing node, with the number of that node.
    Recursive(&'static str, usize),
}

#[derive(Clone)]
pub(super) enum Parts {
    None,
    Newtype(usize),
    Tuple(Vec<usize>),
    Named(Vec<NamedPart>),
}

#[derive(Clone)]
pub(super) struct NamedPart {
    pub(super) name: &'static str,
    pub(super) node: usize,
    /// Whether it is known if the name is an alias.
    pub(super) checked: bool,
    pub(super) alias_of: Option<String>,
}

impl Book {
    pub(super) fn add(&mut self, parent: Option<usize>, depth: usize) -> usize {
        let too_large = depth > DEEPEST || self.nodes.len() > LARGEST;
        self.nodes.push(Node {
            parent,
            depth,
            visitor: "",
            kind: if too_large { Kind::Any } else { Kind::Unknown },
            sample: 0,
            samples: 0,
            exhausted: false,
            done: too_large,
        });
        self.nodes.len() - 1
    }

    pub(super) fn child(&mut self, of: usize) -> usize {
        let depth = self.nodes[of].depth + 1;
        self.add(Some(of), depth)
    }

    pub(super) fn children(&mut self, of: usize, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.child(of)).collect()
    }

    pub(super) fn is_unknown(&self, at: usize) -> bool {
        matches!(self.nodes[at].kind, Kind::Unknown)
    }

    pub(super) fn set(&mut self, at: usize, kind: Kind) {
        self.nodes[at].kind = kind;
        self.progress = true;
    }

    /// Whether everything below a node is known.
    pub(super) fn is_done(&mut self, at: usize) -> bool {
        if self.nodes[at].done {
            return true;
        }
        let below = match &self.nodes[at].kind {
            Kind::Unknown => return false,
            Kind::Any | Kind::Identifier | Kind::Primitive(_) | Kind::Recursive(..) => Vec::new(),
            Kind::Option(inner) | Kind::List(inner) | Kind::Array(inner, _) => vec![*inner],
            Kind::Tuple(parts) => parts.clone(),
            Kind::Map(key, value) => vec![*key, *value],
            Kind::Struct(_, parts) => match parts.nodes() {
                Some(nodes) => nodes,
                None => return false,
            },
            Kind::Enum(_, variants) => {
                let mut below = Vec::new();
                for (_, parts) in variants {
                    match parts.as_ref().and_then(Parts::nodes) {
                        Some(mut nodes) => below.append(&mut nodes),
                        None => return false,
                    }
                }
                below
            }
        };
        let done = below.into_iter().all(|node| self.is_done(node));
        self.nodes[at].done = done;
        done
    }

    /// Advances the node that was sampled last to its next sample. Returns false if there is none.
    pub(super) fn try_another_sample(&mut self) -> bool {
        let Some(at) = self.sampled.filter(|at| !self.nodes[*at].exhausted) else {
            return false;
        };
        let node = &mut self.nodes[at];
        node.sample += 1;
        if node.sample >= node.samples {
            // The samples of this node were not the cause, so the first one is as good as any.
            node.sample = 0;
            node.exhausted = true;
        }
        true
    }

    /// Marks what this pass could not find out as impossible to trace.
    pub(super) fn give_up(&mut self) {
        let at = self.target;
        let unknown = self.child(at);
        match &mut self.nodes[at].kind {
            Kind::Enum(_, variants) if variants.iter().any(|(_, parts)| parts.is_none()) => {
                if let Some((_, parts)) = variants.iter_mut().find(|(_, parts)| parts.is_none()) {
                    *parts = Some(Parts::Newtype(unknown));
                    self.nodes[unknown].kind = Kind::Any;
                }
            }
            kind => {
                *kind = Kind::Any;
                self.nodes[at].done = true;
            }
        }
    }

    /// Whether this pass should aim at a node.
    pub(super) fn wants(&mut self, at: usize) -> bool {
        self.inside == 0 && !self.is_done(at)
    }

    /// The nearest enclosing node of the same type.
    pub(super) fn same_around(&self, at: usize, visitor: &'static str) -> Option<usize> {
        let around = std::iter::successors(self.nodes[at].parent, |at| self.nodes[*at].parent);
        around
            .into_iter()
            .find(|at| self.nodes[*at].visitor == visitor)
    }

    pub(super) fn schema(&self, at: usize) -> Schema {
        let boxed = |at: usize| Box::new(self.schema(at));
        match &self.nodes[at].kind {
            Kind::Unknown | Kind::Any | Kind::Identifier => Schema::Any,
            Kind::Primitive(primitive) => Schema::Primitive(*primitive),
            Kind::Option(inner) => Schema::Option(boxed(*inner)),
            Kind::List(inner) => Schema::List(boxed(*inner)),
            Kind::Array(inner, length) => Schema::Array(boxed(*inner), *length),
            Kind::Tuple(parts) => self.tuple(parts),
            // The fields of `#[serde(flatten)]` can't be traced.
            Kind::Map(key, _) if matches!(self.nodes[*key].kind, Kind::Identifier) => Schema::Any,
            Kind::Map(key, value) => Schema::Map(boxed(*key), boxed(*value)),
            Kind::Struct(name, parts) => Schema::Struct {
                name: (*name).to_owned(),
                fields: self.fields(parts),
            },
            Kind::Enum(name, variants) => Schema::Enum {
                name: (*name).to_owned(),
                variants: variants
                    .iter()
                    .map(|(name, parts)| {
                        let fields = parts.as_ref().map(|parts| self.fields(parts));
                        ((*name).to_owned(), fields.unwrap_or(Fields::None))
                    })
                    .collect(),
            },
            Kind::Recursive(name, _) => Schema::Recursive((*name).to_owned()),
        }
    }

    pub(super) fn tuple(&self, parts: &[usize]) -> Schema {
        let mut parts: Vec<Schema> = parts.iter().map(|part| self.schema(*part)).collect();
        let same = parts.windows(2).all(|pair| pair[0] == pair[1]);
        match parts.len() {
            length @ 3.. if same => Schema::Array(Box::new(parts.remove(0)), length),
            _ => Schema::Tuple(parts),
        }
    }

    pub(super) fn fields(&self, parts: &Parts) -> Fields {
        match parts {
            Parts::None => Fields::None,
            Parts::Newtype(inner) => Fields::Newtype(Box::new(self.schema(*inner))),
            Parts::Tuple(parts) => {
                Fields::Tuple(parts.iter().map(|part| self.schema(*part)).collect())
            }
            Parts::Named(parts) => Fields::Named(
                parts
                    .iter()
                    .filter(|part| part.alias_of.is_none())
                    .map(|part| Field {
                        name: part.name.to_owned(),
                        schema: self.schema(part.node),
                        aliases: parts
                            .iter()
                            .filter(|other| other.alias_of.as_deref() == Some(part.name))
                            .map(|other| other.name.to_owned())
                            .collect(),
                    })
                    .collect(),
            ),
        }
    }

    /// Records whether a name has been checked for being an alias, and returns its part.
    pub(super) fn check_name(
        &mut self,
        at: usize,
        variant: Option<usize>,
        index: usize,
        checked: bool,
    ) -> Option<&mut NamedPart> {
        let Some(Parts::Named(parts)) = self.parts_mut(at, variant) else {
            return None;
        };
        let part = parts.get_mut(index)?;
        part.checked = checked;
        Some(part)
    }

    /// The parts of the struct, or of a variant of the enum, at a node.
    pub(super) fn parts_mut(&mut self, at: usize, variant: Option<usize>) -> Option<&mut Parts> {
        match (&mut self.nodes[at].kind, variant) {
            (Kind::Struct(_, parts), None) => Some(parts),
            (Kind::Enum(_, variants), Some(index)) => variants.get_mut(index)?.1.as_mut(),
            _ => None,
        }
    }
}

impl Parts {
    /// The nodes of all parts; `None` while names are unchecked.
    pub(super) fn nodes(&self) -> Option<Vec<usize>> {
        match self {
            Parts::None => Some(Vec::new()),
            Parts::Newtype(inner) => Some(vec![*inner]),
            Parts::Tuple(parts) => Some(parts.clone()),
            Parts::Named(parts) => {
                let checked = parts.iter().all(|part| part.checked);
                checked.then(|| parts.iter().map(|part| part.node).collect())
            }
        }
    }
}

pub(super) fn named_parts(book: &mut Book, at: usize, names: &'static [&'static str]) -> Parts {
    let part = |book: &mut Book, name| NamedPart {
        name,
        node: book.child(at),
        checked: false,
        alias_of: None,
    };
    Parts::Named(names.iter().map(|name| part(book, *name)).collect())
}
