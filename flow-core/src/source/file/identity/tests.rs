//! Facts about files, and the decisions.

use super::*;

const NUMBER: FileNumber = FileNumber {
    device: 1,
    inode: 7,
    born: Some(100),
};
/// A later file that got the same inode.
const AGAIN: FileNumber = FileNumber {
    born: Some(200),
    ..NUMBER
};
const OTHER: FileNumber = FileNumber {
    device: 1,
    inode: 8,
    born: Some(300),
};
const OLDER: FileNumber = FileNumber {
    born: Some(50),
    ..OTHER
};
/// The same file after a restart of the system.
const REBOOTED: FileNumber = FileNumber {
    device: 2,
    ..NUMBER
};
const OLD_SYSTEM: FileNumber = FileNumber {
    born: None,
    ..NUMBER
};

/// The same file after its file system was mounted again.
const REMOUNTED: FileNumber = FileNumber {
    device: 2,
    ..OLD_SYSTEM
};
const REMOUNTED_OTHER: FileNumber = FileNumber {
    inode: 8,
    ..REMOUNTED
};

const READ: Was = Was {
    number: Some(NUMBER),
    offset: 5000,
    lines: 50,
    head: 1024,
    is_rest: false,
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
const COPY: Named = Named::Copy { is_input: false };
const COPIED_INPUT: Named = Named::Copy { is_input: true };

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
        now: file(number, length),
        named,
    }
}

fn unreadable(named: Named, number: FileNumber) -> Other<u8> {
    Other {
        now: Now::Unreadable(Some(number)),
        ..at(named, number, 0)
    }
}

#[test]
fn a_number_of_a_file_system_that_was_mounted_anew() {
    assert!(OLD_SYSTEM.may_be(REMOUNTED) && NUMBER.may_be(REBOOTED));
    assert!(!OLD_SYSTEM.may_be(REMOUNTED_OTHER) && !NUMBER.may_be(AGAIN));
}

