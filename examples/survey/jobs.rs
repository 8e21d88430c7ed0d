//! The jobs of a survey.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use walkdir::{DirEntry, WalkDir};
use zahir::job;

use crate::facts::{Found, Report, Tallies, Tally};

/// Folders that hold no sources of their own.
const SKIPPED: [&str; 3] = [".git", "target", "node_modules"];

/// Every folder of the tree, relative to its root.
#[job]
pub async fn list_folders(root: &str) -> io::Result<Vec<String>> {
    let root = root.to_owned();
    blocking(move || {
        let is_wanted = |entry: &DirEntry| {
            entry.depth() == 0
                || entry.file_type().is_dir()
                    && !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped)
        };
        let walk = WalkDir::new(&root)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(is_wanted);
        Ok(walk
            .filter_map(Result::ok)
            .filter_map(|entry| relative(entry.path(), &root))
            .collect())
    })
    .await
}

/// The files of one folder, relative to the root.
#[job]
pub async fn list_files(root: &str, folder: &str) -> io::Result<Vec<String>> {
    let (root, folder) = (root.to_owned(), Path::new(root).join(folder));
    blocking(move || {
        let walk = WalkDir::new(folder)
            .min_depth(1)
            .max_depth(1)
            .sort_by_file_name();
        Ok(walk
            .into_iter()
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .filter_map(|entry| relative(entry.path(), &root))
            .collect())
    })
    .await
}

/// Reads one file and counts what is in it.
#[job(retry = 2, backoff = 50ms..1s)]
pub async fn measure(root: &str, file: &str, ledger: &Option<String>) -> io::Result<Found> {
    let (path, name, ledger) = (Path::new(root).join(file), file.to_owned(), ledger.clone());
    blocking(move || {
        if let Some(ledger) = ledger {
            let mut ledger = OpenOptions::new().create(true).append(true).open(ledger)?;
            ledger.write_all(format!("{name}\n").as_bytes())?;
        }
        let mut text = BufReader::new(File::open(&path)?);
        // As git tells: text has no NUL.
        if text.fill_buf()?.contains(&0) {
            let tally = Tally {
                files: 1,
                ..Tally::default()
            };
            return Ok(Found {
                language: "(binary)".into(),
                tally,
            });
        }
        Ok(Found {
            language: language(&path),
            tally: count(text)?,
        })
    })
    .await
}

/// What the files of one folder sum up to.
#[job]
pub async fn add_up(found: &[Found]) -> Tallies {
    let mut tallies = Tallies::new();
    for file in found {
        tallies
            .entry(file.language.clone())
            .or_default()
            .add(&file.tally);
    }
    tallies
}

/// What all folders sum up to.
#[job]
pub async fn sum_up(root: &str, tallies: &[Tallies]) -> Report {
    let mut languages = Tallies::new();
    for (language, tally) in tallies.iter().flatten() {
        languages.entry(language.clone()).or_default().add(tally);
    }
    Report {
        root: root.to_owned(),
        languages,
    }
}

/// File systems block; async workers must not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(io::Error::other)?
}

fn relative(path: &Path, root: &str) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}

/// Line by line: a file may be larger than memory.
fn count(mut text: impl BufRead) -> io::Result<Tally> {
    let mut tally = Tally {
        files: 1,
        ..Tally::default()
    };
    let mut line = Vec::new();
    while text.read_until(b'\n', &mut line)? > 0 {
        let words = String::from_utf8_lossy(&line);
        tally.lines += 1;
        tally.words += words.split_whitespace().map(|_| 1).sum::<u64>();
        for identifier in identifiers(&words) {
            tally.see(identifier);
        }
        line.clear();
    }
    Ok(tally)
}

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_'))
}

fn language(path: &Path) -> String {
    let extension = path
        .extension()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    match extension {
        "rs" => "Rust",
        "c" | "h" => "C",
        "cc" | "cpp" | "cxx" | "hpp" => "C++",
        "py" => "Python",
        "js" | "mjs" | "ts" => "JavaScript",
        "S" | "s" | "asm" => "Assembly",
        "sh" => "Shell",
        "md" => "Markdown",
        "toml" | "lock" => "TOML",
        "json" => "JSON",
        "yml" | "yaml" => "YAML",
        "html" | "css" => "HTML and CSS",
        _ => "(other)",
    }
    .to_owned()
}
