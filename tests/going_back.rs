//! Going back to an epoch before the last one, on purpose: `--retain`, `--from-epoch`.
#![cfg(test)]

mod support;

use std::{fs, path::Path};

use flow::{Outcome, Retain, prelude::*};
use flow_store::{Epoch, KEY_GROUPS, Look};
use support::{Ended, Workdir, program};

const REFUSED: i32 = 3;

/// A flow of words in a file, numbered by their first letter, with its input.
struct Words(Workdir);

#[derive(Default, Serialize, Deserialize)]
struct Count {
    seen: u64,
}

/// The flow of `tests/programs/words.rs`.
fn number_words(flow: &Flow, input: &Path, output: &Path) {
    let count = |count: &mut Count, word: String| {
        count.seen += 1;
        format!("{word} {}", count.seen)
    };
    let words = flow.source(TextLines::open(input)).named("words");
    let letters = words.key_on(|word| word.chars().take(1).collect::<String>());
    let counted = letters.stateful_map(count).named("count");
    let out = counted
        .map(|(_, line)| line)
        .sink(TextLines::write_to(output));
    out.named("written");
}

impl Words {
    fn new() -> Self {
        let work = Workdir::new();
        work.write("in", words(0..30));
        Words(work)
    }

    fn run(&self, options: &[&str]) -> Ended {
        let [input, output] = ["in", "out"].map(|name| self.0.path(name).display().to_string());
        let flow = ["run", &input, "--output", &output, "--recover", "state"];
        self.0.run(&program("words"), &[&flow, options].concat())
    }

    /// Runs the flow in this process so that no record is read before the one before it is durable:
    /// each has an epoch and a commit of its own.
    fn run_slowly(
        &self,
        workers: usize,
        recover: impl FnOnce(Recovery) -> Recovery,
    ) -> Result<Outcome, RunError> {
        let (input, output) = (self.0.path("in"), self.0.path("out"));
        Runner::new(move |flow: &Flow| number_words(flow, &input, &output))
            .workers(workers)
            .epochs(Epochs::every_record())
            .records_in_flight(1)
            .bytes_in_flight(1 << 20)
            .recover(recover(Recovery::at(self.0.path("state"))))
            .run()
    }

    fn look<R>(&self, look: impl FnOnce(&Look) -> R) -> R {
        support::look(&self.0.path("state"), look)
    }

    /// The epochs that are retained, oldest first.
    fn retained(&self) -> Vec<Epoch> {
        self.look(|look| look.retained().iter().map(|it| it.epoch).collect())
    }

    /// What the store and the output hold.
    fn everything(&self) -> (Rows, String) {
        (self.look(rows), self.0.text("out"))
    }
}

/// Keys and values, by step.
type Rows = Vec<(String, Vec<u8>, Vec<u8>)>;

fn rows(look: &Look) -> Rows {
    let rows = |step: &flow_store::StoredStep| -> Rows {
        let rows = look.rows(step.number, 0..KEY_GROUPS).unwrap();
        let named = rows.map(|row| {
            let row = row.unwrap();
            (step.id.clone(), row.key, row.value)
        });
        named.collect()
    };
    look.steps().iter().flat_map(rows).collect()
}