#[test]
fn what_it_was_and_what_is_there() {
    use Named::{Input, Rotated as Beside};
    use Reason::{
        Copied, Gone, NoFile, OtherFile, OtherHead, OtherTail, Perhaps, Shorter, Unreadable,
    };
    use Verdict::{Continue, Refuse, Rotated, Wait};

    let old = |was: Was| Was {
        number: Some(OLD_SYSTEM),
        ..was
    };
    let rest = |was: Was| Was {
        is_rest: true,
        ..was
    };
    let unnumbered = |was: Was| Was {
        number: None,
        ..was
    };
    let (none, one) = (vec![], |other| vec![other]);
    type Case = (&'static str, Was, Now, Vec<Other<u8>>, Verdict<u8>);
    let cases: Vec<Case> = vec![
        // Cases in which the file is under its name.
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
            Refuse(OtherFile),
        ),
        (
            "a header was read of another file",
            HEADER,
            file(OTHER, 900),
            none.clone(),
            Refuse(OtherFile),
        ),
        (
            "another file with the same inode",
            HEADER,
            file(AGAIN, 900),
            none.clone(),
            Refuse(OtherFile),
        ),
        (
            "another file, births unknown",
            old(HEADER),
            file(
                FileNumber {
                    inode: 8,
                    ..OLD_SYSTEM
                },
                900,
            ),
            none.clone(),
            Refuse(OtherFile),
        ),
        (
            "mounted anew, births unknown",
            old(HEADER),
            file(
                FileNumber {
                    inode: 8,
                    device: 2,
                    born: None,
                },
                900,
            ),
            none.clone(),
            Continue,
        ),
        (
            "it can't be read",
            READ,
            Now::Unreadable(Some(NUMBER)),
            none.clone(),
            Refuse(Unreadable(None)),
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
        // Cases in which it is under another name.
        (
            "rotated",
            READ,
            other_head(OTHER, 10),
            one(at(Beside, NUMBER, 6000)),
            Rotated(1),
        ),
        (
            "rotated, the new one shorter",
            READ,
            file(OTHER, 10),
            one(at(Beside, NUMBER, 5000)),
            Rotated(1),
        ),
        (
            "rotated, both with a header",
            HEADER,
            file(OTHER, 90),
            one(at(Beside, NUMBER, 800)),
            Rotated(1),
        ),
        (
            "rotated before anything was read",
            NOTHING,
            file(OTHER, 90),
            one(at(Beside, NUMBER, 800)),
            Rotated(1),
        ),
        (
            "rotated, and no new one yet",
            READ,
            Now::Gone,
            one(at(Beside, NUMBER, 6000)),
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
            one(at(Beside, OLD_SYSTEM, 800)),
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
            "rotated, mounted anew, births unknown",
            old(READ),
            other_head(REMOUNTED_OTHER, 10),
            one(at(Beside, REMOUNTED, 6000)),
            Rotated(1),
        ),
        (
            "the same, and the new one begins alike",
            old(READ),
            file(REMOUNTED_OTHER, 6000),
            one(at(Beside, REMOUNTED, 6000)),
            Rotated(1),
        ),
        (
            "mounted anew, births unknown, with a second name",
            old(READ),
            file(REMOUNTED, 6000),
            one(at(Beside, REMOUNTED, 6000)),
            Continue,
        ),
        (
            "mounted anew, and the inode is that of another one",
            old(READ),
            other_head(REMOUNTED_OTHER, 10),
            one(Other {
                now: other_tail(REMOUNTED, 6000),
                ..at(Beside, REMOUNTED, 0)
            }),
            Refuse(Shorter),
        ),
        (
            "mounted anew, a header only",
            old(HEADER),
            other_head(REMOUNTED_OTHER, 90),
            one(at(Beside, REMOUNTED, 800)),
            Refuse(OtherHead),
        ),
        (
            "it is here, and has a second name",
            READ,
            file(NUMBER, 6000),
            one(at(Beside, NUMBER, 6000)),
            Continue,
        ),
        (
            "rotated, and closed to this user",
            READ,
            other_head(OTHER, 10),
            one(unreadable(Beside, NUMBER)),
            Refuse(Unreadable(Some(1))),
        ),
        (
            "rotated, closed, nothing had been read",
            NOTHING,
            file(OTHER, 10),
            one(unreadable(Beside, NUMBER)),
            Refuse(Unreadable(Some(1))),
        ),
        (
            "rotated, and overwritten there",
            READ,
            file(OTHER, 9000),
            one(Other {
                now: other_head(NUMBER, 6000),
                ..at(Beside, NUMBER, 0)
            }),
            Continue,
        ),
        // The rest of a rotated file.
        (
            "a rest has grown",
            rest(READ),
            file(NUMBER, 6000),
            none.clone(),
            Continue,
        ),
        (
            "a rest is as it was",
            rest(READ),
            file(NUMBER, 5000),
            none.clone(),
            Wait,
        ),
        (
            "another file has the name of a rest",
            rest(READ),
            file(OTHER, 6000),
            none.clone(),
            Refuse(Gone),
        ),
        (
            "a rest is an input by another name",
            rest(READ),
            file(NUMBER, 6000),
            one(at(Input, NUMBER, 6000)),
            Rotated(1),
        ),
        (
            "a rest was rotated on",
            rest(READ),
            file(OTHER, 6000),
            one(at(Beside, NUMBER, 6000)),
            Rotated(1),
        ),
        (
            "a rest is closed to this user",
            rest(READ),
            Now::Unreadable(Some(NUMBER)),
            none.clone(),
            Refuse(Unreadable(None)),
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
            one(at(COPY, OTHER, 5100)),
            Rotated(1),
        ),
        (
            "copied, cut, written again",
            READ,
            other_tail(NUMBER, 9000),
            one(at(COPY, OTHER, 5100)),
            Rotated(1),
        ),
        (
            "a short one, copied, cut",
            SHORT,
            file(NUMBER, 0),
            one(at(COPY, OTHER, 900)),
            Rotated(1),
        ),
        (
            "copied, then replaced",
            READ,
            other_head(OTHER, 9000),
            one(at(COPY, AGAIN, 5100)),
            Refuse(OtherHead),
        ),
        (
            "copied, cut, a header only",
            HEADER,
            file(NUMBER, 0),
            one(at(COPY, OTHER, 80)),
            Refuse(Copied(1)),
        ),
        (
            "copied, cut, what came repeats it",
            READ,
            file(NUMBER, 6000),
            one(at(COPY, OTHER, 5000)),
            Refuse(Copied(1)),
        ),
        (
            "copied, and nothing came",
            READ,
            file(NUMBER, 5000),
            one(at(COPY, OTHER, 5000)),
            Wait,
        ),
        (
            "copied before that",
            READ,
            file(NUMBER, 6000),
            one(at(COPY, OTHER, 4000)),
            Continue,
        ),
        (
            "an older file that begins alike",
            READ,
            file(NUMBER, 6000),
            one(at(COPY, OLDER, 5000)),
            Continue,
        ),
        (
            "cut, beside an older file that begins alike",
            READ,
            file(NUMBER, 0),
            one(at(COPY, OLDER, 5000)),
            Refuse(Shorter),
        ),
        (
            "copied, cut, nothing had been read",
            NOTHING,
            file(NUMBER, 10),
            one(at(COPY, OTHER, 800)),
            Refuse(Copied(1)),
        ),
        (
            "the same, and the copy is an input",
            NOTHING,
            file(NUMBER, 10),
            one(at(COPIED_INPUT, OTHER, 800)),
            Continue,
        ),
        (
            "the same, births unknown",
            old(NOTHING),
            file(OLD_SYSTEM, 10),
            one(at(
                COPY,
                FileNumber {
                    inode: 8,
                    ..OLD_SYSTEM
                },
                800,
            )),
            Continue,
        ),
        (
            "copied twice, then cut",
            READ,
            file(NUMBER, 0),
            vec![at(COPY, OTHER, 5100), at(COPY, AGAIN, 9000)],
            Refuse(Copied(1)),
        ),
        (
            "copied, cut, the copy closed to this user",
            READ,
            file(NUMBER, 0),
            one(unreadable(COPY, OTHER)),
            Refuse(Unreadable(Some(1))),
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
