use super::*;
use crate::error::StoreError;
use crate::step::Schemas;
use StepKind::{Sink, Source, State};

fn stored(number: u16, id: &str, kind: StepKind) -> StoredStep {
    StoredStep {
        number,
        id: id.to_owned(),
        kind,
        operator: format!("op_{id}"),
        key_type: "String".to_owned(),
        state_type: "Old".to_owned(),
        key_schema: None,
        state_schema: None,
    }
}

fn step(id: &str, kind: StepKind, renamed_from: &[&str]) -> StepSpec {
    StepSpec {
        id: id.to_owned(),
        kind,
        operator: "op".to_owned(),
        key_type: "String".to_owned(),
        state_type: "New".to_owned(),
        schemas: Schemas::default(),
        renamed_from: renamed_from.iter().map(|id| (*id).to_owned()).collect(),
        place: format!("src/main.rs:{}:9", id.len()),
    }
}

fn agree(ids: &[&str]) -> Agreed {
    Agreed {
        drop_steps: ids.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn run(
    stored: &[StoredStep],
    next_step: u32,
    flow: &[StepSpec],
    drop: &[&str],
) -> Result<Manifest, StepsError> {
    let stored = Stored {
        directory: Path::new("state"),
        steps: stored,
        next_step,
        basis: Basis {
            store: (next_step > 0).then(|| uuid::Uuid::from_u128(1)),
            execution: 1,
            maintained: 0,
        },
    };
    reconcile(&stored, flow, &agree(drop))
}

struct Case {
    name: &'static str,
    stored: Vec<StoredStep>,
    next: u32,
    flow: Vec<StepSpec>,
    drop: &'static [&'static str],
    numbers: &'static [u16],
    dropped: &'static [&'static str],
    notices: &'static [&'static str],
}

#[test]
fn what_is_accepted() {
    let cases = [
        Case {
            name: "a new store gives numbers and says nothing",
            stored: vec![],
            next: 0,
            flow: vec![step("in", Source, &[]), step("s", State, &["older"])],
            drop: &[],
            numbers: &[0, 1],
            dropped: &[],
            notices: &[],
        },
        Case {
            name: "steps are found by id, in any order",
            stored: vec![stored(0, "a", State), stored(4, "b", Sink)],
            next: 5,
            flow: vec![step("b", Sink, &[]), step("a", State, &[])],
            drop: &[],
            numbers: &[4, 0],
            dropped: &[],
            notices: &[],
        },
        Case {
            name: "a new step gets a number nobody had",
            stored: vec![stored(0, "a", State)],
            next: 7,
            flow: vec![step("b", Sink, &[]), step("a", State, &[])],
            drop: &[],
            numbers: &[7, 0],
            dropped: &[],
            notices: &["step `b` is not in the store yet: it starts empty"],
        },
        Case {
            name: "a renamed step keeps its number",
            stored: vec![stored(3, "a", State)],
            next: 4,
            flow: vec![step("b", State, &["oldest", "a"])],
            drop: &[],
            numbers: &[3],
            dropped: &[],
            notices: &["step `b` resumes with the rows of `a`"],
        },
        Case {
            name: "a renaming that was done stays in the flow",
            stored: vec![stored(3, "b", State)],
            next: 4,
            flow: vec![step("b", State, &["a", "b"])],
            drop: &[],
            numbers: &[3],
            dropped: &[],
            notices: &[],
        },
        Case {
            name: "and the old id may be given to another step afterwards",
            stored: vec![stored(3, "b", State), stored(4, "a", State)],
            next: 5,
            flow: vec![step("b", State, &["a"]), step("a", State, &[])],
            drop: &[],
            numbers: &[3, 4],
            dropped: &[],
            notices: &[],
        },
        Case {
            name: "a step that is gone is dropped by agreement",
            stored: vec![stored(0, "a", State), stored(1, "b", Sink)],
            next: 2,
            flow: vec![step("a", State, &[])],
            drop: &["b"],
            numbers: &[0],
            dropped: &["b"],
            notices: &["the stored rows of step `b` are dropped"],
        },
        Case {
            name: "a dropped step that is still there starts empty, with another number",
            stored: vec![stored(0, "a", State)],
            next: 1,
            flow: vec![step("a", Sink, &[])],
            drop: &["a"],
            numbers: &[1],
            dropped: &["a"],
            notices: &[
                "the stored rows of step `a` are dropped",
                "step `a` is not in the store yet: it starts empty",
            ],
        },
        Case {
            name: "of two stored steps one is dropped and the other renamed",
            stored: vec![stored(0, "a", State), stored(1, "b", State)],
            next: 2,
            flow: vec![step("b", State, &["a"])],
            drop: &["b"],
            numbers: &[0],
            dropped: &["b"],
            notices: &[
                "the stored rows of step `b` are dropped",
                "step `b` resumes with the rows of `a`",
            ],
        },
        Case {
            name: "the last number can be given",
            stored: vec![],
            next: 65_535,
            flow: vec![step("a", State, &[])],
            drop: &[],
            numbers: &[65_535],
            dropped: &[],
            notices: &["step `a` is not in the store yet: it starts empty"],
        },
    ];
    for case in cases {
        let name = case.name;
        let manifest = run(&case.stored, case.next, &case.flow, case.drop).unwrap();
        assert_eq!(manifest.numbers, case.numbers, "{name}");
        let dropped: Vec<_> = manifest.dropped.iter().map(|step| &step.id).collect();
        assert_eq!(dropped, case.dropped, "{name}");
        let notices: Vec<_> = manifest.notices.iter().map(ToString::to_string).collect();
        assert_eq!(notices, case.notices, "{name}");
        // The stored steps are those of the flow, with these numbers.
        assert_eq!(manifest.steps.len(), case.flow.len(), "{name}");
        for ((step, number), stored) in case.flow.iter().zip(case.numbers).zip(&manifest.steps) {
            assert_eq!((&stored.id, stored.number), (&step.id, *number), "{name}");
            assert_eq!(
                (stored.kind, &stored.state_type[..]),
                (step.kind, "New"),
                "{name}"
            );
            assert!(u32::from(*number) < manifest.next_step, "{name}");
        }
    }
}

