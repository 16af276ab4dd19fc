//! The command line of a flow: the user's arguments and flow's options.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, FromArgMatches};
use flow_core::{Epoch, Epochs, Recovery, Retain, Runner};

/// The options of a run.
#[derive(Debug, Args)]
// A group would be named after this type, and the user may have a type of the same name.
#[group(skip)]
#[command(next_help_heading = "Flow options")]
pub(super) struct RunOptions {
    /// Keep the flow's state in this directory, and resume from it
    #[arg(long, value_name = "DIR")]
    recover: Option<PathBuf>,

    /// When an epoch ends: every-record, a number of records (200) or a duration (7ms, 1s, 1h)
    #[arg(long, value_name = "EPOCH", default_value = "1s")]
    epoch: Epochs,

    /// The number of worker threads
    #[arg(short, long, value_name = "N", default_value_t = 1)]
    workers: usize,

    /// Drop the rows of a step; a source then reads its input from the beginning (with --recover)
    #[arg(long, value_name = "STEP", requires = "recover")]
    drop_state: Vec<String>,

    /// Leave the rest of a partition unread that is gone or was replaced; whatever now has its name
    /// is read from the beginning (with --recover)
    #[arg(long, value_name = "PARTITION", requires = "recover")]
    drop_partition: Vec<String>,

    /// Read a last line that has no newline; by default it is left for a later run
    #[arg(long)]
    take_unfinished_lines: bool,

    /// Keep what was read of an unfinished line, and resume after the line (with --recover)
    #[arg(long, value_name = "PARTITION", requires = "recover")]
    skip_rest_of_line: Vec<String>,

    /// Resume the partition that was read as OLD in NEW, its present name (with --recover)
    #[arg(long, value_name = "OLD=NEW", requires = "recover", value_parser = renaming)]
    rename_partition: Vec<String>,

    /// Keep earlier epochs restorable: a number (100) or a duration (30m, 24h) (with --recover)
    #[arg(long, value_name = "EPOCHS", requires = "recover")]
    retain: Option<Retain>,

    /// Go back to this retained epoch, and give up what came after it (with --recover)
    #[arg(long, value_name = "EPOCH", requires = "recover")]
    from_epoch: Option<Epoch>,
}

impl RunOptions {
    pub(super) fn apply(self, runner: Runner) -> Runner {
        let runner = runner.epochs(self.epoch).workers(self.workers);
        let runner = match self.take_unfinished_lines {
            true => runner.take_unfinished_lines(),
            false => runner,
        };
        let Some(directory) = self.recover else {
            return runner;
        };
        let mut recovery = Recovery::at(directory);
        for step in self.drop_state {
            recovery = recovery.drop_state(step);
        }
        for partition in self.drop_partition {
            recovery = recovery.drop_partition(partition);
        }
        for partition in self.skip_rest_of_line {
            recovery = recovery.skip_rest_of_line(partition);
        }
        for renaming in self.rename_partition {
            recovery = recovery.rename_partition_text(renaming);
        }
        recovery = recovery.retain(self.retain.unwrap_or_default());
        if let Some(epoch) = self.from_epoch {
            recovery = recovery.from_epoch(epoch);
        }
        runner.recover(recovery)
    }
}

/// Checks that a text is `OLD=NEW`.
fn renaming(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok(text.to_owned()),
        _ => Err("give the old name and the new one: `app.log=app.log.1`".to_owned()),
    }
}

/// The command that was given.
pub(super) enum Command {
    Run(RunOptions),
    Check(RunOptions),
    Graph,
}

impl Command {
    pub(super) fn of(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(("run", matches)) => Ok(Command::Run(RunOptions::from_arg_matches(matches)?)),
            Some(("check", matches)) => Ok(Command::Check(RunOptions::from_arg_matches(matches)?)),
            _ => Ok(Command::Graph),
        }
    }
}

/// The whole command line, around the user's arguments.
pub(super) fn command<A: Args>() -> clap::Command {
    let with_options = |name, about: &'static str| {
        let command = RunOptions::augment_args(A::augment_args(clap::Command::new(name)));
        // It is set last, because clap takes the documentation of `RunOptions` for that of the
        // command.
        command.about(about).next_help_heading(None::<&str>)
    };
    let run = with_options("run", "Run the flow");
    let check = with_options(
        "check",
        "Check whether a run would start: do all that a start does, but change nothing",
    );
    let graph = clap::Command::new("graph").about("Print the flow's steps: ids, types, places");
    let name = std::env::args_os().next().map(PathBuf::from);
    let name = name.and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    clap::Command::new("flow")
        .bin_name(name.unwrap_or_else(|| "flow".to_owned()))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(run)
        .subcommand(check)
        .subcommand(A::augment_args(graph))
}

/// The matches of the command that was given.
pub(super) fn inner(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| inner)
}

