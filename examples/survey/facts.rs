//! What is known of files, folders and the whole tree.

use std::collections::BTreeMap;
use std::fmt;

use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

/// What was found in files of one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub files: u64,
    pub lines: u64,
    pub words: u64,
    pub longest: String,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.words += other.words;
        self.see(&other.longest);
    }

    /// Keeps the longest identifier; of two equally long ones the first by the alphabet, so that the
    /// order they come in does not matter.
    pub fn see(&mut self, identifier: &str) {
        let (mine, other) = (self.longest.chars().count(), identifier.chars().count());
        if other > mine || other == mine && identifier < self.longest.as_str() {
            identifier.clone_into(&mut self.longest);
        }
    }
}

/// Tallies by language.
pub type Tallies = BTreeMap<String, Tally>;

/// What was found in one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    pub language: String,
    pub tally: Tally,
}

/// The result of a survey.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub root: String,
    pub languages: Tallies,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        table.set_header(["language", "files", "lines", "words", "longest identifier"]);
        let mut rows: Vec<_> = self.languages.iter().collect();
        rows.sort_by_key(|(language, tally)| (std::cmp::Reverse(tally.lines), language.as_str()));
        let mut total = Tally::default();
        for (language, tally) in rows {
            total.add(tally);
            table.add_row(row(language, tally));
        }
        table.add_row(row("total", &total));
        for column in 1..=3 {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        write!(f, "{}\n{table}", self.root)
    }
}

fn row(language: &str, tally: &Tally) -> [String; 5] {
    let longest: String = tally.longest.chars().take(48).collect();
    let cut = if longest.len() < tally.longest.len() {
        "…"
    } else {
        ""
    };
    [
        language.to_owned(),
        tally.files.to_string(),
        tally.lines.to_string(),
        tally.words.to_string(),
        format!("{longest}{cut}"),
    ]
}
