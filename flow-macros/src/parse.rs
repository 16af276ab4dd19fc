//! Parses the attribute's options, and splits its function into parts.
//!
//! Only the tokens before `fn`, the name, the parameters of type `Flow`, and the body matter.
//! Everything else stays tokens, so half-typed code there causes no error here.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use syn::{
    Attribute, Block, LitStr, Path, Stmt, Token,
    ext::IdentExt,
    parse::{ParseStream, Parser, Result},
};

/// The options of `#[dataflow(..)]`.
#[derive(Default)]
pub(crate) struct Options {
    /// The former name of the dataflow.
    pub(crate) renamed_from: Option<LitStr>,
    /// The path of the facade, if it is not `::flow`.
    pub(crate) facade: Option<Path>,
}

const LEGAL: &str = "`renamed_from = \"old\"` and `crate = path`";

/// Reads the options. After a mistake in one of them, the others are still read.
pub(crate) fn options(tokens: TokenStream, errors: &mut Vec<syn::Error>) -> Options {
    let mut options = Options::default();
    let read = |input: ParseStream| {
        while !input.is_empty() {
            if let Err(error) = option(input, &mut options) {
                errors.push(error);
            }
            while !input.is_empty() && input.parse::<Option<Token![,]>>()?.is_none() {
                input.parse::<TokenTree>()?;
            }
        }
        Ok(())
    };
    let read = read.parse2(tokens);
    errors.extend(read.err());
    options
}

fn option(input: ParseStream, options: &mut Options) -> Result<()> {
    let start = input.span();
    let Ok(name) = input.call(Ident::parse_any) else {
        return Err(syn::Error::new(
            start,
            format!("expected an option\nhelp: the options are {LEGAL}"),
        ));
    };
    let twice = if name == "renamed_from" {
        let old = value(
            input,
            |input| input.parse(),
            "`renamed_from` takes a text: `renamed_from = \"old\"`",
        )?;
        options.renamed_from.replace(old).is_some()
    } else if name == "crate" {
        let path = value(
            input,
            Path::parse_mod_style,
            "`crate` takes a path: `crate = my_crate::flow`",
        )?;
        options.facade.replace(path).is_some()
    } else {
        let message =
            format!("`#[dataflow]` has no option `{name}`\nhelp: the options are {LEGAL}");
        return Err(syn::Error::new(name.span(), message));
    };
    if twice {
        return Err(syn::Error::new(
            name.span(),
            format!("`{name}` is given twice"),
        ));
    }
    Ok(())
}

fn value<T>(input: ParseStream, read: fn(ParseStream) -> Result<T>, wanted: &str) -> Result<T> {
    let value = input.parse::<Token![=]>().and_then(|_| read(input));
    value.map_err(|error| syn::Error::new(error.span(), wanted))
}

/// A function, split as far as `#[dataflow]` needs it.
pub(crate) struct Function {
    /// Everything before the body.
    pub(crate) head: TokenStream,
    /// `async`, `const`, `unsafe` or `extern`, if one of them is there.
    pub(crate) qualifier: Option<Ident>,
    pub(crate) name: Ident,
    /// The parameters whose type is a `Flow`.
    pub(crate) flows: Vec<Ident>,
    /// The braces and their content.
    pub(crate) body: Group,
}

/// Splits a function into parts. `None` if the item is something else.
pub(crate) fn function(item: TokenStream) -> Option<Function> {
    let mut head: Vec<TokenTree> = ungroup(item).into_iter().collect();
    let body = head.pop().and_then(braces)?;
    let mut qualifier = None;
    let mut rest = head.iter();
    // Attributes, a visibility and an ABI consist of signs, groups and literals.
    let name = rest.find_map(|token| match token {
        TokenTree::Ident(word) if word == "fn" => Some(true),
        TokenTree::Ident(word)
            if ["async", "const", "unsafe", "extern"]
                .iter()
                .any(|q| word == q) =>
        {
            qualifier.get_or_insert_with(|| word.clone());
            None
        }
        TokenTree::Ident(word) => (word != "pub").then_some(false),
        TokenTree::Punct(_) | TokenTree::Group(_) | TokenTree::Literal(_) => None,
    });
    let name = match (name, rest.next()) {
        (Some(true), Some(TokenTree::Ident(name))) => name.clone(),
        _ => return None,
    };
    let flows = flows(rest);
    Some(Function {
        head: head.into_iter().collect(),
        qualifier,
        name,
        flows,
        body,
    })
}