/// An error for all of the user's arguments that clash with flow's options. clap would panic at the
/// first of them.
///
/// They are known only when the program runs: `#[derive(clap::Args)]` provides no constant.
pub(super) fn clash<A: Args>() -> Option<String> {
    let ours = RunOptions::augment_args(clap::Command::new("ours"));
    // clap adds this one to every command.
    let ours = ours.arg(Arg::new("help").short('h').long("help"));
    let theirs = A::augment_args(clap::Command::new("theirs"));
    let mut clashes = Vec::new();
    for theirs in theirs.get_arguments() {
        let names: Vec<String> = ours
            .get_arguments()
            .flat_map(|ours| shared(ours, theirs))
            .collect();
        if !names.is_empty() {
            clashes.push(format!(
                "{} (field `{}`)",
                names.join(" and "),
                theirs.get_id()
            ));
        }
    }
    let fields = match clashes.len() {
        0 => return None,
        1 => "an argument of this flow has a name that flow uses itself",
        _ => "arguments of this flow have names that flow uses itself",
    };
    let one = if clashes.len() == 1 {
        "the field"
    } else {
        "the fields"
    };
    Some(format!(
        "{fields}: {}\nhelp: rename {one}, or give the option another name: `#[arg(long \
         = \"..\")]`",
        clashes.join(", ")
    ))
}

/// The names that two arguments share, as a user types them.
fn shared(ours: &Arg, theirs: &Arg) -> Vec<String> {
    let longs = |arg: &Arg| -> Vec<String> {
        let long = arg.get_long().into_iter().map(str::to_owned);
        let aliases = arg.get_all_aliases().into_iter().flatten();
        long.chain(aliases.map(str::to_owned)).collect()
    };
    let shorts = |arg: &Arg| -> Vec<char> {
        let aliases = arg.get_all_short_aliases().into_iter().flatten();
        arg.get_short().into_iter().chain(aliases).collect()
    };
    let (our_longs, our_shorts) = (longs(ours), shorts(ours));
    let long = longs(theirs)
        .into_iter()
        .filter(|long| our_longs.contains(long));
    let short = shorts(theirs)
        .into_iter()
        .filter(|short| our_shorts.contains(short));
    let long = long.map(|long| format!("`--{long}`"));
    let mut names: Vec<String> = long
        .chain(short.map(|short| format!("`-{short}`")))
        .collect();
    if names.is_empty() && ours.get_id() == theirs.get_id() {
        names.push(format!("`{}`", theirs.get_id()));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Args)]
    struct Fine {
        input: PathBuf,
        #[arg(long)]
        limit: Option<u64>,
    }

    #[derive(Args)]
    struct Long {
        #[arg(long)]
        recover: bool,
    }

    #[derive(Args)]
    struct Short {
        #[arg(short = 'w')]
        width: u32,
    }

    #[derive(Args)]
    struct Id {
        workers: u32,
    }

    #[derive(Args)]
    struct Many {
        #[arg(short, long)]
        workers: u32,
        #[arg(long)]
        epoch: String,
        input: PathBuf,
        /// `-h` belongs to `--help`.
        #[arg(short, long)]
        host: String,
        #[arg(long = "state", alias = "recover")]
        store: PathBuf,
    }

    mod same_name {
        #[derive(clap::Args)]
        pub(super) struct RunOptions {
            #[arg(long)]
            pub(super) limit: u64,
        }
    }

    #[test]
    fn arguments_of_our_own_are_refused_by_name_all_at_once() {
        assert_eq!(clash::<Fine>(), None);
        assert_eq!(
            clash::<Long>().unwrap(),
            "an argument of this flow has a name that flow uses itself: `--recover` (field \
             `recover`)\nhelp: rename the field, or give the option another name: `#[arg(long = \
             \"..\")]`"
        );
        assert!(clash::<Short>().unwrap().contains(": `-w` (field `width`)"));
        assert!(
            clash::<Id>()
                .unwrap()
                .contains(": `workers` (field `workers`)")
        );
        assert!(
            clash::<Many>().unwrap().starts_with(
                "arguments of this flow have names that flow uses itself: `--workers` and `-w` \
                 (field `workers`), `--epoch` (field `epoch`), `-h` (field `host`), `--recover` \
                 (field `store`)\nhelp: "
            ),
            "{:?}",
            clash::<Many>()
        );
    }

    #[test]
    fn a_type_of_arguments_may_be_called_as_ours_is() {
        assert_eq!(clash::<same_name::RunOptions>(), None);
        command::<same_name::RunOptions>().debug_assert();
        let matches = command::<same_name::RunOptions>()
            .get_matches_from(["x", "run", "--limit", "3", "-w", "2"]);
        let args = same_name::RunOptions::from_arg_matches(inner(&matches)).unwrap();
        assert_eq!(args.limit, 3);
    }

    #[test]
    fn the_command_line_is_sound_and_takes_both_kinds_of_arguments() {
        command::<Fine>().debug_assert();
        let line = [
            "x", "run", "in.json", "--limit", "3", "--epoch", "7ms", "-w", "2",
        ];
        let matches = command::<Fine>().get_matches_from(line);
        let args = Fine::from_arg_matches(inner(&matches)).unwrap();
        assert_eq!((args.input, args.limit), ("in.json".into(), Some(3)));
        let Ok(Command::Run(options)) = Command::of(&matches) else {
            panic!("not a run");
        };
        assert_eq!(options.workers, 2);
        assert_eq!(options.epoch, "7ms".parse().unwrap());
    }
}
