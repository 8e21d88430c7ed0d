//! Whatever is written, the macros neither panic nor write what is no Rust.
//!
//! `ZAHIR_MACRO_CASES` says how many cases each property gets.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use proptest::prelude::*;
use proptest::test_runner::Config;

const JOBS: [&str; 5] = [
    "/// Sends.\n pub async fn send(ctx: &Context, user: &User, text: &str, list: &[u8]) -> Result<Receipt, MailError> { go(user).await }",
    "#[cfg(x)] #[must_use] pub(crate) async fn load<'a, T: Payload, const N: usize>(self, (a, b): (u8, impl Send), r#in: &'static mut T) -> &'a [T; N] where T: Clone {}",
    "const unsafe extern \"C\" fn raw(x: View<'_>, ...) -> io::Result<impl Fn()> {}",
    "async fn poll<T: Payload>(#[state] cursor: Option<(u8, T)>, id: u64, text: &str) -> Result<Again<T, (u8, T)>, E> {}",
    "struct NotAFunction { x: u8 }",
];

const OPTIONS: &str = "retry = 3, backoff = 100ms..10s, timeout = 1h30m, tags = [\"a\", b], \
                       version = -2, name = \"x\", crate = a::b, spawns(a), limit = \"x\" / 4, color, \
                       total_timeout = 5m, retry_if = |e| e.busy(), check = a::check::<u8, u8>, \
                       verify = |x: &u8| Ok(()), recover = later, undo = b::back::<T>, no_undo, \
                       at_most_once, pure, once, once_by = |a, b, _| (a, b), cache = 1h";

/// Options that can all stand beside each other.
const RIGHT: &str = "retry = forever, backoff = [1s, 2m], retry_if = |e| e.busy(), timeout = 1s, \
                     total_timeout = 5m, check = |a, _| Ok(()), verify = good, recover = later, \
                     undo = back";

const WORKFLOWS: [&str; 5] = [
    r#"/// All of it.
    #[saga]
    pub async fn everything<T: Payload>(customer: u64, names: Vec<String>) -> Ticket where T: Clone {
        let user: User = fetch_user(customer).retry(3).timeout(30s).total_timeout(5m).backoff(1s..10s).named("the user");
        let (a, Wrap { b, c: [d, .., _] }) = pair(&user).after((user, customer));
        let kind = if a > 3 { "high" } else { "low" };
        let total = names.iter().map(|name| name.len() + b).sum::<usize>() + match kind { "x" if a > 1 => 1, _ => d };
        let sizes = #[limit(8)] for (i, name) in names.iter().enumerate() {
            let inner = { let x = measure(&format!("{name}{i}{user:?}")); greet(x, &[a, total]) };
            for step in 0..inner.len() { notify(step, User { id: step, ..user }); };
            inner
        };
        audit(pure(shout(kind)), vec![sizes[0], a as u64], &mut user, (customer)).after(sizes).backoff([1s, 2m]).retry(forever);
        other::open(&fetch_user(measure(&user.name.trim())), !a && !is_vip(&user))
    }"#,
    r#"async fn wrong<'a>(mut x: &'a u64, (a, b): impl T) -> Result<u8, E> {
        let mut user = fetch(later.id).await?;
        let later = user.id;
        loop { if user.done { break user; } user = next(&user); }
        while let Some(x) = y { continue; }
        'l: for item in user { return item; }
        let f = |x: u64| x? + fetch(x);
        let Some(z) = Some(1) else { return };
        fn item() {} println!("{}", z); user.id + 1; let q; let r = &user; async {}; unsafe { f() };
        let t = charge(&user).result().rescue(|e| refund(&e)).finally(x).retry(user.id).after("x").named(3);
        { open(x) }.retry(2).timeout(3); fetch(x).backoff([]).backoff(f).retry("forever").retry(); sleep(30); signal("x").timeout("30s"); race((a(), b()));
    }"#,
    r#"async fn decides(user: User, pair: (u64, Option<String>)) -> Ticket {
        let kind = classify(&user);
        let done = match kind {
            Kind::Billing(ticket) if ticket.id > 3 && pair.0 == 1 => { let other = fetch(ticket.id); open(&other).after(kind) }
            Kind::Billing(_) | Kind::Spam => return open(&user),
            Kind::Tech if let Some(name) = &pair.1 => { audit(&name); Ticket { id: pair.0 } }
            _ => match (user.id, &pair.1) { (1, Some(text)) => find(&text), (other, _) => find(other + 1) },
        };
        if let Some(first) = pair.1 && first.len() > 2 && let [a, .., b] = first.as_bytes() { add(*a, *b); }
        else if is_vip(&user) && user.active { return done; } else { let x = if user.active { 1 } else { f(2) }; g(x); }
        if user.active { open(&user) } else { { let again = fetch(3); open(&again) } }
    }"#,
    r#"async fn repeats(number: u64, users: Vec<User>) -> Vec<u64> {
        let mut sum = 0; let mut last = users[0].clone(); let (mut a, b) = (1, 2);
        let found = #[max(5)] loop {
            let size = measure(&last);
            if size > number { break size; }
            sum += f(size); last.name = 3; last = next(&last);
            match size { 1 => continue, 2 => { return vec![sum]; } other => sum = other, }
        };
        #[max(3, or_last)] while let Some(x) = find(sum) && x > 3 { sum = x; while sum > 4 { sum -= 1; break; } }
        'l: while sum < 3 { sum = sum + add(sum, 1); break 'l 4; continue; }
        for user in users { let mut inner = 0; while inner < 3 { inner += measure(&user); if user.active { return vec![inner]; } } sum = 2; break; inner };
        { let y = sum; loop { if y > found { break } else { sum = y; } } }
        return vec![sum, a, b];
        unreachable(sum)
    }"#,
    "fn not_async() { x after y; let z = 1 }",
];

