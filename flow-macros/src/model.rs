//! Finds the calls in a body that make steps, and learns about them what needs no types.

use std::ptr;

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, Expr, ExprCall, ExprClosure, ExprForLoop, ExprIf, ExprLit, ExprLoop, ExprMatch,
    ExprMethodCall, ExprWhile, Item, Lit, Local, Pat, Stmt,
    ext::IdentExt,
    visit::{self, Visit},
};

/// A method call that makes a step, if its receiver is a stream.
pub(crate) struct Step<'a> {
    pub(crate) method: &'a Ident,
    pub(crate) keeps: Keeps,
    /// Whether it returns two streams, so that no method can be called on its result.
    pub(crate) gives_two: bool,
    pub(crate) name: Name,
    /// Whether a `let` has given it its name.
    pub(crate) named_by_let: bool,
    /// The place at which a key that borrows from its record is returned, if it is visible.
    pub(crate) borrowed_key: Option<Span>,
    pub(crate) place: Place,
}

/// What the store keeps for a step, as far as the macro needs it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Nothing,
    /// A token for each partition. The step is a source.
    Tokens,
    States,
}

/// The name of a step.
#[derive(Clone)]
pub(crate) enum Name {
    /// This name, written at that place.
    Known(String, Span),
    /// A name that `.named(..)` computes.
    Computed,
    /// No name was found.
    Missing,
}

/// The place of a call in a body.
#[derive(Clone, Default)]
pub(crate) struct Place {
    /// The scopes around it, as part of the id.
    pub(crate) scope: String,
    /// The construct that may run it more than once under one id.
    pub(crate) repeated_by: Option<&'static str>,
    /// The `if`s and `match`es around it, each with its arm.
    arms: Vec<(usize, usize)>,
}

impl Place {
    /// Whether a run of the function makes at most one of the two calls.
    pub(crate) fn excludes(&self, other: &Place) -> bool {
        let differ = |a: &(usize, usize), b: &(usize, usize)| a.0 == b.0 && a.1 != b.1;
        self.arms
            .iter()
            .any(|a| other.arms.iter().any(|b| differ(a, b)))
    }
}

/// What a method does, judged by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Begins a stream.
    Source,
    /// Keeps a state; its first argument is a function.
    Stateful,
    /// Keeps nothing; its first argument is a function.
    Stateless,
    /// Keeps nothing and takes no function.
    Plain,
    /// Has the name of its kind, unless `named` gives it another one.
    Unnamed,
    /// Continues the same step.
    Same,
}

/// The names of the methods. If a step keeps nothing, it does no harm that other types have methods
/// of this name: only a step made at that place looks up its row.
pub(crate) const METHODS: &[(Kind, &[&str])] = &[
    (Kind::Source, &["source", "source_or_dead"]),
    (
        Kind::Stateful,
        &[
            "stateful_flat_map",
            "stateful_map",
            "stateful_map_with_key",
            "stateful_map_opt",
            "try_stateful_map",
            "try_stateful_map_or_dead",
            "try_stateful_map_with",
            "try_stateful_map_with_key",
        ],
    ),
    (
        Kind::Stateless,
        &[
            "branch",
            "filter",
            "filter_map",
            "filter_map_values",
            "filter_values",
            "flat_map",
            "flat_map_values",
            "inspect",
            "inspect_values",
            "into_keyed",
            "key_on",
            "map",
            "map_values",
            "rekey_on",
            "try_filter_map",
            "try_filter_map_or_dead",
            "try_filter_map_with",
            "try_map",
            "try_map_or_dead",
            "try_map_with",
        ],
    ),
    (Kind::Plain, &["drop_key", "drop_time", "merge"]),
    (Kind::Unnamed, &["event_time", "fold_window"]),
    (
        Kind::Same,
        &[
            "clone",
            "migrate_from",
            "named",
            "rekey_from",
            "renamed_from",
        ],
    ),
];

fn kind(method: &Ident) -> Option<Kind> {
    let found = METHODS
        .iter()
        .find(|(_, names)| names.iter().any(|name| method == name));
    found.map(|(kind, _)| *kind)
}

/// The methods that set options between `.stateful()` and the function.
const OPTIONS: &[&str] = &["optional", "or_dead", "or_fail", "or_skip", "with_key"];

/// The options of a step that begins with `.stateful()`, given the call with its function.
fn options(call: &ExprMethodCall) -> Option<Vec<&Ident>> {
    let mut options = Vec::new();
    if call.method != "map" && call.method != "flat_map" {
        return None;
    }
    let mut before = &*call.receiver;
    loop {
        match before {
            Expr::MethodCall(call) if call.method == "stateful" && call.args.is_empty() => {
                return Some(options);
            }
            Expr::MethodCall(call) if OPTIONS.iter().any(|name| call.method == name) => {
                options.push(&call.method);
                before = &call.receiver;
            }
            Expr::Paren(inner) => before = &inner.expr,
            Expr::Group(inner) => before = &inner.expr,
            _ => return None,
        }
    }
}

