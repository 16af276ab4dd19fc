//! Tests of the printed expansions, and of mistakes that are visible without a compiler.
//!
//! `tests/expansions` has one item in each file, with its expansion beside it. `UPDATE_EXPECT=1
//! cargo test -p flow-macros` rewrites the expansions.

use std::{collections::BTreeSet, fs, path::Path};

use proc_macro2::{Delimiter, Group, LineColumn, TokenStream, TokenTree};
use quote::ToTokens;

use crate::expand;

#[test]
fn expansions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expansions");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let (options, item) = split(&fs::read_to_string(&path).unwrap());
        let actual = print(expand::dataflow(options, item));
        let expected = path.with_extension("expanded");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &actual).unwrap();
        }
        checked += 1;
        if fs::read_to_string(&expected).unwrap_or_default() != actual {
            wrong.push(format!("{}:\n{actual}", expected.display()));
        }
    }
    assert!(checked > 0);
    assert!(
        wrong.is_empty(),
        "not as it was written down:\n\n{}",
        wrong.join("\n")
    );
}

/// The options and the item of `#[dataflow(options)] item`.
fn split(source: &str) -> (TokenStream, TokenStream) {
    let mut tokens = source.parse::<TokenStream>().unwrap().into_iter();
    assert_eq!(tokens.next().unwrap().to_string(), "#");
    let options = groups(tokens.next().unwrap().into())
        .find(|group| group.delimiter() == Delimiter::Parenthesis);
    (
        options.map_or_else(TokenStream::new, |group| group.stream()),
        tokens.collect(),
    )
}

/// All groups of some tokens, the outer ones first.
fn groups(tokens: TokenStream) -> Box<dyn Iterator<Item = Group>> {
    Box::new(tokens.into_iter().flat_map(|token| match token {
        TokenTree::Group(group) => {
            let inner = groups(group.stream());
            Box::new(std::iter::once(group).chain(inner)) as Box<dyn Iterator<Item = Group>>
        }
        _ => Box::new(std::iter::empty()),
    }))
}

fn print(expansion: TokenStream) -> String {
    match syn::parse2(expansion.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        // Half-typed code.
        Err(_) => format!("{expansion}\n"),
    }
}

fn expand(source: &str) -> TokenStream {
    let (options, item) = split(source);
    expand::dataflow(options, item)
}

fn places(tokens: TokenStream, name: &str) -> Vec<LineColumn> {
    let inner: Vec<_> = groups(tokens.clone()).map(|group| group.stream()).collect();
    let all = std::iter::once(tokens).chain(inner).flatten();
    all.filter(|token| matches!(token, TokenTree::Ident(word) if word == name))
        .map(|token| token.span().start())
        .collect()
}

#[test]
fn a_row_stands_where_its_method_stands() {
    let source = "#[dataflow] fn f() {\n    a.key_on(k)\n        .stateful_map(g)\n  .\n \
        stateful_map(h);\n}";
    let expansion = expand(source);
    let methods: Vec<_> = ["key_on", "stateful_map"]
        .into_iter()
        .flat_map(|method| places(source.parse().unwrap(), method))
        .collect();
    assert_eq!(methods.len(), 3);
    for token in ["flow", "__private", "here"] {
        let places: Vec<_> = places(expansion.clone(), token)
            .into_iter()
            .filter(|at| at.line > 1)
            .collect();
        assert_eq!(places, methods, "{token}");
    }
}

/// The messages of an expansion, each without its help.
fn errors(body: &str) -> Vec<String> {
    let expansion = expand(&format!(
        "#[dataflow] fn f<F: Fn(u8) -> u8>(g: F, mut flow: &'a Flow) {{ {body} }}"
    ));
    let file: syn::File = syn::parse2(expansion).unwrap();
    file.items
        .iter()
        .filter_map(|item| match item {
            syn::Item::Macro(item) => {
                let message: syn::LitStr = item.mac.parse_body().unwrap();
                Some(
                    message
                        .value()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                )
            }
            _ => None,
        })
        .collect()
}

