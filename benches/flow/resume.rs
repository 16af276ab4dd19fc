//! Going on: the states of many keys are read back, by a flow from its store, and by a plain
//! program from a flat file.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read, Write},
    path::PathBuf,
};

use flow::prelude::*;
use flow_store::{decode, encode};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    cart::{Cart, SharedTally, Tally},
    events,
    in_flow::{self, Events},
    side::{Join, Program, Report, Scratch, timed},
};

/// A program that has so many keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Resume {
    pub(crate) keys: u32,
    pub(crate) program: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum By {
    /// Writes the store and the file.
    Writer,
    FlatFile,
    Flow {
        workers: u32,
    },
}

impl Resume {
    pub(crate) fn work(self, scratch: &Scratch) -> Result<Report> {
        match self.program {
            By::Writer => {
                self.write_file(scratch)?;
                let written = self.run_flow(1, scratch)?;
                if written != u64::from(self.keys) {
                    return Err(format!("the store has {written} keys").into());
                }
                Ok(Report::default())
            }
            By::FlatFile => timed(|| {
                let carts = self.read_file(scratch)?;
                Ok(Tally {
                    count: carts.len() as u64,
                    sum: 0,
                })
            }),
            By::Flow { workers } => timed(|| {
                // All was read in the run that wrote the store.
                match self.run_flow(workers, scratch)? {
                    0 => Ok(Tally {
                        count: self.keys.into(),
                        sum: 0,
                    }),
                    records => Err(format!("it has read {records} records").into()),
                }
            }),
        }
    }

    pub(crate) fn is_written(self, scratch: &Scratch) -> bool {
        self.file(scratch).exists()
    }

    fn file(self, scratch: &Scratch) -> PathBuf {
        scratch.path().join(format!("carts-{}", self.keys))
    }

    /// Runs the flow over an order of each user, and says how many it has read.
    fn run_flow(self, workers: u32, scratch: &Scratch) -> Result<u64> {
        let join = Join {
            program: Program::Flow,
            json: false,
            users: self.keys,
            events: self.keys,
            workers,
            epoch: None,
            store: true,
            repeatable: false,
            more_steps: 0,
            fallible: false,
            clones_key: false,
        };
        // Where everything has been read, no events are needed.
        let is_first = self.program == By::Writer;
        let events = if is_first {
            events::one_each(self.keys)
        } else {
            Vec::new()
        };
        let events = Events::new([events]);
        let runner = Runner::new(move |flow| {
            let events = flow.source(events.clone()).named("events");
            in_flow::cart_join(events, &join, &SharedTally::default());
        });
        let state = scratch.path().join(format!("state-{}", self.keys));
        let runner = runner.workers(workers as usize);
        Ok(runner.recover(Recovery::at(state)).run()?.records)
    }

    /// The least that would do: the number of carts, then each key and cart with their lengths.
    fn write_file(self, scratch: &Scratch) -> Result<()> {
        let path = self.file(scratch);
        let mut file = BufWriter::new(File::create(&path)?);
        file.write_all(&self.keys.to_le_bytes())?;
        let mut bytes = Vec::new();
        for packed in events::one_each(self.keys) {
            let event = packed.event();
            let mut cart = Cart::default();
            cart.join(event.kind, event.order_id);
            for part in [Part::Key(&event.user_id), Part::Cart(&cart)] {
                bytes.clear();
                match part {
                    Part::Key(key) => encode(key, &mut bytes)?,
                    Part::Cart(cart) => encode(cart, &mut bytes)?,
                }
                file.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
                file.write_all(&bytes)?;
            }
        }
        file.flush()?;
        Ok(())
    }

    fn read_file(self, scratch: &Scratch) -> Result<HashMap<String, Cart>> {
        let mut file = BufReader::with_capacity(1 << 20, File::open(self.file(scratch))?);
        let count = number(&mut file)?;
        let mut carts = HashMap::with_capacity(count);
        let mut bytes = Vec::new();
        for _ in 0..count {
            read(&mut file, &mut bytes)?;
            let key: String = decode(&bytes)?;
            read(&mut file, &mut bytes)?;
            carts.insert(key, decode(&bytes)?);
        }
        Ok(carts)
    }
}

enum Part<'a> {
    Key(&'a str),
    Cart(&'a Cart),
}

fn number(file: &mut impl Read) -> Result<usize> {
    let mut number = [0; 4];
    file.read_exact(&mut number)?;
    Ok(usize::try_from(u32::from_le_bytes(number))?)
}

fn read(file: &mut impl Read, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.resize(number(file)?, 0);
    Ok(file.read_exact(bytes)?)
}
