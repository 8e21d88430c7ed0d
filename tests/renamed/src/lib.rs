//! Jobs and workflows across crates, where this library has another name and every lint is on.

#![deny(
    warnings,
    future_incompatible,
    let_underscore,
    nonstandard_style,
    rust_2018_idioms,
    unused,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_code,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_inline_in_public_items,
    clippy::exhaustive_structs,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::min_ident_chars,
    clippy::absolute_paths,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

use std::error::Error;

use engine::{Context, Payload, workflow};
use jobs::Same;
use zahir_tests::shared::{self, Price, quote};

/// Jobs that name the library by their own path.
pub mod jobs {
    use std::fmt;

    use engine::{Context, Payload, job};

    /// Puts a price into words.
    ///
    /// # Errors
    ///
    /// Never.
    #[job(crate = engine, retry = 1, backoff = 1ms..2ms, timeout = 30s, tags = ["text"])]
    pub async fn words(ctx: &Context, cents: u64, currency: &str) -> Result<String, fmt::Error> {
        Ok(format!("{cents} {currency} ({})", ctx.attempt()))
    }

    /// Gives what it takes.
    #[job(crate = engine)]
    pub async fn same<T: Payload + Clone>(value: &T) -> T {
        value.clone()
    }
}

/// The expansions find the library through the crate that the macro came from.
#[engine::job(crate = engine)]
async fn join(_ctx: &Context, texts: &[String]) -> String {
    texts.join(", ")
}

/// What all articles cost: jobs and a workflow of another crate, an instance of a generic job, itself.
///
/// # Errors
///
/// If a price can't be had.
#[engine::job(
    crate = engine,
    spawns(quote, shared::total, shared::cheapest, jobs::same::<Price>, Same<u8>, sum, offer)
)]
pub async fn sum(ctx: &Context, articles: &[String]) -> Result<u64, SumError> {
    if let [article, rest @ ..] = articles
        && rest.len() > 8
    {
        drop(ctx.spawn(sum(rest)));
        drop(ctx.spawn(offer(vec![article.clone()])));
        let cheapest = ctx.spawn(shared::cheapest(rest.to_vec())).key("cheapest");
        let again = ctx.spawn(jobs::same(&cheapest.await?));
        let price: Price = again.await?;
        drop(price);
    }
    let prices: Vec<_> = articles
        .iter()
        .map(|article| ctx.spawn(quote(article)))
        .collect();
    ctx.continue_as(shared::Total::of(prices)).await
}

/// Any error.
pub type SumError = Box<dyn Error + Send + Sync>;

workflow! {
    /// Quotes a list of articles.
    pub async fn offer(articles: Vec<String>) -> String {
        let prices = #[limit(2)] for article in articles {
            quote(&article)
        };
        let total = shared::total(&prices);
        let texts = for price in prices {
            jobs::words(price.cents, &price.currency).retry(2)
        };
        let joined = join(&texts);
        format!("{joined}: {total}")
    }
}

workflow! {
    /// What all articles cost.
    pub async fn summed(articles: Vec<String>) -> u64 {
        sum(&articles)
    }
}

engine::workflow! {
    /// Any value, twice.
    pub async fn twice<T: Payload + Clone>(value: T) -> (T, T) {
        let first = jobs::same(&value);
        let second = jobs::same(&first);
        (first, second)
    }
}

workflow! {
    /// A workflow of another crate, and one of this.
    pub async fn nested(articles: Vec<String>) -> (Price, String) {
        let cheapest = shared::cheapest(articles);
        let named = offer(vec![cheapest.article.clone()]);
        (cheapest, named)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use engine::{Kind, Node, Runtime};

    use super::{Nested, Offer, Summed, Twice, nested, offer, twice};

    fn articles() -> Vec<String> {
        ["tea", "bread"].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn in_memory() {
        let text = offer(articles()).await;
        assert_eq!(text.ok().as_deref(), Some("3 EUR (1), 5 EUR (1): 8"));
        let pair = twice(7_u64).await;
        assert_eq!(pair.ok(), Some((7, 7)));
        let both = nested(articles()).await.ok();
        let cheap = both.map(|(price, text)| (price.article, text));
        assert_eq!(cheap, Some(("tea".to_owned(), "3 EUR (1): 3".to_owned())));
    }

    #[tokio::test]
    async fn durably() -> Result<(), Box<dyn Error>> {
        let runtime = Runtime::in_memory().workflow::<Nested>().start().await?;
        let run = runtime.run(nested(articles())).start().await?;
        assert_eq!(run.output().await?.1, "3 EUR (1): 3");
        runtime.shutdown().await?;
        Ok(())
    }

    #[test]
    fn what_may_be_spawned_is_found_in_all_crates() {
        let node = Summed::graph().nodes().get(1);
        let kinds = node.map(Node::spawns).unwrap_or_default();
        let names: Vec<&str> = kinds.iter().map(Kind::name).collect();
        assert_eq!(
            names,
            [
                "zahir_tests::shared::cheapest",
                "zahir_tests::shared::quote",
                "zahir_tests::shared::total",
                "zahir_tests_renamed::jobs::same<u8>",
                "zahir_tests_renamed::jobs::same<zahir_tests::shared::Price>",
                "zahir_tests_renamed::offer",
                "zahir_tests_renamed::sum",
            ]
        );
    }

    #[test]
    fn graphs() {
        assert!(Offer::graph().name().ends_with("::offer"));
        assert_ne!(Twice::<u8>::graph().name(), Twice::<u16>::graph().name());
    }
}
