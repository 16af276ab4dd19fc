//! Pages that were changed and have the right checksums all the same: what redb does not expect.
//!
//! Each page of a redb file has its checksum beside the page's number, in the page above it or in
//! the header. Where, is found in the valid file by looking for the checksum's bytes; so little of
//! the format has to be known here.

use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_128;

const PAGE: usize = 4096;
const SUM: usize = 16;

/// Of a valid file: its pages, and where their checksums are.
pub struct Seals(Vec<Seal>);

struct Seal {
    page: usize,
    covers: Covers,
    /// Where the checksum is.
    at: usize,
}

/// Where a page says up to where its checksum goes: where its last value ends, or its last key.
#[derive(Clone, Copy)]
enum Covers {
    Leaf,
    LeafOfFixedKeys,
    Branch,
}

impl Covers {
    fn end(self, page: &[u8]) -> Option<usize> {
        let n = usize::from(u16::from_le_bytes(page.get(2..4)?.try_into().ok()?));
        let field = match self {
            Covers::Leaf => 4 + 4 * n + 4 * n.checked_sub(1)?,
            Covers::LeafOfFixedKeys => 4 + 4 * n.checked_sub(1)?,
            Covers::Branch => 8 + (8 + SUM) * (n + 1) + 4 * n.checked_sub(1)?,
        };
        let end = page.get(field..field + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(end)).ok()
    }

    fn sum(self, page: &[u8]) -> Option<[u8; SUM]> {
        let covered = page.get(..self.end(page)?)?;
        Some(xxh3_128(covered).to_le_bytes())
    }
}

impl Seals {
    /// Finds them.
    #[must_use]
    pub fn of(image: &[u8]) -> Seals {
        let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (at, window) in image.windows(SUM).enumerate() {
            places.entry(window).or_default().push(at);
        }
        let mut seals = Vec::new();
        for page in (PAGE..image.len()).step_by(PAGE) {
            for covers in [Covers::Leaf, Covers::LeafOfFixedKeys, Covers::Branch] {
                let sum = covers.sum(&image[page..]);
                let found = sum.and_then(|sum| places.get(&sum[..]));
                let found = found.into_iter().flatten();
                seals.extend(found.map(|at| Seal {
                    page,
                    covers,
                    at: *at,
                }));
            }
        }
        Seals(seals)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes all of them right again.
    pub fn seal(&self, image: &mut [u8]) {
        // A page may be above one that is above another: as often as it is high.
        for _ in 0..4 {
            for seal in &self.0 {
                let sum = image
                    .get(seal.page..)
                    .and_then(|page| seal.covers.sum(page));
                if let (Some(sum), Some(place)) = (sum, image.get_mut(seal.at..seal.at + SUM)) {
                    place.copy_from_slice(&sum);
                }
            }
        }
        for slot in [64, 192] {
            if let Some(slot) = image.get_mut(slot..slot + 128) {
                let sum = xxh3_128(&slot[..128 - SUM]).to_le_bytes();
                slot[128 - SUM..].copy_from_slice(&sum);
            }
        }
    }
}