fn words(numbers: std::ops::Range<u32>) -> String {
    let letters = ["ant", "bee", "asp", "cat", "bug"];
    let word = |n| format!("{}{n}\n", letters[n as usize % letters.len()]);
    numbers.map(word).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::remove_dir_all(to).ok();
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Several runs, each with another number of workers. At every epoch that the store can go back to,
/// the state is that of a run which read no further, and a resume from there emits the same
/// results.
#[test]
fn from_every_epoch_that_is_retained_all_comes_out_as_it_had() {
    let flow = Words::new();
    let work = &flow.0;
    for (upto, workers) in [(7, 1), (19, 3), (30, 2)] {
        work.write("in", words(0..upto));
        let retain = |recovery: Recovery| recovery.retain(Retain::Epochs(100));
        flow.run_slowly(workers, retain).unwrap();
    }
    let retained = flow.retained();
    assert!(retained.len() > 30, "{retained:?}");
    let (state, out) = flow.everything();
    copy(&work.path("state"), &work.path("kept"));
    let (mut seen, mut read) = (Vec::new(), Vec::new());
    for (n, epoch) in retained.iter().enumerate() {
        fs::remove_dir_all(work.path("state")).unwrap();
        copy(&work.path("kept"), &work.path("state"));
        work.write("out", &out);
        let then = Look::at(work.path("state")).unwrap().see(*epoch).unwrap();
        seen.push(rows(&then));
        drop(then);

        let back = |recovery: Recovery| recovery.from_epoch(*epoch);
        let outcome = flow.run_slowly(1 + n % 3, back).unwrap();
        let last = flow.look(|look| look.last_execution().unwrap().clone());
        assert_eq!(last.resumed_from, *epoch);
        assert_eq!(last.went_back_from.unwrap().execution(), 3);
        read.push(outcome.records);
        let (now, written) = flow.everything();
        assert_eq!(now, state, "from {epoch}");
        let by_letter = |out: &str| {
            let mut lines: Vec<_> = out.lines().map(str::to_owned).collect();
            lines.sort_by_key(|line| line[..1].to_owned());
            lines
        };
        assert_eq!(by_letter(&written), by_letter(&out), "from {epoch}");
        // The numbers of the epochs that were given up are not used again.
        assert!(flow.look(Look::epoch) > retained[retained.len() - 1]);
    }
    // The first is the start of the first execution, where nothing had been read; then it is a
    // record less each time, but for the starts of the others.
    assert_eq!(retained[0], Epoch::opening(1));
    assert_eq!((read[0], read[1], read[29], read[31]), (30, 29, 3, 1));
    seen.dedup();
    assert!(seen.len() >= 30, "each epoch has a state of its own");
}

/// The purpose of going back: the program was wrong for a while.
#[test]
fn a_change_that_was_wrong_is_taken_back() {
    let flow = Words::new();
    let work = &flow.0;
    work.write("in", words(0..10));
    flow.run(&["--retain", "24h"]).expect(0);
    let before = flow.everything();
    let good = flow.look(Look::epoch).to_string();

    // A version that keeps something else under the same name, and gives up what was there.
    work.write("in", words(0..20));
    let wrong = ["--shape", "retyped", "--retain", "24h"];
    let agreed = [&wrong[..], &["--drop-state", "count"]].concat();
    flow.run(&agreed).expect(0);
    assert_ne!(flow.everything().1, before.1);

    // The old version alone does not fit any more.
    flow.run(&["--retain", "24h"])
        .one_error(REFUSED, ["`count`"]);
    let back = ["--retain", "24h", "--from-epoch", &good];
    flow.run(&back).expect(0).says([
        format!("resuming from epoch {good}"),
        format!("goes back to {good}: what came in between is given up"),
    ]);
    let (_, out) = flow.everything();
    assert_eq!(out.lines().count(), 20);
    assert!(out.starts_with(&before.1), "{out}");
    let number = |letter: char| out.lines().filter(|line| line.starts_with(letter)).count();
    let last = out.lines().rfind(|line| line.starts_with('a')).unwrap();
    assert!(last.ends_with(&format!(" {}", number('a'))), "{out}");
    // A program that is restarted with the same arguments does not lose what it has done.
    let kept = work.snapshot("state");
    let refused = flow.run(&back).one_error(
        REFUSED,
        [
            "execution 3 has gone back to epoch",
            "omit `--from-epoch`",
            "say `--from-epoch 3.0`",
        ],
    );
    refused.silent();
    kept.assert_same(&work.snapshot("state"));
    flow.run(&["--retain", "24h", "--from-epoch", "3.0"])
        .expect(0);
    assert_eq!(flow.everything().1, out);
}

#[test]
fn an_epoch_that_is_not_retained_is_refused_and_nothing_is_changed() {
    let flow = Words::new();
    let work = &flow.0;
    let four = |recovery: Recovery| recovery.retain(Retain::Epochs(4));
    flow.run_slowly(2, four).unwrap();
    let retained = flow.retained();
    assert_eq!(retained.len(), 4);
    let last = flow.look(Look::epoch);
    let out = work.text("out");
    let kept = work.snapshot("state");
    let refused = |epoch: &str, says: &str| {
        let ended = flow.run(&["--from-epoch", epoch]);
        let says = [says.to_owned(), format!("it is at {last}")];
        ended.one_error(REFUSED, says).silent();
        kept.assert_same(&work.snapshot("state"));
        assert_eq!(work.text("out"), out);
    };
    let list = format!("retains 4 others, from {} to {}", retained[0], retained[3]);
    refused("1.0", &list);
    refused("7.7", &list);
    let ended = flow.run(&["--from-epoch", "yesterday"]).expect(2);
    ended.says(["expected an epoch as messages show it"]);
    let ended = flow.run(&["--retain", "0"]).expect(2);
    ended.says(["expected a number of epochs"]);

    // The last epoch itself is where it is.
    let last_again = ["--from-epoch", &last.to_string(), "--retain", "4"];
    flow.run(&last_again).expect(0);
    let resumed = flow.look(|look| look.last_execution().unwrap().clone());
    assert_eq!((resumed.number, resumed.went_back_from), (2, Some(last)));
    // But once: what comes after it is not to be given up because the program is started with the
    // same words.
    flow.run(&last_again)
        .one_error(REFUSED, ["execution 2 has gone back to epoch"]);
    // A run that retains nothing says what it forgets.
    flow.run(&[])
        .expect(0)
        .says(["the 4 epochs that were retained are forgotten"]);
    assert_eq!(flow.retained(), []);
    let ended = flow.run(&["--from-epoch", "2.0"]);
    ended.one_error(REFUSED, ["retains no other"]);
    flow.run(&[]).expect(0);
}

#[test]
fn an_output_that_was_shortened_is_refused_as_at_any_start() {
    let flow = Words::new();
    let retain = |recovery: Recovery| recovery.retain(Retain::Epochs(100));
    flow.run_slowly(1, retain).unwrap();
    let retained = flow.retained();
    let late = retained[retained.len() - 1];
    flow.0.write("out", "ant0 1\n");
    let kept = flow.0.snapshot("state");
    let back = |epoch| move |recovery: Recovery| recovery.from_epoch(epoch);
    let refused = flow.run_slowly(1, back(late)).unwrap_err();
    assert!(
        refused.to_string().contains("only 7 are there"),
        "{refused}"
    );
    kept.assert_same(&flow.0.snapshot("state"));
    // Further back that is enough.
    flow.run_slowly(1, back(retained[1])).unwrap();
    assert_eq!(flow.0.text("out").lines().count(), 30);
}
