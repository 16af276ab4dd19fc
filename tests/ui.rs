//! Messages of the compiler: programs that must compile and run, and the messages for programs that
//! must not compile.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes the present messages.

#[test]
fn ui() {
    let programs = trybuild::TestCases::new();
    programs.pass("tests/ui/pass/*.rs");
    programs.compile_fail("tests/ui/fail/*.rs");
}