#[test]
fn what_may_stand_under_one_id() {
    for right in [
        "a.stateful_map(f); b.map(f); c.key_on(f);",
        "a.stateful_map(f); b.stateful_map(f).named(\"g\");",
        "a.stateful_map(f).named(\"g\"); b.stateful_map(f);",
        "a.stateful_map(f); b.stateful_map(f).clone().named(name);",
        "if eu { a.stateful_map(f) } else { a.map(g).stateful_map(f) }",
        "match x { 1 => a.stateful_map(f), 2 => b.stateful_map(f), _ => { c.stateful_map(f) } }",
        "#[cfg(unix)] let x = a.stateful_map(f); #[cfg(not(unix))] let x = b.stateful_map(f);",
        "flow::scope(\"eu\", || a.stateful_map(f)); scope(\"us\", || a.stateful_map(f)); \
         a.stateful_map(f);",
        "flow::scope(name, || a.stateful_map(f)); flow::scope(other, || a.stateful_map(f));",
        "fn inner() { a.stateful_map(f) } a.stateful_map(f);",
        "m!(a.stateful_map(f), b.stateful_map(f));",
        "a.stateful().map(f); a.map(f);",
        "a.stateful_map(f); let (f, dead) = b.branch(|x| x); let (f, other) = \
         b.try_map_or_dead(|x| x);",
    ] {
        assert_eq!(errors(right), [""; 0], "{right}");
    }
    for wrong in [
        "a.stateful_map(f); b.stateful_map(x::f);",
        "let f = a.stateful_map(|x, y| x + y); b.stateful_map_opt(f);",
        "a.stateful_map(f).named(\"g\"); b.stateful_map_with_key(g);",
        "a.stateful_map(f).named(\"g\").renamed_from(\"old\"); \
         b.stateful_map(h).renamed_from(\"old\").named(\"g\");",
        "a.stateful_map(f).named(\"f\").stateful_map(f);",
        "if eu { a.stateful_map(f) } else { b } a.stateful_map(f);",
        "if eu { a.stateful_map(f); } if us { a.stateful_map(f); }",
        "flow::scope(\"eu\", || a.stateful_map(f)); flow::scope(\"eu\", || a.stateful_map(f));",
        "flow::scope(name, || (a.stateful_map(f), a.stateful_map(f)));",
        "a.stateful().map(f); b.stateful().with_key().optional().or_skip().flat_map(f);",
        "let (f, dead) = a.stateful().or_dead().map(|x| x); b.stateful_flat_map(f);",
    ] {
        let errors = errors(wrong);
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert!(
            errors[0].starts_with("two steps keep their state under the id"),
            "{wrong}: {errors:?}"
        );
    }
}

#[test]
fn what_sources_may_be_called() {
    for right in [
        "let a = flow.source(x); let b = flow.source(x); flow.source(x); flow.source(y);",
        "let a = flow.source(x); let a = a.map(|x| x);",
        "let a = flow.source(x); let a = a.stateful_map(|x| x).named(\"b\");",
        "let a = other.source(x); let a = other.source(y); let a = error.source();",
        "if eu { let a = flow.source(x); } else { let a = flow.source(y); }",
        "for i in all { let a = flow.source(x).named(i); flow::scope(i, || flow.source(y)); }",
        "let a = path.map(|path| flow.source(path));",
    ] {
        assert_eq!(errors(right), [""; 0], "{right}");
    }
    for (wrong, message) in [
        (
            "let a = flow.source(x); let a = flow.source(y);",
            "two steps keep their state",
        ),
        (
            "let a = flow.source(x); let a = a.key_on(k).stateful_map(|x| x);",
            "two steps keep their state",
        ),
        (
            "let a = flow.source(x); b.stateful_map(a);",
            "two steps keep their state",
        ),
        (
            "let (a, dead) = flow.source_or_dead(x); b.stateful_map(a);",
            "two steps keep their state",
        ),
        (
            "for i in all { let a = flow.source(x); }",
            "this source stands in a loop",
        ),
        (
            "while more { flow.source(x); }",
            "this source stands in a loop",
        ),
        ("flow.source(x).named(\"a.b\");", "`a.b` can't be the name"),
        ("a.stateful_map(f).named(\"\");", "a name can't be empty"),
    ] {
        let errors = errors(wrong);
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert!(errors[0].starts_with(message), "{wrong}: {errors:?}");
    }
}

#[test]
fn what_a_key_may_be() {
    for right in [
        "a.key_on(|x| x.clone()); a.key_on(|x| *x.y); a.key_on(key); a.rekey_on(|x| (x.a, \
         &x.b).len());",
        "a.map(|x| &x.y); a.key_on(|x| x.as_str().to_owned()); a.key_on(|x| { f(&x.y) });",
    ] {
        assert_eq!(errors(right), [""; 0], "{right}");
    }
    for wrong in [
        "a.key_on(|x| &x.y);",
        "a.map(f).rekey_on(|x: &X| -> &str { let y = 3; (&x.y) });",
        "a.key_on(|x| x.y.as_str());",
    ] {
        let errors = errors(wrong);
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert!(
            errors[0].starts_with("a key owns its data"),
            "{wrong}: {errors:?}"
        );
    }
}

