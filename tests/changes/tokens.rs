//! Tokens of another type.

use std::{fmt::Debug, marker::PhantomData, sync::Arc};

use flow::{prelude::*, sink, source};

use crate::{AsState, Notices, Store, text};

/// Counts to three in each of its partitions, and ends. Its token is a `T` that holds the number.
struct Count<T>(PhantomData<T>, &'static [&'static str]);

struct CountReader<T> {
    next: u64,
    batch: u64,
    token: PhantomData<T>,
}

impl<T: From<u64> + Into<u64> + AsState> source::Source for Count<T> {
    type Item = u64;
    type Token = T;
    type Reader = CountReader<T>;

    fn kind(&self) -> String {
        "count".to_owned()
    }

    fn partitions(&self) -> Result<Vec<String>, source::SourceError> {
        Ok(self.1.iter().map(|name| (*name).to_owned()).collect())
    }

    fn open(&self, _: &str, at: source::At<T>) -> Result<CountReader<T>, source::SourceError> {
        Ok(CountReader {
            next: at.token().map_or(0, Into::into),
            batch: 0,
            token: PhantomData,
        })
    }
}

impl<T: From<u64> + 'static> source::Reader for CountReader<T> {
    type Item = u64;
    type Token = T;

    fn read(
        &mut self,
        out: &mut Vec<u64>,
        _: &std::task::Waker,
    ) -> Result<source::Next, source::SourceError> {
        self.batch = (3 - self.next).min(1);
        out.extend(self.next..self.next + self.batch);
        self.next += self.batch;
        Ok(match self.batch {
            0 => source::Next::End,
            _ => source::Next::Ready,
        })
    }

    fn token(&self, index: usize) -> T {
        T::from(self.next - self.batch + index as u64)
    }
}

macro_rules! tokens {
    ($($name:ident {
        $(#[$attribute:meta])* $field:ident: $type:ty $(, $new:ident: $default:ty)?
    })*) => {
        $(
            #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
            struct $name {
                $(#[$attribute])* $field: $type,
                $(#[serde(default)] $new: $default,)?
            }
            impl From<u64> for $name {
                fn from(n: u64) -> Self {
                    let $field = n.to_string().parse().unwrap();
                    $name { $field, $($new: <$default>::default())? }
                }
            }
            impl From<$name> for u64 {
                fn from(token: $name) -> u64 {
                    token.$field.to_string().parse().unwrap()
                }
            }
        )*
    };
}

tokens! {
    Token { next: u64 }
    Longer { next: u64, note: String }
    Renamed { #[serde(alias = "next")] number: u64 }
    Retyped { next: String }
}

impl Store {
    /// Runs a flow that counts; how many records it read, and what it was told.
    fn count<T: From<u64> + Into<u64> + AsState>(
        &self,
        partitions: &'static [&'static str],
        agree: impl FnOnce(Recovery) -> Recovery,
    ) -> Result<(u64, Notices), String> {
        let told = Arc::new(std::sync::Mutex::new(Notices::new()));
        let tell = told.clone();
        let flow = move |flow: &Flow| {
            flow.source(Count::<T>(PhantomData, partitions))
                .named("count")
                .sink(sink::from_fn(|_: u64| ()));
        };
        let recovery = agree(Recovery::at(self.work.path("state")));
        let outcome = Runner::new(flow)
            .recover(recovery)
            .on_start(move |started| {
                *tell.lock().unwrap() = started.notices.iter().map(ToString::to_string).collect();
            })
            .run()
            .map_err(|error| text(&self.work, &error))?;
        let told = told.lock().unwrap().clone();
        Ok((outcome.records, told))
    }
}

/// Rows that nobody reads any more must not prevent a resume.
#[test]
fn the_token_of_a_partition_that_is_gone_can_be_given_up() {
    let store = Store::new();
    let nothing = |recovery| recovery;
    store.count::<Renamed>(&["all", "new"], nothing).unwrap();
    let error = store.count::<Retyped>(&["new"], nothing).unwrap_err();
    assert!(
        error.starts_with("the position of `count` in `all` can't be read"),
        "{error}"
    );
    assert!(
        error.contains("it is gone: give it up with `--drop-partition all`"),
        "{error}"
    );
    let dropped = |recovery: Recovery| recovery.drop_partition("all");
    let error = store.count::<Retyped>(&["new"], dropped).unwrap_err();
    assert!(
        error.starts_with("the position of `count` in `new` can't be read"),
        "{error}"
    );
    let dropped = |recovery: Recovery| recovery.drop_partition("all").drop_partition("new");
    store.count::<Retyped>(&[], dropped).unwrap();
    assert_eq!(store.count::<Retyped>(&["all"], nothing), Ok((3, vec![])));
}

#[test]
fn tokens_change_as_states_do() {
    let store = Store::new();
    fn run<T: From<u64> + Into<u64> + AsState>(store: &Store) -> Result<(u64, Notices), String> {
        store.count::<T>(&["all"], |recovery| recovery)
    }
    let changed = |line: &str| {
        vec![format!(
            "the tokens of step `count` changed, and all could be read:\n  {line}"
        )]
    };
    assert_eq!(run::<Token>(&store), Ok((3, vec![])));
    assert_eq!(
        run::<Longer>(&store),
        Ok((0, changed("`Longer.note` is new: String")))
    );
    assert_eq!(
        run::<Token>(&store),
        Ok((0, changed("`Token.note` is gone: it was String")))
    );
    assert_eq!(
        run::<Renamed>(&store),
        Ok((0, changed("`Renamed.next` is now `Renamed.number`")))
    );
    assert_eq!(run::<Renamed>(&store), Ok((0, vec![])));
    assert_eq!(
        run::<Retyped>(&store).unwrap_err(),
        "the position of `count` in `all` can't be read as `Retyped`: the bytes cannot be \
         read as this type: missing field `next`
  `Retyped.number` is gone: it was u64
  `Retyped.next` is new: String
help: `#[serde(default)]` on a new field reads what was stored without it
help: start that step anew with `--drop-state count`, or go back to the type that is stored: \
struct Renamed { number: u64 }"
    );
}