fn gives_two(call: &ExprMethodCall) -> bool {
    call.method == "branch"
        || call.method.to_string().ends_with("_or_dead")
        || options(call).is_some_and(|options| options.iter().any(|option| *option == "or_dead"))
}

/// The steps of a body, in order.
///
/// `flows` are the names of the parameters that are a flow. A source is a method call on one of
/// them.
pub(crate) fn steps<'a>(statements: &'a [Stmt], flows: &'a [Ident]) -> Vec<Step<'a>> {
    let mut walk = Walk {
        flows,
        ..Walk::default()
    };
    for statement in statements {
        walk.visit_stmt(statement);
    }
    walk.steps
}

#[derive(Default)]
struct Walk<'a> {
    steps: Vec<Step<'a>>,
    flows: &'a [Ident],
    /// The call whose value the present `let` binds, with its name.
    bound: Option<(&'a ExprMethodCall, &'a Ident)>,
    /// The call that the last `.named(..)` names, with its name.
    named: Option<(&'a ExprMethodCall, Name)>,
    place: Place,
    /// The number of branches and scopes so far, to identify them.
    met: usize,
}

impl<'a> Walk<'a> {
    /// Visits something in another place.
    fn at(&mut self, place: Place, visit: impl FnOnce(&mut Self)) {
        let around = std::mem::replace(&mut self.place, place);
        visit(self);
        self.place = around;
    }

    fn repeated(&mut self, by: &'static str, visit: impl FnOnce(&mut Self)) {
        let place = Place {
            repeated_by: Some(by),
            ..self.place.clone()
        };
        self.at(place, visit);
    }

    fn arm(&mut self, branch: usize, arm: usize, visit: impl FnOnce(&mut Self)) {
        let mut place = self.place.clone();
        place.arms.push((branch, arm));
        self.at(place, visit);
    }

    fn next(&mut self) -> usize {
        self.met += 1;
        self.met
    }

    /// Visits `flow::scope(name, || ..)`. The closure runs once, and the name comes before the ids
    /// of its steps.
    fn scope(&mut self, name: &'a Expr, closure: &'a ExprClosure) {
        self.visit_expr(name);
        let mut place = self.place.clone();
        match literal(name) {
            Some((text, _)) => place.scope += &format!("{text}."),
            None => {
                // The name is unknown here, but it is a different one each time.
                place.scope += &format!("{}\0", self.next());
                place.repeated_by = None;
            }
        }
        self.at(place, |walk| walk.visit_expr(&closure.body));
    }

    /// What the store keeps for the step that the call makes.
    fn keeps(&self, kind: Kind, call: &ExprMethodCall) -> Keeps {
        let is_flow = |name: &Ident| self.flows.contains(name);
        match kind {
            Kind::Source
                if call.args.len() == 1 && last_segment(&call.receiver).is_some_and(is_flow) =>
            {
                Keeps::Tokens
            }
            _ if call.args.is_empty() => Keeps::Nothing,
            _ if kind == Kind::Stateful || options(call).is_some() => Keeps::States,
            _ => Keeps::Nothing,
        }
    }

    /// The name of a step, and whether a `let` gives it.
    fn name(&self, kind: Kind, call: &'a ExprMethodCall) -> (Name, bool) {
        if let Some((_, name)) = self
            .named
            .as_ref()
            .filter(|(named, _)| ptr::eq(*named, call))
        {
            return (name.clone(), false);
        }
        let takes_function = matches!(kind, Kind::Stateful | Kind::Stateless);
        let function = call
            .args
            .first()
            .filter(|_| takes_function)
            .and_then(last_segment);
        let bound = self
            .bound
            .filter(|(bound, _)| kind != Kind::Unnamed && ptr::eq(*bound, call))
            .map(|(_, name)| name);
        let name = match function.or(bound) {
            Some(name) => Name::Known(name.unraw().to_string(), name.span()),
            None => Name::Missing,
        };
        (name, function.is_none())
    }
}

