//! Names for things that the user has not named.

/// The name of a type as a kind: `OrderFeed<T>` is `order_feed`.
pub(crate) fn kind_of<T: ?Sized>() -> String {
    let name = crate::graph::short(std::any::type_name::<T>());
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
}
