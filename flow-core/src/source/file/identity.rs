//! Compares a file that was read with what is there now, and decides whether and where reading
//! continues.
//!
//! [`judge`] decides from facts alone. So the answer is the same at a start, at the end of an
//! epoch, and at the end of a file.

use serde::{Deserialize, Serialize};

/// The identity of a file in the system, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileNumber {
    /// The number of its device. It may be another one after a restart of the system.
    pub device: u64,
    /// Its number on that device. The system may give it to a later file.
    pub inode: u64,
    /// When it was created, in nanoseconds since 1970; `None` if the file system does not record
    /// it. A later file with the same inode has another time.
    pub born: Option<u64>,
}

impl FileNumber {
    /// Whether both identify one file; `None` if that is not known.
    pub(in crate::source) fn is(self, other: FileNumber) -> Option<bool> {
        match (self.born, other.born) {
            (Some(one), Some(other_born)) => Some(one == other_born && self.inode == other.inode),
            _ if self.device == other.device => Some(self.inode == other.inode),
            _ => None,
        }
    }

    /// Whether both may identify one file. A remount may change the number of the device.
    pub(super) fn may_be(self, other: FileNumber) -> bool {
        self.is(other).unwrap_or(self.inode == other.inode)
    }
}

/// What was read of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Was {
    pub(super) number: Option<FileNumber>,
    /// The number of bytes that were read.
    pub(super) offset: u64,
    /// The number of lines that were read.
    pub(super) lines: u64,
    /// The number of first bytes of which a hash is known.
    pub(super) head: u64,
    /// Whether it was the rest of a rotated input, and not an input itself.
    pub(super) is_rest: bool,
}

/// What is at a place now, compared with a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// Nothing.
    Gone,
    /// Something else than a regular file.
    NoFile,
    /// A file that can't be read, and its number if the system shows it.
    Unreadable(Option<FileNumber>),
    File(Facts),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) number: Option<FileNumber>,
    pub(super) length: u64,
    /// Whether its first bytes are those that were read, as far as they are known.
    pub(super) head: bool,
    /// Whether the bytes before the position are those that were read.
    pub(super) tail: bool,
}

/// A file at another place, which may be the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Other<Place> {
    pub(super) place: Place,
    pub(super) now: Now,
    pub(super) named: Named,
}

/// Why another place is considered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// It is an input.
    Input,
    /// It has the number of the file, and lies where rotation puts it: beside the file, as
    /// `app.log.1` beside `app.log`, or beside the target of its name if that is a link.
    Rotated,
    /// It lies beside the file under the name of a numbered or dated copy. No file that was read
    /// has its number.
    Copy {
        /// Whether it is an input too.
        is_input: bool,
    },
}

/// What to do with a file that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict<Place> {
    /// There is more to read, or may be.
    Continue,
    /// It is the file, and all of it has been read.
    Wait,
    /// The file that was read is at another place now. Its name belongs to another file.
    Rotated(Place),
    /// Reading can't continue.
    Refuse(Reason<Place>),
}

/// Why reading can't continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason<Place> {
    Gone,
    NoFile,
    /// It is shorter than the part that was read.
    Shorter,
    /// Its first bytes differ.
    OtherHead,
    /// The bytes before the position differ.
    OtherTail,
    /// It is another file. At most a first line was read, which can't show whether it continues the
    /// one that was read.
    OtherFile,
    /// A file that can't be read has the unread rest, or may have it: the file itself, or the one
    /// at this place.
    Unreadable(Option<Place>),
    /// There is a copy of it, and the file may have been emptied after it was copied.
    Copied(Place),
    /// It looks like the file at another place. The user has to say whether it is.
    Perhaps(Place),
}

/// If two files begin with this many equal bytes, that is no accident.
const TELLING: u64 = 64;

/// Decides what to do with a file that was read, given what has its name now and what is at other
/// places.
pub(super) fn judge<Place: Copy>(was: &Was, here: &Now, others: &[Other<Place>]) -> Verdict<Place> {
    // A file with the name of a rest is no input, and counts only if it is the file itself.
    let here = match is_it(was, here) {
        Some(false) if was.is_rest => &Now::Gone,
        _ => here,
    };
    // The same file under another name. If its creation time is unknown, its number may have been
    // given again. Then its content or its place must show that it is the same.
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
    // A rest that still has its name may have become an input under another one.
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
            // New content after it was emptied may begin like what was read.
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

/// Whether the file that was read is at a place. `None` if neither its number shows that, nor its
/// content together with its inode.
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

/// Whether a file may be a copy of the one that was read. A copy is younger than its original. If
/// their ages are unknown, or if it is an input itself, more than a header must be equal.
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

/// An input that looks like the file that was read.
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

/// Whether content alone shows that a file is the one that was read, of which it has all that was
/// read.
///
/// Files of a kind begin alike. So more must be equal if the file is longer than what was read.
fn tells(was: &Was, facts: &Facts) -> bool {
    is_more_than_header(was) && (facts.length == was.offset || was.offset > was.head)
}

/// Whether the part that was read identifies a file. A first line does not, because it may be a
/// header that all files have.
pub(super) fn is_more_than_header(was: &Was) -> bool {
    was.head >= TELLING && was.lines > 1
}

#[cfg(test)]
mod tests;