impl<'a> Visit<'a> for Walk<'a> {
    fn visit_local(&mut self, local: &'a Local) {
        let call = local.init.as_ref().and_then(|init| made_by(&init.expr));
        let name = bound_name(&local.pat, call.is_some_and(gives_two));
        let around = std::mem::replace(&mut self.bound, call.zip(name));
        let branch = if is_conditional(&local.attrs) {
            Some(self.next())
        } else {
            None
        };
        match branch {
            // It is unknown which `#[cfg]`s apply. Each may exclude each other one.
            Some(arm) => self.arm(0, arm, |walk| visit::visit_local(walk, local)),
            None => visit::visit_local(self, local),
        }
        self.bound = around;
    }

    fn visit_expr_method_call(&mut self, call: &'a ExprMethodCall) {
        let kind = kind(&call.method);
        if call.method == "named" {
            let target = made_by(&call.receiver);
            // If there are two names, the outer one applies, and it was visited first.
            let met = target.is_some_and(|target| {
                self.named
                    .as_ref()
                    .is_some_and(|(met, _)| ptr::eq(*met, target))
            });
            if let (Some(target), Some(name), false) = (target, call.args.first(), met) {
                let name =
                    literal(name).map_or(Name::Computed, |(text, span)| Name::Known(text, span));
                self.named = Some((target, name));
            }
        }
        let name = kind.map(|kind| self.name(kind, call));
        // The steps of the receiver are made first.
        self.visit_expr(&call.receiver);
        if let (Some(kind), Some((name, named_by_let))) = (kind, name)
            && kind != Kind::Same
        {
            self.steps.push(Step {
                method: &call.method,
                keeps: self.keeps(kind, call),
                gives_two: gives_two(call),
                name,
                named_by_let,
                borrowed_key: borrowed_key(call),
                place: self.place.clone(),
            });
        }
        for argument in &call.args {
            self.visit_expr(argument);
        }
    }

    fn visit_expr_call(&mut self, call: &'a ExprCall) {
        match (
            last_segment(&call.func),
            call.args.first(),
            call.args.get(1),
        ) {
            (Some(function), Some(name), Some(Expr::Closure(closure)))
                if function == "scope" && call.args.len() == 2 =>
            {
                self.scope(name, closure);
            }
            _ => visit::visit_expr_call(self, call),
        }
    }

    fn visit_expr_closure(&mut self, closure: &'a ExprClosure) {
        self.repeated("closure", |walk| walk.visit_expr(&closure.body));
    }

    fn visit_expr_for_loop(&mut self, each: &'a ExprForLoop) {
        self.visit_expr(&each.expr);
        self.repeated("loop", |walk| walk.visit_block(&each.body));
    }

    fn visit_expr_while(&mut self, each: &'a ExprWhile) {
        self.repeated("loop", |walk| visit::visit_expr_while(walk, each));
    }

    fn visit_expr_loop(&mut self, each: &'a ExprLoop) {
        self.repeated("loop", |walk| visit::visit_expr_loop(walk, each));
    }

    fn visit_expr_if(&mut self, choice: &'a ExprIf) {
        self.visit_expr(&choice.cond);
        let branch = self.next();
        self.arm(branch, 0, |walk| walk.visit_block(&choice.then_branch));
        if let Some((_, other)) = &choice.else_branch {
            self.arm(branch, 1, |walk| walk.visit_expr(other));
        }
    }

    fn visit_expr_match(&mut self, choice: &'a ExprMatch) {
        self.visit_expr(&choice.expr);
        let branch = self.next();
        for (number, arm) in choice.arms.iter().enumerate() {
            self.arm(branch, number, |walk| visit::visit_arm(walk, arm));
        }
    }

    // An item is not part of the body around it.
    fn visit_item(&mut self, _: &'a Item) {}
}

/// The call that makes the last step of a chain: the outermost call that does not just continue a
/// step.
fn made_by(chain: &Expr) -> Option<&ExprMethodCall> {
    match chain {
        Expr::MethodCall(call) if kind(&call.method) == Some(Kind::Same) => made_by(&call.receiver),
        Expr::MethodCall(call) => Some(call),
        Expr::Paren(inner) => made_by(&inner.expr),
        Expr::Group(inner) => made_by(&inner.expr),
        _ => None,
    }
}

/// The place at which a closure that makes a key visibly returns a reference into its record.
fn borrowed_key(call: &ExprMethodCall) -> Option<Span> {
    if call.method != "key_on" && call.method != "rekey_on" {
        return None;
    }
    let Some(Expr::Closure(closure)) = call.args.first() else {
        return None;
    };
    let mut result = &*closure.body;
    loop {
        result = match result {
            Expr::Paren(inner) => &inner.expr,
            Expr::Group(inner) => &inner.expr,
            Expr::Block(block) => match block.block.stmts.last() {
                Some(Stmt::Expr(last, None)) => last,
                _ => return None,
            },
            Expr::Reference(reference) => return Some(reference.and_token.span),
            Expr::MethodCall(call) if call.method == "as_str" && call.args.is_empty() => {
                return Some(call.method.span());
            }
            _ => return None,
        };
    }
}

/// The name that a `let` gives a stream, or the first of two streams.
fn bound_name(pattern: &Pat, two: bool) -> Option<&Ident> {
    match pattern {
        Pat::Ident(name) => Some(&name.ident),
        Pat::Type(typed) => bound_name(&typed.pat, two),
        Pat::Tuple(pair) if two => bound_name(pair.elems.first()?, false),
        _ => None,
    }
}

fn last_segment(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        Expr::Paren(inner) => last_segment(&inner.expr),
        Expr::Group(inner) => last_segment(&inner.expr),
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<(String, Span)> {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some((text.value(), text.span())),
        Expr::Group(inner) => literal(&inner.expr),
        _ => None,
    }
}

fn is_conditional(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg"))
}
