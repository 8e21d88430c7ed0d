//! What rustc prints for wrong jobs and workflows, and that right ones compile.

#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/job/*.rs");
    cases.compile_fail("ui/workflow/*.rs");
}
