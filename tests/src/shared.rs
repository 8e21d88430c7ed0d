//! Jobs and a workflow for other crates.

use serde::{Deserialize, Serialize};
use zahir::{job, workflow};

/// What an article costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    pub article: String,
    pub cents: u64,
    pub currency: String,
}

/// A cent per letter.
#[job]
pub async fn quote(article: &str) -> Price {
    Price {
        article: article.to_owned(),
        cents: u64::try_from(article.len()).unwrap_or(u64::MAX),
        currency: "EUR".to_owned(),
    }
}

/// All prices in cents.
#[job]
pub async fn total(prices: &[Price]) -> u64 {
    prices.iter().map(|price| price.cents).sum()
}

/// The cheaper one of all.
#[job]
pub async fn least(prices: &[Price]) -> Result<Price, std::fmt::Error> {
    let least = prices.iter().min_by_key(|price| price.cents);
    least.cloned().ok_or(std::fmt::Error)
}

workflow! {
    /// The cheapest article.
    pub async fn cheapest(articles: Vec<String>) -> Price {
        let prices = for article in articles { quote(&article) };
        least(&prices)
    }
}
