//! The file, and what is told of differences from it.

use expect_test::{Expect, expect};

use super::*;
use crate::{Workflow, job, workflow};

#[job]
async fn one(order: u64) -> u64 {
    order
}

#[job(version = 3)]
async fn two(left: u64, right: u64) -> Result<u64, String> {
    Ok(left + right)
}

#[job(at_most_once)]
async fn charge(cents: u64) -> u64 {
    cents
}

#[job]
async fn list(order: u64) -> Vec<u64> {
    vec![order]
}

workflow! {
    async fn inner(order: u64) -> u64 {
        let first = one(order);
        one(first).named("sec\"ond")
    }
}

workflow! {
    /// All that there is.
    async fn outer(order: u64) -> u64 {
        let kind = one(order);
        let mut price = two(kind, 1).rescue(|_| one(order).named("else"));
        if kind > 3 {
            let more = inner(price);
            price = more;
        } else {
            return order;
        }
        let paid = charge(price);
        sleep(1s);
        let each = for number in list(order) { one(number).after(paid) };
        let answer = race((signal::<u64>("answer"), sleep(1m)));
        let done = { charge(paid).named("again") }.finally(one(each.len() as u64).named("last"));
        let mut at = done;
        while at < 3 { at = one(at).named("step"); }
        let last = pure(match answer { crate::Race2::First(n) => n, crate::Race2::Second(()) => at });
        let end = one(last).result();
        pure(end.clone().unwrap_or(7))
    }
}

fn definition<W: Workflow>() -> Definition {
    Program::of(W::graph()).definition
}

#[test]
fn the_file_is_one_fact_a_line() {
    let definitions = programs(&[Inner::graph()]);
    expect![[r##"
        # Written by zahir: what stored runs of these workflows rest on. Commit it; a test compares it with
        # the program. If a difference is meant, write it anew: ZAHIR_LOCKFILE=update cargo test
        format = 1

        [[workflow]]
        name = "zahir::lockfile::tests::inner"
        gives = "sec\"ond"

        [[workflow.node]]
        name = "order"
        kind = "input"
        fingerprint = "414cec4310beb228"

        [[workflow.node]]
        name = "first"
        kind = "job"
        calls = "zahir::lockfile::tests::one"
        types = "(order: u64) -> u64"
        uses = ["order"]
        fingerprint = "0902fec0e0a862e5"

        [[workflow.node]]
        name = "sec\"ond"
        kind = "job"
        calls = "zahir::lockfile::tests::one"
        types = "(order: u64) -> u64"
        uses = ["first"]
        fingerprint = "6920c4247270bb94"
    "##]].assert_eq(&text::write(definitions.values()));
}

#[test]
fn what_is_written_is_toml() {
    let definitions = programs(&[Outer::graph()]);
    let text = text::write(definitions.values());
    let table: toml::Table = text.parse().unwrap();
    let workflows = table["workflow"].as_array().unwrap();
    let names: Vec<_> = workflows
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "zahir::lockfile::tests::inner",
            "zahir::lockfile::tests::outer"
        ]
    );
    let nodes = workflows[0]["node"].as_array().unwrap();
    assert_eq!(nodes[2]["name"].as_str(), Some("sec\"ond"));
}