#[test]
fn what_may_stand_in_a_loop_or_a_closure() {
    for right in [
        "for i in all { a.stateful_map(f).named(format!(\"f-{i}\")); }",
        "for i in all { flow::scope(i, || a.stateful_map(f)); }",
        "for x in a.stateful_map(f) { x.map(f); carts(x); }",
        "flow::scope(\"eu\", || a.stateful_map(f));",
        "all.map(|a| a.map(f).filter(g));",
        "loop { fn g() { a.stateful_map(f) } }",
    ] {
        assert_eq!(errors(right), [""; 0], "{right}");
    }
    for wrong in [
        "for i in all { a.stateful_map(f); }",
        "while more { let b = a.stateful_map(|x| x).named(\"g\"); }",
        "loop { if x { a.stateful_map(|x| x); } }",
        "all.map(|a| a.stateful_map(f));",
        "let make = |a| a.stateful_map(f);",
        "for i in all { let (x, dead) = (a.stateful().or_dead()).with_key().map(|x| x); }",
        "for i in all { flow::scope(\"eu\", || a.stateful_map(f)); }",
        "std::thread::scope(|s| a.stateful_map(f));",
        "flow::scope(name, || for i in all { a.stateful_map(f); });",
    ] {
        let errors = errors(wrong);
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert!(
            errors[0].starts_with("this step keeps a state and stands in a"),
            "{wrong}: {errors:?}"
        );
    }
}

#[test]
fn which_steps_have_no_id() {
    for right in [
        "let x = a.stateful_map(|x| x);",
        "let mut x: Stream<u64> = (a.stateful_map(|x| x)).clone().renamed_from(\"old\");",
        "a.stateful_map(|x| x).named(\"g\").sink(s);",
        "a.stateful_map(|x| x).named(name);",
        "a.stateful_map(self::f::<u8>);",
        "a.stateful_map();",
        "let x = a.stateful().with_key().map(|x| x);",
        "let (x, dead): (Stream<u64>, _) = a.stateful().or_dead().map(|x| x);",
        "let step = a.stateful(); step.map(|x| x);",
        "a.state().map(|x| x); a.stateful(g).map(|x| x); a.stateful().join().map(|x| x);",
    ] {
        assert_eq!(errors(right), [""; 0], "{right}");
    }
    for wrong in [
        "a.stateful_map(|x| x);",
        "let x = a.stateful_map(|x| x).map(f);",
        "let (x, y) = a.stateful_map(|x| x);",
        "x = a.stateful_map(f(3));",
        "a.stateful_map(|x| x).map(f).named(\"g\");",
        "a.stateful().or_skip().map(|x| x).map(f);",
        "let (x, y) = a.stateful().or_fail().map(|x| x);",
        "(x, y) = a.stateful().or_dead().map(|x| x);",
    ] {
        let errors = errors(wrong);
        assert_eq!(errors.len(), 1, "{wrong}: {errors:?}");
        assert!(
            errors[0].starts_with("this step keeps a state, but has no id"),
            "{wrong}: {errors:?}"
        );
    }
}

#[test]
fn what_is_a_function() {
    let message = |item: &str| expand(&format!("#[dataflow] {item}")).to_string();
    for right in [
        "fn f() {}",
        "#[must_use = \"x\"] pub(in crate::x) fn f<const N: usize>() -> [u8; { 3 }] where [(); { \
         N }]: {}",
        "pub fn half(typed: , rest) {}",
    ] {
        assert!(!message(right).contains("compile_error"), "{right}");
    }
    for wrong in [
        "struct S { f: fn() }",
        "type F = fn();",
        "static F: fn() = { f };",
        "const F: fn() = { f };",
        "impl Trait for fn() {}",
        "trait Fn {}",
        "fn f();",
    ] {
        assert_eq!(
            message(wrong).matches("compile_error").count(),
            1,
            "{wrong}"
        );
        assert!(message(wrong).contains("goes on a function"), "{wrong}");
    }
    for word in ["async", "const", "unsafe", "extern \"C\""] {
        let item = format!("{word} fn f() {{}}");
        assert!(message(&item).contains("a dataflow can't be"), "{item}");
    }
}

/// The public methods of `impl` blocks for one of these types that return a stream.
fn methods_that_return_streams(directory: &Path, of: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut methods_that_return_streams(&path, of));
            continue;
        }
        let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
        for item in file.items {
            let syn::Item::Impl(block) = item else {
                continue;
            };
            let syn::Type::Path(self_type) = &*block.self_ty else {
                continue;
            };
            let name = self_type.path.segments.last().unwrap().ident.to_string();
            if block.trait_.is_some() || !of.contains(&name.as_str()) {
                continue;
            }
            for item in block.items {
                let syn::ImplItem::Fn(method) = item else {
                    continue;
                };
                let (signature, vis) = (&method.sig, &method.vis);
                let output = signature.output.to_token_stream().to_string();
                let is_stream = ["Stream", "AndDead", "Self"]
                    .iter()
                    .any(|to| output.contains(to));
                if matches!(vis, syn::Visibility::Public(_)) && is_stream {
                    found.insert(signature.ident.to_string());
                }
            }
        }
    }
    found
}

#[test]
fn the_macro_knows_every_method_that_returns_a_stream() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flow-core/src");
    let mut in_core = methods_that_return_streams(&core, &["Stream", "Flow"]);
    // Of a trait, and the constructor of a flow.
    in_core.insert("clone".to_owned());
    let known = crate::model::METHODS.iter().flat_map(|(_, names)| *names);
    let known: BTreeSet<String> = known.map(|name| (*name).to_owned()).collect();
    assert_eq!(known, in_core);
}
