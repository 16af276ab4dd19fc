//! Changed pages with correct checksums, which redb does not expect.
//!
//! The checksum of each page of a redb file is beside the page's number, in the page above it or in
//! the header. Its place is found by a search for its bytes in the valid file, so this code needs
//! to know little of the format.

use std::collections::HashMap;
use xxhash_rust::xxh3::xxh3_128;

const PAGE: usize = 4096;
const SUM: usize = 16;

/// The pages of a valid file, and the places of their checksums.
pub struct Seals(Vec<Seal>);

struct Seal {
    page: usize,
    covers: Covers,
    /// The place of the checksum.
    at: usize,
}

/// The place at which a page says how far its checksum reaches: the end of its last value or key.
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

    /// The number of pages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Corrects all checksums.
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