/// The names of the parameters of type `Flow`, from the tokens after the function's name.
fn flows<'a>(signature: impl Iterator<Item = &'a TokenTree>) -> Vec<Ident> {
    let mut angles = Angles::default();
    let parameters = signature.into_iter().find_map(|token| match token {
        TokenTree::Group(group)
            if angles.depth == 0 && group.delimiter() == Delimiter::Parenthesis =>
        {
            Some(group.stream())
        }
        token => {
            angles.pass(token);
            None
        }
    });
    let (mut flows, mut name, mut last) = (Vec::new(), None, None);
    let mut in_type = false;
    let mut angles = Angles::default();
    for token in parameters.into_iter().flatten() {
        angles.pass(&token);
        match &token {
            TokenTree::Punct(sign) if sign.as_char() == ',' && angles.depth == 0 => {
                flows.extend(
                    name.take()
                        .filter(|_| last.as_ref().is_some_and(|last| last == "Flow")),
                );
                (in_type, last) = (false, None);
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' => in_type = true,
            TokenTree::Ident(word) if in_type => last = Some(word.clone()),
            TokenTree::Ident(word) => name = Some(word.clone()),
            _ => {}
        }
    }
    flows.extend(name.filter(|_| last.is_some_and(|last| last == "Flow")));
    flows
}

/// The nesting depth of a token in `<..>`.
#[derive(Default)]
struct Angles {
    depth: usize,
    dash: bool,
}

impl Angles {
    fn pass(&mut self, token: &TokenTree) {
        let sign = match token {
            TokenTree::Punct(sign) => sign.as_char(),
            _ => ' ',
        };
        match sign {
            '<' => self.depth += 1,
            // `->` ends nothing.
            '>' if !self.dash => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        self.dash = sign == '-';
    }
}

/// Removes the invisible group that `macro_rules!` puts around an item passed as a whole.
fn ungroup(item: TokenStream) -> TokenStream {
    let mut tokens = item.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => {
            ungroup(group.stream())
        }
        _ => item,
    }
}

fn braces(token: TokenTree) -> Option<Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            ungroup(group.stream()).into_iter().next().and_then(braces)
        }
        _ => None,
    }
}

/// A function's body, split at the place where a first statement can be inserted.
pub(crate) struct Body {
    /// `#![..]` and `//!`, which must stay in front, and items, which may stay there.
    pub(crate) front: TokenStream,
    pub(crate) rest: TokenStream,
    pub(crate) statements: Vec<Stmt>,
}

/// Reads a body. `None` if it is not valid Rust, such as half-typed code.
pub(crate) fn body(tokens: TokenStream) -> Option<Body> {
    let all = tokens.clone();
    let read = |input: ParseStream| {
        input.call(Attribute::parse_inner)?;
        // After an inserted statement, `clippy::items_after_statements` would warn about the user's
        // items.
        while matches!(input.fork().parse(), Ok(Stmt::Item(_))) {
            input.parse::<Stmt>()?;
        }
        let rest: TokenStream = input.fork().parse()?;
        Ok((rest, input.call(Block::parse_within)?))
    };
    let (rest, statements) = read.parse2(tokens).ok()?;
    let before = all.clone().into_iter().count() - rest.clone().into_iter().count();
    Some(Body {
        front: all.into_iter().take(before).collect(),
        rest,
        statements,
    })
}
