//! The `OutputId` that a sink gets.

use std::sync::{Arc, Mutex};

use flow::{
    Recovery, RunError, Runner,
    sink::{OutputId, Shards, Sink, SinkError, SyncOutput, Writer},
    source,
};

/// An output and the position at which it is opened.
type Opened = (OutputId, Option<String>);

/// Records the arguments of each call.
#[derive(Clone)]
struct Told {
    opened: Arc<Mutex<Vec<Opened>>>,
    shards: Shards,
}

impl Sink for Told {
    type Item = u64;
    type Position = String;
    type Writer = Nowhere;

    fn shards(&self) -> Shards {
        self.shards
    }

    fn open(&self, output: &OutputId, resume: Option<String>) -> Result<Nowhere, SinkError> {
        let mut opened = self.opened.lock().unwrap();
        opened.push((output.clone(), resume.clone()));
        // The identity of the first opening: what a sink keeps whose identity is to survive a
        // rename.
        Ok(Nowhere(resume.unwrap_or_else(|| output.step().to_owned())))
    }
}

struct Nowhere(String);

impl Writer for Nowhere {
    type Item = u64;
    type Position = String;

    fn position(&self) -> String {
        self.0.clone()
    }

    fn write(&mut self, items: &mut Vec<u64>) -> Result<(), SinkError> {
        items.clear();
        Ok(())
    }

    fn close_epoch(&mut self) -> Result<(String, Option<SyncOutput>), SinkError> {
        Ok((self.0.clone(), None))
    }
}

/// The outputs that a flow with such a sink opens, sorted by shard.
struct Flow {
    directory: tempfile::TempDir,
    shards: Shards,
}

impl Flow {
    fn with(shards: Shards) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Flow { directory, shards }
    }

    fn runner(&self, name: &'static str) -> (Runner, Told) {
        let told = Told {
            opened: Arc::default(),
            shards: self.shards,
        };
        let sink = told.clone();
        let runner = Runner::new(move |flow| {
            let out = flow.source(source::from_iter(0..10u64)).sink(sink.clone());
            let out = out.named(name);
            if name != "told" {
                out.renamed_from("told");
            }
        });
        (runner, told)
    }

    fn recovery(&self) -> Recovery {
        Recovery::at(self.directory.path().join("state"))
    }

    fn run(&self, name: &'static str, workers: usize) -> Vec<(OutputId, Option<String>)> {
        let (runner, told) = self.runner(name);
        let run = runner.workers(workers).recover(self.recovery()).run();
        run.unwrap();
        told.sorted()
    }

    fn uuid(&self) -> String {
        flow_store::Look::read(self.recovery().directory())
            .unwrap()
            .uuid()
    }
}

impl Told {
    fn sorted(&self) -> Vec<(OutputId, Option<String>)> {
        let mut opened = self.opened.lock().unwrap().clone();
        opened.sort_by_key(|(output, _)| output.shard());
        opened
    }
}

#[test]
fn an_output_knows_store_step_execution_and_shard_from_the_first_run_on() {
    let flow = Flow::with(Shards::PerWorker);
    let first = flow.run("told", 2);
    let uuid = flow.uuid();
    for (number, (output, resume)) in (0..).zip(&first) {
        assert_eq!(output, &OutputId::new("told", number).in_store(&uuid, 1));
        assert_eq!((output.store(), output.execution()), (Some(&*uuid), 1));
        assert_eq!(*resume, None);
    }
    assert_eq!(first.len(), 2);
    let second = flow.run("told", 3);
    let shards: Vec<u32> = second.iter().map(|(output, _)| output.shard()).collect();
    assert_eq!(shards, [0, 1, 2]);
    for (output, resume) in &second {
        assert_eq!((output.store(), output.execution()), (Some(&*uuid), 2));
        assert_eq!(resume.is_some(), output.shard() < 2);
    }
}

#[test]
fn a_dry_run_of_a_new_store_names_a_store_that_is_not_made() {
    let flow = Flow::with(Shards::One);
    let (runner, told) = flow.runner("told");
    runner.recover(flow.recovery()).dry_run().unwrap();
    let (output, _) = told.sorted().remove(0);
    assert_eq!(output.execution(), 1);
    let (first, _) = flow.run("told", 1).remove(0);
    assert!(output.store().is_some() && output.store() != first.store());
}

#[test]
fn an_identity_that_is_kept_in_the_position_survives_a_rename() {
    let flow = Flow::with(Shards::One);
    flow.run("told", 1);
    let (output, resume) = flow.run("renamed", 1).remove(0);
    assert_eq!(output.step(), "renamed");
    assert_eq!(resume.as_deref(), Some("told"));
    assert_eq!(output.store(), Some(&*flow.uuid()));
}

#[test]
fn without_a_store_there_is_no_store_to_name() -> Result<(), RunError> {
    let flow = Flow::with(Shards::One);
    let (runner, told) = flow.runner("told");
    runner.run()?;
    assert_eq!(told.sorted(), [(OutputId::new("told", 0), None)]);
    Ok(())
}