fn config() -> Config {
    let cases = std::env::var("ZAHIR_MACRO_CASES");
    let cases = cases.ok().and_then(|cases| cases.parse().ok());
    Config {
        cases: cases.unwrap_or(1_000),
        ..Config::default()
    }
}

/// One change of a token stream: what to do at which of its tokens, and with which other token.
#[derive(Debug, Clone)]
struct Change {
    kind: u8,
    at: usize,
    with: usize,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = (0_u8..5, any::<usize>(), any::<usize>());
    let change = change.prop_map(|(kind, at, with)| Change { kind, at, with });
    proptest::collection::vec(change, 0..8)
}

fn tokens(source: &str) -> TokenStream {
    source.parse().expect("the samples are tokens")
}

/// All tokens, groups before their content.
fn flat(tokens: &TokenStream, found: &mut Vec<TokenTree>) {
    for token in tokens.clone() {
        found.push(token.clone());
        if let TokenTree::Group(group) = &token {
            flat(&group.stream(), found);
        }
    }
}

fn changed(tokens: TokenStream, changes: &[Change]) -> TokenStream {
    changes.iter().fold(tokens, |tokens, change| {
        let mut all = Vec::new();
        flat(&tokens, &mut all);
        if all.is_empty() {
            return tokens;
        }
        let other = all[change.with % all.len()].clone();
        let mut left = change.at % all.len();
        apply(tokens, &mut left, change.kind, &other)
    })
}

fn apply(tokens: TokenStream, left: &mut usize, kind: u8, other: &TokenTree) -> TokenStream {
    let mut result = Vec::new();
    for token in tokens {
        let here = *left == 0;
        *left = left.wrapping_sub(1);
        let token = match token {
            TokenTree::Group(group) => {
                let content = apply(group.stream(), left, kind, other);
                TokenTree::Group(Group::new(group.delimiter(), content))
            }
            token => token,
        };
        match (here, kind) {
            (true, 0) => {}
            (true, 1) => result.extend([token.clone(), token]),
            (true, 2) => result.push(other.clone()),
            (true, 3) => result.extend([token, other.clone()]),
            (true, _) => {
                let content = TokenStream::from(token);
                result.push(TokenTree::Group(Group::new(
                    Delimiter::Parenthesis,
                    content,
                )));
            }
            (false, _) => result.push(token),
        }
    }
    result.into_iter().collect()
}

