//! A book is read by children: a job for each chapter, and one that sums up what they found.
//!
//! ```console
//! cargo run --release --example book                          # a book of its own, killed and gone on with
//! cargo run --release --example book -- FILE                  # any text, chapters by blank lines
//! cargo run --release --example book -- FILE --store book.redb --ledger ledger --die-after 3
//! ```
//!
//! How many chapters there are is known only when the book is open, so they are no part of the
//! workflow: the job that opens the book spawns them.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use clap::Parser;
use serde::{Deserialize, Serialize};
use zahir::{Context, Runtime, job, workflow};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chapter {
    number: usize,
    words: usize,
    longest: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Summary {
    title: String,
    chapters: usize,
    words: usize,
    longest: String,
}

/// Opens the book, and hands it on: what it gives is what `sum_up` gives, which runs as soon as each
/// chapter is read. Nothing of this job is left in memory meanwhile.
#[job(spawns(read_chapter, sum_up))]
pub async fn read_book(ctx: &Context, file: PathBuf) -> io::Result<Summary> {
    let text = fs::read_to_string(&file)?;
    let title = file.file_stem().unwrap_or_default().to_string_lossy();
    let chapters = text
        .split("\n\n")
        .filter(|chapter| !chapter.trim().is_empty());
    let read: Vec<_> = chapters
        .enumerate()
        .map(|(at, chapter)| ctx.spawn(read_chapter(at + 1, chapter)))
        .collect();
    ctx.continue_as(SumUp::of(&*title, read)).await
}

#[job(retry = 3)]
pub async fn read_chapter(number: usize, text: &str) -> Chapter {
    let longest = text
        .split_whitespace()
        .max_by_key(|word| word.chars().count());
    let chapter = Chapter {
        number,
        words: text.split_whitespace().count(),
        longest: longest.unwrap_or_default().to_owned(),
    };
    ended(&format!("chapter {number}"));
    chapter
}

#[job]
pub async fn sum_up(title: &str, chapters: &[Chapter]) -> Summary {
    let longest = chapters
        .iter()
        .max_by_key(|chapter| chapter.longest.chars().count());
    let summary = Summary {
        title: title.to_owned(),
        chapters: chapters.len(),
        words: chapters.iter().map(|chapter| chapter.words).sum(),
        longest: longest.map_or_else(String::new, |chapter| chapter.longest.clone()),
    };
    ended("summary");
    summary
}

workflow! {
    /// What is in a book.
    pub async fn survey_book(file: PathBuf) -> Summary {
        read_book(file)
    }
}

/// Where it is noted what was done, and after how much of it the process is killed.
struct Notes {
    ledger: Option<PathBuf>,
    die_after: Option<u32>,
    ended: AtomicU32,
}

static NOTES: OnceLock<Notes> = OnceLock::new();

/// A job has done its work, and nothing of that is recorded yet.
fn ended(what: &str) {
    let Some(notes) = NOTES.get() else { return };
    if let Some(ledger) = &notes.ledger {
        let file = OpenOptions::new().create(true).append(true).open(ledger);
        let line = format!("{what}\n");
        let noted = file.and_then(|mut file| file.write_all(line.as_bytes()));
        noted.expect("a ledger that can be written");
    }
    let count = notes.ended.fetch_add(1, Ordering::Relaxed) + 1;
    if notes.die_after == Some(count) {
        println!("-- killed after {count} jobs --");
        std::process::abort();
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match &options.file {
        Some(file) => survey(file, &options).await,
        None => play(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("book: {problem}");
            ExitCode::FAILURE
        }
    }
}

async fn survey(file: &Path, options: &Options) -> Result<(), Box<dyn Error>> {
    let notes = Notes {
        ledger: options.ledger.clone(),
        die_after: options.die_after,
        ended: AtomicU32::new(0),
    };
    let _ = NOTES.set(notes);
    let runtime = Runtime::open(&options.store)
        .workflow::<SurveyBook>()
        // It only reads: whoever kills it again and again does so from outside.
        .crash_attempts_max(100)
        .start()
        .await?;
    if !runtime.recovered().runs().is_empty() {
        println!("goes on");
    }
    let key = file.display().to_string();
    let call = survey_book(file.to_owned());
    let run = runtime.run(call).key(key).start().await?;
    let Summary {
        title,
        chapters,
        words,
        longest,
    } = run.output().await?;
    runtime.shutdown().await?;
    println!("{title}: {chapters} chapters, {words} words, the longest is {longest}");
    Ok(())
}

/// Reads a book of its own, and is killed twice meanwhile.
fn play() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("the_whale.txt");
    let lengths = [3, 5, 8, 2, 9, 4, 7, 6, 1, 12, 10, 11];
    let chapters = lengths.map(|length| "whale ".repeat(length) + &"a".repeat(length));
    fs::write(&file, chapters.join("\n\n"))?;
    for die_after in [Some("4"), Some("5"), None] {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(&file);
        command.arg("--store").arg(folder.path().join("book.redb"));
        command.args(die_after.iter().flat_map(|count| ["--die-after", count]));
        command.status()?;
    }
    Ok(())
}

/// Surveys a book, each chapter of it a job; run again after a kill, it goes on.
#[derive(Parser)]
struct Options {
    /// A text; its chapters are what stands between blank lines. Without it a book of twelve chapters is
    /// played.
    file: Option<PathBuf>,
    /// Where the run is kept.
    #[arg(
        long,
        value_name = "FILE",
        default_value = "book.redb",
        requires = "file"
    )]
    store: PathBuf,
    /// Gets a line for each chapter that is read, and for each summary.
    #[arg(long, value_name = "FILE", requires = "file")]
    ledger: Option<PathBuf>,
    /// The process is killed when that many jobs have ended.
    #[arg(long, value_name = "N", requires = "file")]
    die_after: Option<u32>,
}
