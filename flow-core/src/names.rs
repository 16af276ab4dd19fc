//! Names as a person would write them: of types, and of things that the user has not named.

/// A type name without the paths of its modules.
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
    let name = name.split('<').next().unwrap_or_default();
    let mut kind = String::new();
    for (index, c) in name.char_indices() {
        if c.is_uppercase() && index > 0 {
            kind.push('_');
        }
        kind.extend(c.to_lowercase());
    }
    kind
}

#[cfg(test)]
mod tests {
    struct OrderFeed<T>(#[allow(dead_code)] T);

    #[test]
    fn a_type_is_a_kind_in_snake_case() {
        assert_eq!(super::kind_of::<OrderFeed<Vec<u8>>>(), "order_feed");
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
}
