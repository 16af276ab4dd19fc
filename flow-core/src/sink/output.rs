//! Identifies the output that a sink opens.

/// The output that a sink opens: one shard of one step, in one execution of one store.
///
/// # For authors of connectors
///
/// - **A transactional id**, or the name of a row that holds a marker: [`store`](OutputId::store),
///   [`step`](OutputId::step) and [`shard`](OutputId::shard), as in `flow.<store>.<step>.<shard>`.
///   Together they are the same in every execution, whatever its number of workers, and differ from
///   those of every other output of every other store.
/// - **A fence**: [`execution`](OutputId::execution). It grows with each start. So an output that
///   has seen execution 8 refuses what a process of execution 7 still sends. Do not put it into the
///   transactional id: the fence is kept under that id.
/// - **A rename** of the step (`.renamed_from("old")`) changes `step`, and with it such an id. A
///   sink that needs an identity that survives renames chooses it at its first opening, when
///   `resume` is `None`. It keeps the identity in its [`Position`](super::Sink::Position), which is
///   handed back under the new name.
/// - **A copy** of a store has the uuid of its original. If two copies run, the fence stops the one
///   with the lower execution.
/// - Without a store there is nothing to resume, and `store` is `None`. Then an id needs a random
///   part of its own.
///
/// ```
/// use flow::sink::OutputId;
///
/// let id = |output: &OutputId| {
///     let store = output.store()?;
///     Some(format!("flow.{store}.{}.{}", output.step(), output.shard()))
/// };
/// let output = OutputId::new("payments", 0).in_store("0f1e", 8);
/// assert_eq!(id(&output), Some("flow.0f1e.payments.0".to_owned()));
/// assert_eq!(id(&OutputId::new("payments", 0)), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputId {
    store: Option<String>,
    step: String,
    execution: u64,
    shard: u32,
    ended_cleanly: bool,
    others_wrote: bool,
}

impl OutputId {
    /// An output of a run without a store, for tests of a sink. A run makes its own.
    pub fn new(step: impl Into<String>, shard: u32) -> Self {
        OutputId {
            store: None,
            step: step.into(),
            execution: 1,
            shard,
            ended_cleanly: false,
            others_wrote: false,
        }
    }

    /// The same output in an execution of a store.
    #[must_use]
    pub fn in_store(mut self, store: impl Into<String>, execution: u64) -> Self {
        self.store = Some(store.into());
        self.execution = execution;
        self
    }

    /// The same output after an execution that ended cleanly, or did not.
    #[must_use]
    pub fn after(self, ended_cleanly: bool) -> Self {
        OutputId {
            ended_cleanly,
            ..self
        }
    }

    /// The same output after an execution that failed because someone else wrote to an output, or
    /// did not.
    #[must_use]
    pub fn after_others_wrote(self, others_wrote: bool) -> Self {
        OutputId {
            others_wrote,
            ..self
        }
    }

    /// Whether the previous execution failed because someone else wrote to this output, or to
    /// another one of the flow. If so, bytes behind the position may not all be flow's.
    #[must_use]
    pub fn others_wrote(&self) -> bool {
        self.others_wrote
    }

    /// Whether the previous execution ended by itself and made everything durable that it wrote: it
    /// finished, was stopped, or stopped before a record that failed. If so, anything behind the
    /// position is someone else's.
    ///
    /// False after a kill, after a failure that gave up epochs, and after a roll back to an earlier
    /// epoch.
    #[must_use]
    pub fn ended_cleanly(&self) -> bool {
        self.ended_cleanly
    }

    /// The uuid of the store, in its usual form: `67e55044-10b1-426f-9247-bb680e5fe0c8`. `None` for
    /// a run without a store.
    ///
    /// It is chosen before the store is made, so the first run has it too. If that start fails, the
    /// next one chooses another.
    #[must_use]
    pub fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// The id of the step: `carts.orders`.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }

    /// The number of this execution of the store, from 1. It grows with each start and is never
    /// used twice. 1 for a run without a store.
    #[must_use]
    pub fn execution(&self) -> u64 {
        self.execution
    }

    /// The number of this output of the step, from 0. A sink with
    /// [`Shards::One`](super::Shards::One) has only 0. With
    /// [`Shards::PerWorker`](super::Shards::PerWorker) it is the number of the worker.
    #[must_use]
    pub fn shard(&self) -> u32 {
        self.shard
    }
}
