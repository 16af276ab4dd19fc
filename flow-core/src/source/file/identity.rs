//! What a file was when it was read, and what is there now: whether reading goes on, and where.
//!
//! [`judge`] decides it from facts alone, so that all who ask get the same answer: a start, the end
//! of an epoch, the end of a file, and whoever follows a file that grows.

use serde::{Deserialize, Serialize};

/// A file as the system knows it, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileNumber {
    /// The number of its device, which may be another one after the system was started again.
    pub device: u64,
    /// Its number on that device, which a later file may be given.
    pub inode: u64,
    /// When it was made, in nanoseconds since 1970; `None` where the file system does not say. A
    /// later file with the same inode has another time.
    pub born: Option<u64>,
}

impl FileNumber {
    /// Whether both are the number of one file; none where that can't be told.
    pub(in crate::source) fn is(self, other: FileNumber) -> Option<bool> {
        match (self.born, other.born) {
            (Some(one), Some(other_born)) => Some(one == other_born && self.inode == other.inode),
            _ if self.device == other.device => Some(self.inode == other.inode),
            _ => None,
        }
    }

    /// Whether both may be the number of one file. A remount may change the number of the device.
    pub(super) fn may_be(self, other: FileNumber) -> bool {
        self.is(other).unwrap_or(self.inode == other.inode)
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
    /// It was no input, but what an input had been before it was rotated.
    pub(super) is_rest: bool,
}

/// What is at a place now, compared with a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// Nothing.
    Gone,
    /// No regular file.
    NoFile,
    /// A file that can't be read, and its number where the system says it.
    Unreadable(Option<FileNumber>),
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
    pub(super) now: Now,
    pub(super) named: Named,
}

/// How another place came to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is an input.
    Input,
    /// It has the number of the file, and lies where rotation leaves it: beside the file as
    /// `app.log.1` beside `app.log`, or beside what the file's name leads to, if that is a link.
    Rotated,
    /// It has another number, which no file has that was read, and lies beside the file under the
    /// name of a numbered or dated copy.
    Copy {
        /// It is an input too.
        is_input: bool,
    },
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
    /// It is another file, of which no more than a first line could tell that it goes on as the one
    /// that was read.
    OtherFile,
    /// A file that can't be read has, or may have, what was read: the file itself, or the one at
    /// this place.
    Unreadable(Option<Place>),
    /// There is a copy of what was read, and perhaps the file was emptied after it had been copied.
    Copied(Place),
    /// It looks like what is at another place now, which a person has to say.
    Perhaps(Place),
}

/// So many bytes that are the same at the beginning of two files are no accident.
const TELLING: u64 = 64;

