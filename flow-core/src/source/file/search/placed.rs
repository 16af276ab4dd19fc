//! Where a file that was read may be now, and the decision about it.

use std::path::PathBuf;

use super::super::{
    facts,
    identity::{FileNumber, Named, Now, Other, Verdict},
    token::FileToken,
};

/// Other places where a file may be.
#[derive(Default)]
pub(super) struct Others {
    pub(super) files: Vec<Other<usize>>,
    pub(super) places: Vec<Place>,
}

pub(super) struct Place {
    /// Its name as a partition.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) is_input: bool,
}

impl Others {
    pub(super) fn add(&mut self, place: Place, token: &FileToken, named: Named) {
        let mut there = self.places.iter().zip(&self.files);
        if !there.any(|(other, file)| other.name == place.name && file.named == named) {
            self.files.push(Other {
                place: self.places.len(),
                now: facts::at(&place.path, token),
                named,
            });
            self.places.push(place);
        }
    }
}

/// The findings about a file that was read.
pub(super) struct Placed {
    /// The input with its old name.
    pub(super) input: Option<usize>,
    /// The input that has its name now, or the name that it had before it was rotated.
    pub(super) base: Option<usize>,
    /// The number of the file that has its name.
    pub(super) here: Option<FileNumber>,
    pub(super) verdict: Verdict<usize>,
    pub(super) others: Others,
}

impl Placed {
    /// The other place at which it is, if the verdict says so.
    pub(super) fn place(&self) -> Option<(&Place, &Other<usize>)> {
        match self.verdict {
            Verdict::Rotated(at) => self.others.places.get(at).zip(self.others.files.get(at)),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<FileNumber> {
        match self.place()?.1.now {
            Now::File(facts) => facts.number,
            _ => None,
        }
    }
}