#[test]
fn what_is_refused() {
    let two = || vec![stored(0, "a", State), stored(1, "b", Source)];
    /// The stored steps, the flow, the ids to drop, and the message.
    type Refused = (
        Vec<StoredStep>,
        Vec<StepSpec>,
        &'static [&'static str],
        &'static str,
    );
    let cases: Vec<Refused> = vec![
        (
            two(),
            vec![step("b", Source, &[])],
            &[],
            "the store in state has a step that the flow does not have: `a` (state, op_a)\
             \nhelp: if a step was renamed, say `.renamed_from(\"a\")` where it is now; to give \
             up the rows, start with `--drop-state a`",
        ),
        (
            two(),
            vec![
                step("new", State, &["aa", "oldest"]),
                step("b", Source, &["older"]),
            ],
            &[],
            "the store in state has a step that the flow does not have: `a` (state, op_a); `new` \
             was `aa` before, the flow says, and the store has no `aa`; `new` was `oldest` before, \
             the flow says, and the store has no `oldest`\nhelp: if a step was renamed, say \
             `.renamed_from(\"a\")` where it is now; to give up the rows, start with \
             `--drop-state a`",
        ),
        (
            two(),
            vec![],
            &[],
            "the store in state has steps that the flow does not have: `a` (state, op_a), `b` \
             (source, op_b)\
             \nhelp: if a step was renamed, say `.renamed_from(\"a\")` where it is now; \
             to give up the rows (a source then reads its input from the start), \
             start with `--drop-state a --drop-state b`",
        ),
        (
            two(),
            vec![step("a", Sink, &[]), step("b", Source, &[])],
            &[],
            "src/main.rs:1:9: step `a` is a sink step, and the store in state has it as a state \
             step\nhelp: give it another name with `.named(…)`, or start with `--drop-state a`",
        ),
        (
            two(),
            vec![step("new", Sink, &["a"]), step("b", Source, &[])],
            &[],
            "src/main.rs:3:9: step `new` is a sink step, and the store in state has `a`, its \
             old name, as a state step\nhelp: give it another name with `.named(…)`, or start with \
             `--drop-state a`",
        ),
        (
            two(),
            vec![step("a", State, &[]), step("b", Source, &[])],
            &["c"],
            "there is no step `c` to drop in the store in state: it has `a` (state, op_a), `b` \
             (source, op_b)",
        ),
        (
            vec![],
            vec![],
            &["c"],
            "there is no step `c` to drop in the store in state: it has no steps",
        ),
        (
            vec![stored(0, "a", State), stored(1, "b", State)],
            vec![step("b", State, &["a"])],
            &[],
            "src/main.rs:1:9: the store in state has both `b` and `a`, and step `b` can resume \
             with one only\nhelp: start with `--drop-state` for the one whose rows you give up",
        ),
        (
            vec![stored(0, "a", State), stored(1, "b", State)],
            vec![step("c", State, &["b", "a"])],
            &[],
            "src/main.rs:1:9: the store in state has both `a` and `b`, and step `c` can resume \
             with one only\nhelp: start with `--drop-state` for the one whose rows you give up",
        ),
        (
            vec![stored(0, "a", State)],
            vec![step("b", State, &["a"]), step("cc", State, &["a"])],
            &[],
            "steps `b` (src/main.rs:1:9) and `cc` (src/main.rs:2:9) both say that they were \
             `a`, and the rows in state can go to one only\nhelp: remove one \
             `.renamed_from(\"a\")`",
        ),
        (
            vec![stored(0, "a", State)],
            vec![step("a", State, &[]), step("b", State, &["a"])],
            &[],
            "src/main.rs:1:9: step `b` says that it was `a`, and the flow still has a step `a`: \
             it is unclear which of them the rows in state belong to\
             \nhelp: remove `.renamed_from(\"a\")`, or give the other step another name",
        ),
        (
            vec![],
            vec![step("a", State, &[]), step("a", Sink, &[])],
            &[],
            "the flow has two steps `a`, at src/main.rs:1:9 and at src/main.rs:1:9\
             \nhelp: give one another name with `.named(…)`",
        ),
    ];
    for (stored, flow, drop, message) in cases {
        let error = run(&stored, 2, &flow, drop).unwrap_err();
        assert_eq!(StoreError::from(error).to_string(), message);
    }
    let error = run(
        &[],
        65_535,
        &[step("a", State, &[]), step("b", State, &[])],
        &[],
    );
    assert_eq!(
        StoreError::from(error.unwrap_err()).to_string(),
        "the store in state has used all of its 65,536 step numbers\n\
         help: start with a new directory"
    );
}