#[test]
fn what_is_written_can_be_read() {
    let definitions = programs(&[Outer::graph()]);
    let shape = text::read(&text::write(definitions.values())).unwrap();
    let before = Definition::known(DefinitionId::from_u128(0), shape);
    for now in definitions.values() {
        let matching = Matching::new(&before, now);
        for (node, number) in now.shape.nodes.iter().zip(0..) {
            let id = NodeId::new(number);
            assert!(matching.is_kept(id), "{}", node.name);
            assert!(matching.is_same(id), "{}", node.name);
        }
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one case after the other")]
fn what_was_not_written_is_refused() {
    let definitions = programs(&[Inner::graph()]);
    let text = text::write(definitions.values());
    let check = |from: &str, to: &str, expected: &str| {
        assert!(text.contains(from));
        let malformed = text::read(&text.replacen(from, to, 1)).unwrap_err();
        assert_eq!(
            format!("{}: {}", malformed.line, malformed.reason),
            expected
        );
    };
    check(
        "format = 1",
        "format = 2",
        "3: another format, of another version of zahir",
    );
    check("format = 1", "", "28: it does not say its format");
    check("format = 1", "color = 1", "3: `color` is not known here");
    check("gives = \"sec", "gives: \"sec", "7: no `key = value`");
    check(
        "gives = \"sec",
        "takes = \"sec",
        "7: `takes` is not known here",
    );
    check(
        "kind = \"input\"",
        "kind = \"thing\"",
        "14: in the node above, a kind of node that is not known",
    );
    check("kind = \"input\"", "", "14: in the node above, no `kind`");
    check(
        "kind = \"input\"",
        "kind = 3",
        "14: in the node above, `kind` is no text",
    );
    check(
        "kind = \"input\"",
        "kind = \"input",
        "11: a text without its end",
    );
    check(
        "kind = \"input\"",
        "kind = \"input\"s",
        "11: something behind a text",
    );
    check(
        "kind = \"input\"",
        "kind = \"inp\\ut\"",
        "11: no letter behind `\\u`",
    );
    check(
        "kind = \"input\"",
        "kind = \"inp\\xt\"",
        "11: an unknown letter behind `\\`",
    );
    check(
        "kind = \"input\"",
        "kind = \"input\"\nin = [\"x\"]",
        "15: in the node above, nothing before it is `x`",
    );
    check(
        "kind = \"input\"",
        "kind = \"input\"\nin = [\"x\"",
        "12: no text in quotes",
    );
    check(
        "kind = \"input\"",
        "kind = \"input\"\nin = \"x\"",
        "15: in the node above, `in` is no list",
    );
    check(
        "kind = \"input\"",
        "kind = \"input\"\nsize = 4",
        "15: in the node above, `size` is not known here",
    );
    check(
        "fingerprint = \"",
        "fingerprint = \"x",
        "14: in the node above, no fingerprint",
    );
    check("[[workflow]]", "", "6: `name` is not known here");
    assert_eq!(
        text::read("[[workflow.node]]").unwrap_err().reason,
        "a node of no workflow"
    );
}

/// Checks what is told when the file is of the first and the program is the second.
#[track_caller]
fn check_change<Was: Workflow, Is: Workflow>(expected: &Expect) {
    let known = text::write(std::iter::once(&definition::<Was>()));
    let known = known.replace(Was::name(), Is::name());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zahir.lock");
    fs::write(&path, known).unwrap();
    let mut programs = programs(&[Is::graph()]);
    programs.retain(|name, _| *name == Is::name());
    let error = compare(&path, &programs, false).unwrap_err();
    let told = error
        .to_string()
        .replace(&path.display().to_string(), "zahir.lock");
    expected.assert_eq(&told);
}

mod first {
    use super::{charge, one, two};
    use crate::workflow;

    workflow! {
        pub(super) async fn shop(order: u64) -> u64 {
            let price = one(order);
            let gift = one(order);
            let paid = charge(price);
            let sum = two(paid, gift);
            one(sum).named("end")
        }
    }
}

mod second {
    use super::{charge, one, two};
    use crate::workflow;

    workflow! {
        /// `end` is another one.
        pub(super) async fn shop(order: u64) -> u64 {
            let price = one(order);
            let gift = one(order);
            let paid = charge(price);
            let sum = two(paid, gift);
            let _note = one(order);
            one(sum + 1).named("end")
        }
    }
}

mod third {
    use super::{charge, one, two};
    use crate::workflow;

    workflow! {
        /// The price is another one, and the gift is gone.
        pub(super) async fn shop(order: u64) -> u64 {
            let price = one(order + 1);
            let paid = charge(price);
            let sum = two(paid, 3);
            one(sum).named("end")
        }
    }
}

mod fourth {
    use super::{charge, one, two};
    use crate::workflow;

    workflow! {
        /// A variable has another name, and something is new.
        pub(super) async fn shop(order: u64) -> u64 {
            let cost = one(order);
            let gift = one(order);
            let paid = charge(cost);
            let sum = two(paid, gift);
            let _note = one(order).named("note");
            one(sum).named("end")
        }
    }
}

#[test]
fn a_difference_is_told_with_what_it_means() {
    check_change::<first::Shop, second::Shop>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `zahir::lockfile::tests::second::shop`: `_note` is new
        re-runs these nodes of unfinished runs:
          `zahir::lockfile::tests::second::shop`: `end` (how `end` is called has changed)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_change::<first::Shop, third::Shop>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `zahir::lockfile::tests::third::shop`: `gift` is gone
        re-runs these nodes of unfinished runs:
          `zahir::lockfile::tests::third::shop`: `price` (how `price` is called has changed), `sum` (what it depends on has changed: `paid`), `end` (what it depends on has changed: `sum`)
        blocks unfinished runs in which these have run:
          `zahir::lockfile::tests::third::shop`: `paid` (what it depends on has changed: `price`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_change::<first::Shop, fourth::Shop>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `zahir::lockfile::tests::fourth::shop`: `price` is called `cost` now, `note` is new
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_change::<fourth::Shop, first::Shop>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `zahir::lockfile::tests::first::shop`: `cost` is called `price` now, `note` is gone
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
}

#[test]
fn a_workflow_that_is_new_costs_nothing_and_one_that_is_gone_its_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zahir.lock");
    check(&path, &[Inner::graph()]).unwrap();
    let error = check(&path, &[first::Shop::graph()]).unwrap_err();
    let safe: Vec<_> = error.safe().collect();
    assert_eq!(
        safe,
        [("zahir::lockfile::tests::first::shop", "the workflow is new")]
    );
    let blocks: Vec<_> = error.blocks().collect();
    let gone = "the workflow is gone, and its unfinished runs can't go on";
    assert_eq!(blocks, [("zahir::lockfile::tests::inner", gone)]);
    assert_eq!(error.reruns().count(), 0);
}

#[test]
fn the_file_is_written_once_and_then_on_purpose() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zahir.lock");
    let written = || fs::read_to_string(&path).unwrap();
    let (one, two) = (programs(&[Inner::graph()]), programs(&[Outer::graph()]));
    compare(&path, &one, false).unwrap();
    let first = written();
    compare(&path, &one, false).unwrap();
    compare(&path, &one, true).unwrap();
    assert_eq!(written(), first);
    assert!(compare(&path, &two, false).is_err());
    assert_eq!(
        written(),
        first,
        "it fails until the file is written on purpose"
    );
    compare(&path, &two, true).unwrap();
    compare(&path, &two, false).unwrap();
    // Nothing else is left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    // As git on Windows may have it.
    fs::write(&path, written().replace('\n', "\r\n")).unwrap();
    compare(&path, &two, false).unwrap();
}

#[test]
fn a_file_that_is_none_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let programs = programs(&[Inner::graph()]);
    let error = compare(folder.path(), &programs, false).unwrap_err();
    assert!(error.to_string().ends_with("can't be read"), "{error}");
    assert!(error.source().is_some());
    let path = folder.path().join("nowhere").join("zahir.lock");
    let error = compare(&path, &programs, false).unwrap_err();
    assert!(error.to_string().ends_with("can't be written"), "{error}");
    let path = folder.path().join("zahir.lock");
    fs::write(&path, "hello").unwrap();
    let error = compare(&path, &programs, false).unwrap_err();
    let expected = "is not what zahir writes: no `key = value`; take the file from your version \
                    control, or write it anew: `ZAHIR_LOCKFILE=update cargo test`";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
fn what_makes_no_difference_to_results_is_not_in_the_file() {
    use crate::job;
    #[job(name = "same", timeout = 1s)]
    async fn before(order: u64) -> u64 {
        order
    }
    /// Told.
    #[job(name = "same", retry = 3, tags = ["x"])]
    async fn behind(order: u64) -> u64 {
        order
    }
    workflow! { async fn old(order: u64) -> u64 { before(order).named("it") } }
    workflow! { async fn new(order: u64) -> u64 { behind(order).retry(2).named("it") } }
    let (old, new) = (definition::<Old>(), definition::<New>());
    let text = |definition: &Definition| {
        let workflow = definition.shape.workflow.clone();
        text::of(definition, &workflow).replace(&workflow, "w")
    };
    assert_eq!(text(&old), text(&new));
}

mod spawning {
    use super::one;
    use crate::{Context, job, workflow};

    #[job(name = "size")]
    async fn size(page: u64) -> u64 {
        page
    }

    #[job(name = "page")]
    pub(super) async fn page(order: u64) -> u64 {
        order
    }

    #[job(name = "page", version = 2)]
    pub(super) async fn changed_page(order: u64) -> u64 {
        order
    }

    #[job(name = "page", spawns(size))]
    pub(super) async fn deep_page(ctx: &Context, order: u64) -> u64 {
        let _ = ctx;
        order
    }

    macro_rules! site {
        ($module:ident, $($kind:path),*) => {
            #[expect(dead_code, reason = "only the graph is asked for")]
            pub(super) mod $module {
                use super::super::one;
                use crate::{Context, job, workflow};

                #[job(name = "crawl", spawns(crawl, $($kind),*))]
                async fn crawl(ctx: &Context, order: u64) -> u64 {
                    let _ = ctx;
                    order
                }

                workflow! {
                    pub(crate) async fn site(order: u64) -> u64 {
                        let found = crawl(order);
                        one(found).named("end")
                    }
                }
            }
        };
    }

    #[job(name = "pay", at_most_once)]
    pub(super) async fn pay(order: u64) -> u64 {
        order
    }

    #[job(name = "basket", spawns(pay))]
    pub(super) async fn basket(ctx: &Context, order: u64) -> u64 {
        let _ = ctx;
        order
    }

    workflow! { pub(super) async fn sub(order: u64) -> u64 { page(order) } }
    workflow! { pub(super) async fn shop(order: u64) -> u64 { pay(order) } }
    workflow! { pub(super) async fn market(order: u64) -> u64 { shop(one(order)) } }
    workflow! { pub(super) async fn fair(order: u64) -> u64 { shop(page(order)) } }

    site!(plain, super::page);
    site!(more, super::page, super::size);
    site!(less, super::size);
    site!(changed, super::changed_page);
    site!(deep, super::deep_page);
    site!(called, super::page, super::sub);
    site!(paid, super::page, super::basket);
    site!(paid_more, super::page, super::basket, super::size);
    site!(bought, super::page, super::shop);
    site!(bought_more, super::page, super::shop, super::size);
}

/// Checks what is told when the file is of the first and the program is the second, with all that is
/// spawned.
#[track_caller]
fn check_spawning<Was: Workflow, Is: Workflow>(expected: &Expect) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zahir.lock");
    let known = text::write(programs(&[Was::graph()]).values());
    fs::write(&path, known.replace(Was::name(), Is::name())).unwrap();
    let error = check(&path, &[Is::graph()]).unwrap_err().to_string();
    let told = error.replace(&path.display().to_string(), "zahir.lock");
    expected.assert_eq(&told.replace("zahir::lockfile::tests::spawning::", ""));
}

