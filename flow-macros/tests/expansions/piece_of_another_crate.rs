#[dataflow(renamed_from = "baskets", crate = crate::streaming::flow)]
pub(crate) fn carts<'a, T>(&'a self, events: Stream<T>) -> Result<KeyedStream<String, Cart>, Error>
where
    T: Into<Event>,
{
    //! Inner attributes stay in front.
    #![allow(unused_variables)]
    use std::fmt::Write as _;

    let events = self.names.first()?.map(|name| events.map(T::into));
    Ok(events.key_on(user_id).stateful_map(joiner::<T>))
}
