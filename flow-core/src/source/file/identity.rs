//! What a file was when it was read, and what is there now: whether reading goes on, and where.
//!
//! [`judge`] decides it from facts alone, so that all who ask get the same answer: a start, the end of an epoch, the end of a
//! file, and whoever follows a file that grows.

use serde::{Deserialize, Serialize};

/// A file as the system knows it, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileNumber {
    /// The number of its device, which may be another one after the system was started again.
    pub device: u64,
    /// Its number on that device, which a later file may be given.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970; `None` where the file system does not say. A later file with the same inode
    /// has another time.
    pub born: Option<u64>,
}

impl FileNumber {
    /// Whether both are the number of one file.
    pub(super) fn is(self, other: FileNumber) -> bool {
        match (self.born, other.born) {
            (Some(one), Some(other_born)) => one == other_born && self.inode == other.inode,
            _ => self.inode == other.inode && self.device == other.device,
        }
    }
}

/// What was read of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Was {
    pub(super) number: Option<FileNumber>,
    /// How many bytes.
    pub(super) offset: u64,
    /// How many lines.
    pub(super) lines: u64,
    /// How many of the bytes at its beginning are known by a hash.
    pub(super) head: u64,
}

/// What is at a place now, compared with a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// Nothing.
    Gone,
    /// No regular file.
    NoFile,
    File(Facts),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) number: Option<FileNumber>,
    pub(super) length: u64,
    /// Its first bytes are those that were read, as far as they are known.
    pub(super) head: bool,
    /// The bytes before the position are those that were read.
    pub(super) tail: bool,
}

/// A file at another place, which may be what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other<Place> {
    pub(super) place: Place,
    pub(super) facts: Facts,
    pub(super) named: Named,
}

/// How another place came to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is an input.
    Input,
    /// It lies beside the file, under a name that rotation gives: `app.log.1` beside `app.log`. Or the file's name is a link, and
    /// this lies where it leads now.
    Rotation,
    /// It lies beside the file.
    Beside,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<Place> {
    /// There is more to read, or may be.
    Continue,
    /// It is the file, and all of it has been read.
    Wait,
    /// What was read is at another place now. What bears the name is another file.
    Rotated(Place),
    /// It can't be read on.
    Refuse(Reason<Place>),
}

/// Why a file can't be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason<Place> {
    Gone,
    NoFile,
    /// It is shorter than what was read of it.
    Shorter,
    /// It begins with other bytes.
    OtherHead,
    /// The bytes before the position are others.
    OtherTail,
    /// It looks like what is at another place now, which a person has to say.
    Perhaps(Place),
}

/// So many bytes that are the same at the beginning of two files are no accident.
const TELLING: u64 = 64;

/// What is to be done with a file that was read, from what bears its name now and from what other places there are.
pub(super) fn judge<Place: Copy>(was: &Was, here: &Now, others: &[Other<Place>]) -> Verdict<Place> {
    let differs = match here {
        Now::Gone => Some(Reason::Gone),
        Now::NoFile => Some(Reason::NoFile),
        Now::File(facts) => differs(was, facts),
    };
    let is_it = |number: Option<FileNumber>| match (was.number, number) {
        (Some(was), Some(now)) => Some(was.is(now)),
        _ => None,
    };
    let here_is_it = match here {
        Now::File(facts) => is_it(facts.number),
        _ => Some(false),
    };
    if differs.is_none() && here_is_it == Some(true) {
        return go_on(was, here);
    }
    // The same file under another name. Where its time of birth is unknown, a number that was given again is told by content,
    // or by where the file lies.
    let moved = others.iter().find(|other| {
        let number_tells = was.number.is_some_and(|number| number.born.is_some());
        is_it(other.facts.number) == Some(true)
            && differs_not(was, &other.facts)
            && (number_tells || other.named == Named::Rotation || tells(was, &other.facts))
            && other.named != Named::Beside
    });
    if let Some(other) = moved {
        return Verdict::Rotated(other.place);
    }
    let Some(differs) = differs else {
        return go_on(was, here);
    };
    // Cut in place, after its content had been copied beside it.
    let is_cut = here_is_it == Some(true);
    let copied = others.iter().find(|other| {
        is_cut
            && other.named == Named::Rotation
            && differs_not(was, &other.facts)
            && is_more_than_header(was)
    });
    if let Some(other) = copied {
        return Verdict::Rotated(other.place);
    }
    let perhaps = others.iter().find(|other| {
        other.named == Named::Input && differs_not(was, &other.facts) && tells(was, &other.facts)
    });
    Verdict::Refuse(perhaps.map_or(differs, |other| Reason::Perhaps(other.place)))
}

fn go_on<Place>(was: &Was, here: &Now) -> Verdict<Place> {
    match here {
        Now::File(facts) if facts.length == was.offset => Verdict::Wait,
        _ => Verdict::Continue,
    }
}