#[test]
fn what_is_spawned_has_lines_of_its_own() {
    let definitions = programs(&[spawning::called::Site::graph()]);
    let text = text::write(definitions.values());
    let text = text.replace("zahir::lockfile::tests::", "");
    let lines = text.lines().skip(4);
    let lines = lines.filter(|line| !line.starts_with("fingerprint") && !line.is_empty());
    expect![[r#"
        [[workflow]]
        name = "crawl (spawned)"
        gives = "crawl"
        [[workflow.node]]
        name = "crawl"
        kind = "job"
        calls = "crawl"
        types = "(order: u64) -> u64"
        spawns = ["crawl", "page", "spawning::sub"]
        [[workflow]]
        name = "page (spawned)"
        gives = "page"
        [[workflow.node]]
        name = "page"
        kind = "job"
        calls = "page"
        types = "(order: u64) -> u64"
        [[workflow]]
        name = "spawning::called::site"
        gives = "end"
        [[workflow.node]]
        name = "order"
        kind = "input"
        [[workflow.node]]
        name = "found"
        kind = "job"
        calls = "crawl"
        types = "(order: u64) -> u64"
        spawns = ["crawl", "page", "spawning::sub"]
        uses = ["order"]
        [[workflow.node]]
        name = "end"
        kind = "job"
        calls = "one"
        types = "(order: u64) -> u64"
        uses = ["found"]
        [[workflow]]
        name = "spawning::sub"
        gives = "page"
        [[workflow.node]]
        name = "order"
        kind = "input"
        [[workflow.node]]
        name = "page"
        kind = "job"
        calls = "page"
        types = "(order: u64) -> u64"
        uses = ["order"]
        [[workflow]]
        name = "spawning::sub (spawned)"
        gives = "sub"
        [[workflow.node]]
        name = "sub"
        kind = "workflow"
        calls = "spawning::sub""#]]
    .assert_eq(&lines.collect::<Vec<_>>().join("\n"));
    let shape = text::read(&text).unwrap();
    let spawns: Vec<_> = shape.nodes.iter().map(|node| node.spawns.len()).collect();
    assert_eq!(spawns.iter().max(), Some(&3));
}

#[test]
fn what_may_be_spawned_is_told_with_what_it_means() {
    use spawning::{called, changed, deep, less, more, plain};
    check_spawning::<plain::Site, more::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `size (spawned)`: it was not spawned before
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may spawn `size` now)
          `more::site`: `found` (it may spawn `size` now), `end` (what it depends on has changed: `found`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_spawning::<more::Site, plain::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `size (spawned)`: it is no longer spawned
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may not spawn `size` any more)
          `plain::site`: `found` (it may not spawn `size` any more), `end` (what it depends on has changed: `found`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_spawning::<plain::Site, less::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `size (spawned)`: it was not spawned before
          `page (spawned)`: it is no longer spawned
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may spawn `size` now, and no more `page`)
          `less::site`: `found` (it may spawn `size` now, and no more `page`), `end` (what it depends on has changed: `found`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_spawning::<plain::Site, changed::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (what it may spawn has changed)
          `page (spawned)`: `page` (it was `page(order: u64) -> u64`, and is `page(order: u64) -> u64` of version 2 now)
          `changed::site`: `found` (what it may spawn has changed), `end` (what it depends on has changed: `found`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_spawning::<plain::Site, deep::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `size (spawned)`: it was not spawned before
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (what it may spawn has changed)
          `page (spawned)`: `page` (it may spawn `size` now)
          `deep::site`: `found` (what it may spawn has changed), `end` (what it depends on has changed: `found`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_spawning::<called::Site, plain::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `sub (spawned)`: it is no longer spawned
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may not spawn `sub` any more)
          `plain::site`: `found` (it may not spawn `sub` any more), `end` (what it depends on has changed: `found`)
        blocks unfinished runs in which these have run:
          `sub`: the workflow is gone, and its unfinished runs can't go on
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
}

#[test]
fn what_runs_again_blocks_if_what_it_spawned_is_never_started_twice() {
    use spawning::{bought, bought_more, paid, paid_more, plain};
    check_spawning::<paid::Site, paid_more::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `size (spawned)`: it was not spawned before
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may spawn `size` now)
          `paid_more::site`: `found` (it may spawn `size` now), `end` (what it depends on has changed: `found`)
        blocks unfinished runs in which these have run:
          `crawl (spawned)`: `pay` (`crawl` runs again, and all that it called or spawned)
          `paid_more::site`: `pay` (`found` runs again, and all that it called or spawned)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    check_spawning::<bought::Site, bought_more::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `size (spawned)`: it was not spawned before
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may spawn `size` now)
          `bought_more::site`: `found` (it may spawn `size` now), `end` (what it depends on has changed: `found`)
        blocks unfinished runs in which these have run:
          `crawl (spawned)`: `shop: pay` (`crawl` runs again, and all that it called or spawned)
          `bought_more::site`: `shop: pay` (`found` runs again, and all that it called or spawned)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
    // What was not spawned before has not run.
    check_spawning::<plain::Site, paid::Site>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `basket (spawned)`: it was not spawned before
          `pay (spawned)`: it was not spawned before
        re-runs these nodes of unfinished runs:
          `crawl (spawned)`: `crawl` (it may spawn `basket` now)
          `paid::site`: `found` (it may spawn `basket` now), `end` (what it depends on has changed: `found`)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
}

#[test]
fn what_runs_again_blocks_if_what_it_called_is_never_started_twice() {
    use spawning::{Fair, Market};
    check_spawning::<Market, Fair>(&expect![[r#"
        the workflows are not what `zahir.lock` says:
        safe:
          `fair`: `page` is new, `one` is gone
        re-runs these nodes of unfinished runs:
          `fair`: `shop` (what it depends on has changed: `page`)
        blocks unfinished runs in which these have run:
          `fair`: `shop: pay` (`shop` runs again, and all that it called or spawned)
        if that is meant, write the file anew, and commit it: `ZAHIR_LOCKFILE=update cargo test`"#]]);
}
