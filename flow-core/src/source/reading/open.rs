//! Opens the partitions of a worker, each at its stored token.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    task::Waker,
};

use flow_store::{Checked, CodecError, TokenRow};

use super::{
    Hand, Reading,
    partition::Partition,
    settle,
    times::Times,
    token::{decode_token, put, token_row},
};
use crate::{
    chain::{Carried, Port},
    engine::{Head, HeadContext, Operator, PartitionBell},
    error::{BuildError, Kept, NotKept, ResumeError, RunError, TypeChange},
    graph::StepIndex,
    record::NoKey,
    source::{At, Reader, Source, SourceError},
    time::NoTime,
};

/// Makes the source on a worker.
pub(crate) fn head<S: Source>(
    index: StepIndex,
    source: S,
    port: Rc<Port<Carried<S::Item, NoKey, NoTime>>>,
) -> Head {
    let source = Rc::new(source);
    let listed = source.clone();
    let mut head = Head::new(index, move |context| {
        let mut checked = Checked::default();
        context.wiring.may_rest = true;
        let chain = port.build(&mut context.wiring);
        let times = Times::new(index, context);
        let partitions = open(&*source, &times, context, &mut checked)?;
        Ok(Operator::Source(Box::new(Reading::<S> {
            step: index,
            id: context.id(),
            at: context.wiring.whereabouts.of(index),
            number: context.store_number(),
            checked,
            partitions,
            turn: 0,
            parser: source
                .line_parser()
                .filter(|parser| parser.splits() && times.allow_blocks()),
            chain,
            times,
            batch: Vec::new(),
            holes: Vec::new(),
            pushed: context.wiring.pushed(),
            fallible: std::mem::take(&mut context.wiring.fallible),
            keys_may_fail: context.wiring.keys_may_fail,
            rests: context.wiring.rests,
            skips: context.wiring.skips.clone(),
            locator: context
                .wiring
                .locates
                .then(|| context.wiring.locator.clone()),
            pushing: (0, 0),
            hand: Hand::Read,
            lines: 0..0,
            stops: false,
        })))
    });
    let settled = listed.clone();
    head.partitions = Some(Box::new(move || listed.partitions()));
    head.settle = Some(Box::new(move |unsettled| {
        settle::settle(&*settled, unsettled)
    }));
    head
}

/// Opens the partitions of this worker, each at its token.
fn open<S: Source>(
    source: &S,
    times: &Times,
    context: &mut HeadContext<'_>,
    checked: &mut Checked,
) -> Result<Vec<Partition<S>>, RunError> {
    let step = context.id();
    context.wiring.whereabouts.of(context.step).enter();
    let settled = context.settled().cloned().unwrap_or_default();
    let mut rows: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for row in context.all_rows()? {
        let row = row.map_err(ResumeError::from)?;
        let partition = TokenRow::partition(&row.key).map_err(|cause| ResumeError::Token {
            step: step.clone(),
            gone: false,
            part: flow_store::text_of(&row.key),
            token: crate::names::short(std::any::type_name::<S::Token>()),
            cause: cause.to_string(),
            change: Box::new(TypeChange::unknown(context.stored_id())),
        })?;
        if !settled.given_up.contains(&partition) {
            rows.insert(partition, row.value);
        }
    }
    let change = context.change();
    let read = |partition: &str, value: &[u8]| -> Result<_, ResumeError> {
        let row = TokenRow::read(value).map_err(|error| error.to_string());
        let token = row.and_then(|row| {
            let token: S::Token = decode_token(&row)?;
            Ok((row.finished, row.times, token))
        });
        token.map_err(|cause| ResumeError::Token {
            step: step.clone(),
            gone: false,
            part: partition.to_owned(),
            token: crate::names::short(std::any::type_name::<S::Token>()),
            cause,
            change: Box::new(change.clone()),
        })
    };
    // If the type of the tokens has changed, all of them are rewritten, also those of partitions
    // that are gone.
    if context.rewrite().is_some()
        && context.wiring.worker == 0
        && let Some(number) = context.store_number()
    {
        for (partition, value) in &rows {
            let (finished, times, token) = read(partition, value)?;
            let row = token_row(finished, &times, &token, checked)
                .map_err(|error| not_kept::<S>(&step, partition, error))?;
            let key = TokenRow::key(partition);
            put(context.opening, number, &key, &row);
        }
    }
    let mut partitions = Vec::new();
    let mut opened = Vec::new();
    for name in context.partitions() {
        let moved = settled.moved.get(name);
        let stored = moved.or_else(|| rows.get(name));
        let mut latest = times.none();
        let at = match stored {
            Some(value) => {
                let (_, stored, mut token) = read(name, value)?;
                latest = times.of_row(&stored);
                if context.skips_rest_of_line(name) {
                    let behind = source.skip_rest_of_line(name, &token);
                    token = behind.map_err(|error| ResumeError::Source {
                        step: step.clone(),
                        error,
                    })?;
                }
                At::Token(token)
            }
            None if context.skips_rest_of_line(name) => {
                let text = format!("nothing of {name} has been read, so there is nothing to skip");
                let (step, error) = (step.clone(), SourceError::new(text));
                return Err(ResumeError::Source { step, error }.into());
            }
            None if context.is_known() => At::New,
            None => At::Start,
        };
        let mut reader = source.open(name, at).map_err(|error| -> RunError {
            let step = step.clone();
            if stored.is_some() {
                ResumeError::Source { step, error }.into()
            } else {
                let place = context.place();
                BuildError::Source { step, place, error }.into()
            }
        })?;
        if let Some(lines) = reader.file_lines() {
            lines.belong_to(&step, context.take_unfinished);
        }
        let key = TokenRow::key(name);
        let written = match stored {
            Some(value) => value.clone(),
            None => token_row(false, &BTreeMap::new(), &reader.token(0), checked)
                .map_err(|error| not_kept::<S>(&step, name, error))?,
        };
        if moved.is_some() || stored.is_none() {
            opened.push((key.clone(), written.clone()));
        }
        let bell: Arc<PartitionBell> = Arc::default();
        partitions.push(Partition {
            waker: Waker::from(bell.clone()),
            bell,
            key,
            name: name.clone(),
            reader: Rc::new(RefCell::new(reader)),
            records: VecDeque::new(),
            latest,
            pushed: 0,
            skipped: 0,
            bytes_each: 0,
            at_end: false,
            idle: None,
            failure: None,
            failed: false,
            moved: false,
            written,
            after: Vec::new(),
        });
    }
    let names = context.partitions().iter().map(String::as_str);
    let places: BTreeMap<&str, usize> = names.zip(0..).collect();
    let place = |name: &str| places.get(name).copied();
    for (name, first) in &settled.after {
        if let (Some(waits), Some(first)) = (place(name), place(first)) {
            partitions[waits].after.push(first);
        }
    }
    // The opening commit records all partitions. So a later start notices a partition that is gone
    // before anything of it was read.
    if let Some(number) = context.store_number() {
        for (key, value) in &opened {
            let opening = &mut context.opening;
            put(opening, number, key, value);
        }
    }
    Ok(partitions)
}

/// The error of a token that can't be kept at a start.
pub(super) fn not_kept<S: Source>(step: &str, partition: &str, cause: CodecError) -> ResumeError {
    let error = NotKept::new::<S::Token>(Kept::Token, Some(partition.to_owned()), cause);
    ResumeError::NotKept {
        step: step.to_owned(),
        error: error.into(),
    }
}