/// What is to be done with a file that was read, from what bears its name now and from what other
/// places there are.
pub(super) fn judge<Place: Copy>(was: &Was, here: &Now, others: &[Other<Place>]) -> Verdict<Place> {
    // What bears the name of a rest is no input, and counts only as the file itself.
    let here = match is_it(was, here) {
        Some(false) if was.is_rest => &Now::Gone,
        _ => here,
    };
    // The same file under another name. Where its time of birth is unknown, a number that was given
    // again is told by content, or by where the file lies.
    let number_tells = was.number.is_some_and(|number| number.born.is_some());
    let of_number = |named: Named| {
        let mut same = others.iter().filter(|other| other.named == named);
        same.find_map(|other| match &other.now {
            now if is_it(was, now) != Some(true) => None,
            Now::Unreadable(_) => Some(Verdict::Refuse(Reason::Unreadable(Some(other.place)))),
            Now::File(facts) if differs::<()>(was, facts).is_none() => {
                let is_certain = number_tells || named == Named::Rotated || tells(was, facts);
                is_certain.then_some(Verdict::Rotated(other.place))
            }
            _ => None,
        })
    };
    // Also the rest that bears its name still may have become an input by another one.
    if let Some(input) = of_number(Named::Input) {
        return input;
    }
    let copies = || others.iter().filter(|other| may_be_copy(was, other));
    if let Now::File(facts) = here
        && is_it(was, here) == Some(true)
    {
        let mut fitting = copies().filter(|other| matches!(other.now, Now::File(_)));
        let copy = (fitting.next(), fitting.next());
        return match (differs(was, facts), copy) {
            // What came after it was emptied may begin like what was read.
            (None, (Some(copy), _)) if facts.length > was.offset => {
                Verdict::Refuse(Reason::Copied(copy.place))
            }
            (None, _) => go_on(was, here),
            (Some(_), (Some(copy), None)) if is_more_than_header(was) => {
                Verdict::Rotated(copy.place)
            }
            (Some(_), (Some(copy), _)) => Verdict::Refuse(Reason::Copied(copy.place)),
            (Some(differs), (None, _)) => Verdict::Refuse(match copies().next() {
                Some(copy) => Reason::Unreadable(Some(copy.place)),
                None => perhaps(was, others).unwrap_or(differs),
            }),
        };
    }
    if let Some(rotated) = of_number(Named::Rotated) {
        return rotated;
    }
    let differs = match here {
        Now::Gone => Reason::Gone,
        Now::NoFile => Reason::NoFile,
        Now::Unreadable(_) => Reason::Unreadable(None),
        Now::File(facts) => match differs(was, facts) {
            Some(differs) => differs,
            None if is_it(was, here) == Some(false) && !is_more_than_header(was) => {
                Reason::OtherFile
            }
            None => return go_on(was, here),
        },
    };
    Verdict::Refuse(perhaps(was, others).unwrap_or(differs))
}

/// Whether what is at a place is the file that was read; none where neither its number tells, nor
/// its content with its inode.
fn is_it(was: &Was, now: &Now) -> Option<bool> {
    let number = match now {
        Now::Gone | Now::NoFile => return Some(false),
        Now::Unreadable(number) => *number,
        Now::File(facts) => facts.number,
    };
    let (one, other) = (was.number?, number?);
    let by_content = || match now {
        Now::File(facts) => {
            one.may_be(other) && differs::<()>(was, facts).is_none() && tells(was, facts)
        }
        _ => false,
    };
    one.is(other).or_else(|| by_content().then_some(true))
}

/// Whether a file may have been copied from one that was read. A copy is younger than what it was
/// made of. Where that is unknown, or where it is an input itself, more than a header has to be the
/// same.
fn may_be_copy<Place>(was: &Was, other: &Other<Place>) -> bool {
    let Named::Copy { is_input } = other.named else {
        return false;
    };
    let born = |number: Option<FileNumber>| number.and_then(|number| number.born);
    let (number, fits) = match &other.now {
        Now::Gone | Now::NoFile => return false,
        Now::Unreadable(number) => (*number, true),
        Now::File(facts) => (
            facts.number,
            facts.length > 0 && differs::<()>(was, facts).is_none(),
        ),
    };
    let ages = born(was.number).zip(born(number));
    let is_older = ages.is_some_and(|(was, copy)| copy <= was);
    let is_younger = ages.is_some() && !is_older && !is_input;
    fits && !is_older && (is_younger || is_more_than_header(was))
}

/// An input that looks like what was read.
fn perhaps<Place: Copy>(was: &Was, others: &[Other<Place>]) -> Option<Reason<Place>> {
    let mut inputs = (others.iter()).filter(|other| match (other.named, &other.now) {
        (Named::Input, Now::File(facts)) => {
            differs::<()>(was, facts).is_none() && tells(was, facts)
        }
        _ => false,
    });
    inputs.next().map(|other| Reason::Perhaps(other.place))
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

/// Whether content alone says that a file which begins with all that was read of another one is
/// that one.
///
/// Files of a kind begin alike. Of a file that goes on where the other ended, more is asked than of
/// one that is as long.
fn tells(was: &Was, facts: &Facts) -> bool {
    is_more_than_header(was) && (facts.length == was.offset || was.offset > was.head)
}

/// Whether what was read says something: a first line says nothing, for it may be a header of which
/// the day had no more.
pub(super) fn is_more_than_header(was: &Was) -> bool {
    was.head >= TELLING && was.lines > 1
}

#[cfg(test)]
mod tests;