/// How a file differs from what was read of it.
fn differs<Place>(was: &Was, facts: &Facts) -> Option<Reason<Place>> {
    if facts.length < was.offset {
        Some(Reason::Shorter)
    } else if !facts.head {
        Some(Reason::OtherHead)
    } else if !facts.tail {
        Some(Reason::OtherTail)
    } else {
        None
    }
}

fn differs_not(was: &Was, facts: &Facts) -> bool {
    differs::<()>(was, facts).is_none()
}

/// Whether content alone says that a file which begins with all that was read of another one is that one.
///
/// Files of a kind begin alike. Of a file that goes on where the other ended, more is asked than of one that is as long.
fn tells(was: &Was, facts: &Facts) -> bool {
    is_more_than_header(was) && (facts.length == was.offset || was.offset > was.head)
}

/// Whether what was read says something: a first line says nothing, for it may be a header of which the day had no more.
fn is_more_than_header(was: &Was) -> bool {
    was.head >= TELLING && was.lines > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: FileNumber = FileNumber {
        device: 1,
        inode: 7,
        born: Some(100),
    };
    /// A later file that was given the same inode.
    const AGAIN: FileNumber = FileNumber {
        born: Some(200),
        ..NUMBER
    };
    const OTHER: FileNumber = FileNumber {
        device: 1,
        inode: 8,
        born: Some(300),
    };
    /// The same file, after the system was started again.
    const REBOOTED: FileNumber = FileNumber {
        device: 2,
        ..NUMBER
    };
    const OLD_SYSTEM: FileNumber = FileNumber {
        born: None,
        ..NUMBER
    };

    const READ: Was = Was {
        number: Some(NUMBER),
        offset: 5000,
        lines: 50,
        head: 1024,
    };
    const HEADER: Was = Was {
        offset: 80,
        lines: 1,
        head: 80,
        ..READ
    };
    const NOTHING: Was = Was {
        offset: 0,
        lines: 0,
        head: 0,
        ..READ
    };
    const SHORT: Was = Was {
        offset: 200,
        lines: 4,
        head: 200,
        ..READ
    };

    fn facts(number: FileNumber, length: u64) -> Facts {
        Facts {
            number: Some(number),
            length,
            head: true,
            tail: true,
        }
    }

    fn file(number: FileNumber, length: u64) -> Now {
        Now::File(facts(number, length))
    }

    fn other_head(number: FileNumber, length: u64) -> Now {
        Now::File(Facts {
            head: false,
            tail: false,
            ..facts(number, length)
        })
    }

    fn other_tail(number: FileNumber, length: u64) -> Now {
        Now::File(Facts {
            tail: false,
            ..facts(number, length)
        })
    }

    fn at(named: Named, number: FileNumber, length: u64) -> Other<u8> {
        Other {
            place: 1,
            facts: facts(number, length),
            named,
        }
    }

    #[test]
    fn what_it_was_and_what_is_there() {
        use Named::{Beside, Input, Rotation};
        use Reason::{Gone, NoFile, OtherHead, OtherTail, Perhaps, Shorter};
        use Verdict::{Continue, Refuse, Rotated, Wait};

        let old = |was: Was| Was {
            number: Some(OLD_SYSTEM),
            ..was
        };
        let unnumbered = |was: Was| Was {
            number: None,
            ..was
        };
        let (none, one) = (vec![], |other| vec![other]);
        type Case = (&'static str, Was, Now, Vec<Other<u8>>, Verdict<u8>);
        let cases: Vec<Case> = vec![
            // Under its name.
            (
                "it has grown",
                READ,
                file(NUMBER, 6000),
                none.clone(),
                Continue,
            ),
            (
                "it is as it was",
                READ,
                file(NUMBER, 5000),
                none.clone(),
                Wait,
            ),
            (
                "a copy in its place",
                READ,
                file(OTHER, 6000),
                none.clone(),
                Continue,
            ),
            (
                "the system was started again",
                READ,
                file(REBOOTED, 6000),
                none.clone(),
                Continue,
            ),
            (
                "not numbered",
                unnumbered(READ),
                file(NUMBER, 6000),
                none.clone(),
                Continue,
            ),
            (
                "nothing was read, nothing is there",
                NOTHING,
                file(NUMBER, 0),
                none.clone(),
                Wait,
            ),
            (
                "nothing was read of another file",
                NOTHING,
                file(OTHER, 10),
                none.clone(),
                Continue,
            ),
            ("gone", READ, Now::Gone, none.clone(), Refuse(Gone)),
            (
                "a directory",
                READ,
                Now::NoFile,
                none.clone(),
                Refuse(NoFile),
            ),
            (
                "truncated",
                READ,
                file(NUMBER, 100),
                none.clone(),
                Refuse(Shorter),
            ),
            (
                "truncated and written again",
                READ,
                other_head(NUMBER, 9000),
                none.clone(),
                Refuse(OtherHead),
            ),
            (
                "with the same header",
                READ,
                other_tail(NUMBER, 9000),
                none.clone(),
                Refuse(OtherTail),
            ),
            (
                "replaced",
                READ,
                other_head(OTHER, 9000),
                none.clone(),
                Refuse(OtherHead),
            ),
            // Under another name.
            (
                "rotated",
                READ,
                other_head(OTHER, 10),
                one(at(Rotation, NUMBER, 6000)),
                Rotated(1),
            ),
            (
                "rotated, the new one shorter",
                READ,
                file(OTHER, 10),
                one(at(Rotation, NUMBER, 5000)),
                Rotated(1),
            ),
            (
                "rotated, both with a header",
                HEADER,
                file(OTHER, 90),
                one(at(Rotation, NUMBER, 800)),
                Rotated(1),
            ),
            (
                "rotated before anything was read",
                NOTHING,
                file(OTHER, 90),
                one(at(Rotation, NUMBER, 800)),
                Rotated(1),
            ),
            (
                "rotated, and no new one yet",
                READ,
                Now::Gone,
                one(at(Rotation, NUMBER, 6000)),
                Rotated(1),
            ),
            (
                "moved to another input",
                READ,
                Now::Gone,
                one(at(Input, NUMBER, 6000)),
                Rotated(1),
            ),
            (
                "moved, and the device renumbered",
                READ,
                Now::Gone,
                one(at(Input, REBOOTED, 6000)),
                Rotated(1),
            ),
            (
                "moved, a header only",
                HEADER,
                Now::Gone,
                one(at(Input, NUMBER, 80)),
                Rotated(1),
            ),
            (
                "rotated, a header only, births unknown",
                old(HEADER),
                file(OTHER, 90),
                one(at(Rotation, OLD_SYSTEM, 800)),
                Rotated(1),
            ),
            (
                "moved, births unknown",
                old(READ),
                Now::Gone,
                one(at(Input, OLD_SYSTEM, 6000)),
                Rotated(1),
            ),
            (
                "an edited file and its backup",
                READ,
                other_tail(OTHER, 6000),
                one(at(Beside, NUMBER, 5000)),
                Refuse(OtherTail),
            ),
            (
                "it is here, and has a second name",
                READ,
                file(NUMBER, 6000),
                one(at(Rotation, NUMBER, 6000)),
                Continue,
            ),
            // A number that was given again.
            (
                "the next day's file",
                HEADER,
                Now::Gone,
                one(at(Input, AGAIN, 800)),
                Refuse(Gone),
            ),
            (
                "the next day's file, births unknown",
                old(HEADER),
                Now::Gone,
                one(at(Input, OLD_SYSTEM, 800)),
                Refuse(Gone),
            ),
            (
                "the next day's file with more read",
                SHORT,
                Now::Gone,
                one(at(Input, AGAIN, 800)),
                Refuse(Gone),
            ),
            // Copies.
            (
                "copied, then cut",
                READ,
                file(NUMBER, 0),
                one(at(Rotation, OTHER, 5100)),
                Rotated(1),
            ),
            (
                "copied, cut, written again",
                READ,
                other_tail(NUMBER, 9000),
                one(at(Rotation, OTHER, 5100)),
                Rotated(1),
            ),
            (
                "a short one, copied, cut",
                SHORT,
                file(NUMBER, 0),
                one(at(Rotation, OTHER, 900)),
                Rotated(1),
            ),
            (
                "copied, then replaced",
                READ,
                other_head(OTHER, 9000),
                one(at(Rotation, AGAIN, 5100)),
                Refuse(OtherHead),
            ),
            (
                "copied, cut, a header only",
                HEADER,
                file(NUMBER, 0),
                one(at(Rotation, OTHER, 80)),
                Refuse(Shorter),
            ),
            (
                "copied to another input",
                READ,
                Now::Gone,
                one(at(Input, OTHER, 5000)),
                Refuse(Perhaps(1)),
            ),
            (
                "copied, and it has grown",
                READ,
                Now::Gone,
                one(at(Input, OTHER, 6000)),
                Refuse(Perhaps(1)),
            ),
            (
                "a short one, copied",
                SHORT,
                Now::Gone,
                one(at(Input, OTHER, 200)),
                Refuse(Perhaps(1)),
            ),
            (
                "a short one that others begin with",
                SHORT,
                Now::Gone,
                one(at(Input, OTHER, 900)),
                Refuse(Gone),
            ),
            (
                "a header that others begin with",
                HEADER,
                Now::Gone,
                one(at(Input, OTHER, 900)),
                Refuse(Gone),
            ),
            (
                "two files with a header only",
                HEADER,
                Now::Gone,
                one(at(Input, OTHER, 80)),
                Refuse(Gone),
            ),
        ];
        for (case, was, here, others, expected) in cases {
            assert_eq!(judge(&was, &here, &others), expected, "{case}");
        }
    }
}
