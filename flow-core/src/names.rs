//! Readable names of types, and of things that the user has not named.

use heck::ToSnakeCase;

/// A type name without module paths.
pub(crate) fn short(type_name: &str) -> String {
    let mut out = String::with_capacity(type_name.len());
    let mut word = String::new();
    let mut rest = type_name.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            word.clear();
        } else {
            out.push_str(&word);
            word.clear();
            out.push(c);
        }
    }
    out + &word
}

/// The name of a type as a kind: `OrderFeed<T>` is `order_feed`.
pub(crate) fn kind_of<T: ?Sized>() -> String {
    let name = short(std::any::type_name::<T>());
    name.split('<').next().unwrap_or_default().to_snake_case()
}

/// Whether the type is an `Option`.
pub(crate) fn is_option(type_name: &str) -> bool {
    type_name.starts_with("core::option::Option<")
}

/// Whether a value of the type is or contains a value of the generic type `wanted`, which is given
/// with its path.
///
/// Only tuples, arrays, references and types of std are searched. A type of the user's own may do
/// anything with its parameters.
///
/// No trait of stable Rust tells a `Result` from every other type, so the name must do. A name of
/// another form is overlooked, but nothing is refused that is no `Result`.
pub(crate) fn holds(type_name: &str, wanted: &str) -> bool {
    // For each type and bracket around the current character: whether a value of it contains values
    // of its parameters.
    let mut around = Vec::new();
    let mut path = String::new();
    let mut before = ' ';
    for c in type_name.chars() {
        match c {
            '<' | '(' | '[' => {
                let visible = around.iter().all(|is_visible| *is_visible);
                if c == '<' && visible && path == wanted {
                    return true;
                }
                let of_std = ["core::", "alloc::", "std::"]
                    .iter()
                    .any(|std| path.starts_with(std));
                around.push(match c {
                    '<' => of_std && path != "core::marker::PhantomData",
                    // A function contains no value of its arguments.
                    _ => path.is_empty(),
                });
                path.clear();
            }
            '>' if before == '-' => {}
            '>' | ')' | ']' => {
                around.pop();
                path.clear();
            }
            c if c.is_alphanumeric() || c == '_' || c == ':' => path.push(c),
            _ => path.clear(),
        }
        before = c;
    }
    false
}

/// A file name, quoted if a shell would need it.
pub(crate) fn quoted(file: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "/._-+=,@%".contains(char);
    match !file.is_empty() && file.chars().all(plain) {
        true => file.to_owned(),
        false => format!("'{}'", file.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use std::{any::type_name, collections::BTreeMap, marker::PhantomData};

    struct OrderFeed<T>(#[allow(dead_code)] T);

    #[test]
    fn a_type_is_a_kind_in_snake_case() {
        struct HTTPFeed;
        struct FeedOf2Parts;
        struct V2Feed;
        assert_eq!(super::kind_of::<OrderFeed<Vec<u8>>>(), "order_feed");
        assert_eq!(super::kind_of::<HTTPFeed>(), "http_feed");
        assert_eq!(super::kind_of::<FeedOf2Parts>(), "feed_of2_parts");
        assert_eq!(super::kind_of::<V2Feed>(), "v2_feed");
    }

    #[test]
    fn a_result_is_found_where_a_value_has_one() {
        fn holds<T>() -> bool {
            super::holds(type_name::<T>(), "core::result::Result")
        }
        type R = Result<u64, String>;
        assert!(holds::<R>());
        assert!(holds::<Result<Vec<u8>, std::num::ParseIntError>>());
        assert!(holds::<(String, R)>());
        assert!(holds::<(String, (u64, Option<R>))>());
        assert!(holds::<Vec<BTreeMap<String, R>>>());
        assert!(holds::<[Box<R>; 3]>());
        assert!(holds::<&'static R>());
        assert!(!holds::<u64>());
        assert!(!holds::<(String, Vec<u64>)>());
        assert!(!holds::<OrderFeed<R>>());
        assert!(!holds::<Vec<OrderFeed<(u64, R)>>>());
        assert!(holds::<(OrderFeed<u64>, R)>());
        assert!(!holds::<PhantomData<R>>());
        assert!(!holds::<fn(R) -> u64>());
        assert!(holds::<(fn(u64) -> u64, R)>());
    }

    #[test]
    fn type_names_lose_their_modules() {
        assert_eq!(
            super::short("alloc::vec::Vec<(alloc::string::String, my::Cart)>"),
            "Vec<(String, Cart)>"
        );
        assert_eq!(super::short("u64"), "u64");
        assert_eq!(super::short("&'static str"), "&'static str");
    }

    #[test]
    fn a_file_name_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(super::quoted("a/b-1.json"), "a/b-1.json");
        assert_eq!(super::quoted("a b"), "'a b'");
        assert_eq!(super::quoted("it's"), r"'it'\''s'");
        assert_eq!(super::quoted(""), "''");
    }
}