#[track_caller]
fn check(expansion: &TokenStream) {
    if let Err(error) = syn::parse2::<syn::File>(expansion.clone()) {
        panic!("no Rust: {error}\n{expansion}");
    }
}

/// A job's expansion; where the item is none, the item follows as it is.
fn check_job(options: TokenStream, item: TokenStream) {
    let expansion = crate::job::expand(options, &item);
    let is_item = syn::parse2::<syn::Item>(item).is_ok();
    if is_item {
        check(&expansion);
    }
}

#[test]
fn right_and_wrong_samples_expand() {
    for workflow in WORKFLOWS {
        check(&crate::workflow::expand(tokens(workflow)));
    }
    for job in JOBS {
        check_job(tokens(OPTIONS), tokens(job));
        check_job(tokens(RIGHT), tokens(job));
        check_job(tokens("pure, cache = 1h, at_most_once"), tokens(job));
        check_job(tokens("once_by = |a, b| a"), tokens(job));
    }
}

/// What can't be matched on is left out of the nodes in the arms.
#[test]
fn a_match_on_nothing_expands() {
    let workflow = "async fn wrong(number: u64) -> u64 { loop { match break { 1 => add(number), \
                    other => add(other) } } }";
    check(&crate::workflow::expand(tokens(workflow)));
}

/// An expansion never depends on the order of a hash map.
#[test]
fn the_same_tokens_expand_to_the_same_tokens() {
    for workflow in WORKFLOWS {
        let expand = || crate::workflow::expand(tokens(workflow)).to_string();
        assert_eq!(expand(), expand());
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn changed_workflows_expand(index in 0..WORKFLOWS.len(), changes in changes()) {
        check(&crate::workflow::expand(changed(tokens(WORKFLOWS[index]), &changes)));
    }

    #[test]
    fn changed_jobs_expand(
        index in 0..JOBS.len(),
        right in any::<bool>(),
        item in changes(),
        options in changes(),
    ) {
        let said = if right { RIGHT } else { OPTIONS };
        check_job(changed(tokens(said), &options), changed(tokens(JOBS[index]), &item));
    }

    #[test]
    fn any_tokens_expand(words in proptest::collection::vec(word(), 0..40), body in any::<bool>()) {
        let text = words.join(" ");
        if let Ok(tokens) = text.parse::<TokenStream>() {
            check_job(tokens.clone(), self::tokens(JOBS[0]));
            let workflow = quote::quote!(async fn any(a: u64) -> u64 { #tokens });
            check(&crate::workflow::expand(if body { workflow } else { tokens }));
        }
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(WORDS)
}

const WORDS: &[&str] = &[
    "let",
    "mut",
    "for",
    "in",
    "if",
    "else",
    "match",
    "loop",
    "while",
    "return",
    "break",
    "async",
    "fn",
    "pure",
    "a",
    "b",
    "job",
    "mod_a::job",
    "Kind::A",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ";",
    ",",
    ".",
    "=",
    "=>",
    "&",
    "&mut",
    "|x|",
    "?",
    ".await",
    ".after",
    ".retry",
    ".timeout",
    ".backoff",
    ".named",
    ".result",
    "30s",
    "1",
    "\"x {a} {\"",
    "..",
    "'l:",
    "_",
    "#[limit(2)]",
    "#[max(2)]",
    "#[max(2, or_last)]",
    "continue",
    "break x",
    "a =",
    "a +=",
    "if let",
    "while let",
    "Some(a)",
    "let mut a = job(1);",
    "loop { if a { break; } }",
    "match a { Kind::A => b, _ => job(2) }",
    "if a { a = job(3); }",
    "while a { a += 1; }",
    "return a;",
    "!",
    "format!",
    "println!",
    "::<u8>",
    ":",
    "u64",
    "+",
    "&&",
    "as",
    "$crate",
    "r#type",
    "unsafe",
    "move",
    "1.5h",
    "'c'",
    "b\"x\"",
    "-",
    "*",
    "<",
    ">",
    "->",
    "pub",
];
