//! What the encoder reports about a value while it is written, besides its bytes.

/// Receives what the encoder reports.
pub(super) trait Track {
    /// A value of this kind begins, or a name or a variant is written.
    fn mix(&mut self, what: u64);

    /// Something rare is here, such as an empty text.
    fn note(&mut self, what: u64);

    /// The elements of a sequence or a map begin. Returns the state at this point.
    fn begin(&mut self) -> u64;

    /// An element ends. Its sequence or map began at `at`, and `last` is the shape of the element
    /// before.
    fn element(&mut self, at: u64, last: &mut u64);

    /// The sequence or map that began at `at` ends.
    fn end(&mut self, at: u64, elements: u32);

    /// The value may be read differently than it was written: two fields may have one name.
    fn doubt(&mut self);
}

/// Ignores all reports.
pub(super) struct Untracked;

impl Track for Untracked {
    #[inline(always)]
    fn mix(&mut self, _: u64) {}
    #[inline(always)]
    fn note(&mut self, _: u64) {}
    #[inline(always)]
    fn begin(&mut self) -> u64 {
        0
    }
    #[inline(always)]
    fn element(&mut self, _: u64, _: &mut u64) {}
    #[inline(always)]
    fn end(&mut self, _: u64, _: u32) {}
    #[inline(always)]
    fn doubt(&mut self) {}
}

/// Kinds of values, for [`Track::mix`].
pub(super) mod kind {
    pub(in crate::codec) const NIL: u64 = 1;
    pub(in crate::codec) const BOOL: u64 = 2;
    pub(in crate::codec) const INTEGER: u64 = 3;
    pub(in crate::codec) const NEGATIVE: u64 = 4;
    pub(in crate::codec) const LARGE: u64 = 5;
    pub(in crate::codec) const F32: u64 = 6;
    pub(in crate::codec) const F64: u64 = 7;
    pub(in crate::codec) const TEXT: u64 = 8;
    pub(in crate::codec) const EMPTY: u64 = 9;
    pub(in crate::codec) const BYTES: u64 = 10;
    pub(in crate::codec) const SOME: u64 = 11;
    pub(in crate::codec) const UNIT_STRUCT: u64 = 12;
    pub(in crate::codec) const SEQUENCE: u64 = 13;
    pub(in crate::codec) const TUPLE: u64 = 14;
    pub(in crate::codec) const MAP: u64 = 15;
    pub(in crate::codec) const STRUCT: u64 = 16;
    pub(in crate::codec) const EXTENSION: u64 = 17;
    pub(in crate::codec) const VARIANT: u64 = 18;
    pub(in crate::codec) const END: u64 = 19;
}
