//! What the compiler says to a user: programs that must compile and run, and the messages of those
//! that must not.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes the messages down as they are now.

#[test]
fn ui() {
    let programs = trybuild::TestCases::new();
    programs.pass("tests/ui/pass/*.rs");
    programs.compile_fail("tests/ui/fail/*.rs");
}
