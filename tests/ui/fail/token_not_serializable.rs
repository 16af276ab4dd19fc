use std::task::Waker;

use flow::source::{At, Next, Reader, Source, SourceError};

struct Feed;

struct FeedReader;

#[derive(Clone)]
struct Page(u64);

impl Source for Feed {
    type Item = String;
    type Token = Page;
    type Reader = FeedReader;

    fn partitions(&self) -> Result<Vec<String>, SourceError> {
        Ok(vec![])
    }

    fn open(&self, _partition: &str, _at: At<Page>) -> Result<FeedReader, SourceError> {
        Ok(FeedReader)
    }
}

impl Reader for FeedReader {
    type Item = String;
    type Token = Page;

    fn read(&mut self, _out: &mut Vec<String>, _waker: &Waker) -> Result<Next, SourceError> {
        Ok(Next::End)
    }

    fn token(&self, _index: usize) -> Page {
        Page(0)
    }
}

fn main() {}
