//! Purchase requests: who may buy what, who has to be asked, and what happens if nobody answers.
//!
//! ```console
//! cargo run --release --example approval               # answer with: approve 2, reject 3 too dear
//! cargo run --release --example approval -- --demo     # the answers come by themselves
//! ```
//!
//! Press Ctrl-C, or kill it, and run it again: what waits for an answer goes on waiting, until the
//! same time as before.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use zahir::{Failure, RunErrorKind, RunHandle, Runtime, TimedOut, job, workflow};

/// How long an answer may take before somebody is reminded.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Request {
    number: usize,
    what: String,
    euros: u32,
}

/// Who decides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Route {
    Nobody,
    Manager { name: String },
    Forbidden { rule: String },
}

/// What a manager says, sent to the run as a signal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    Approved,
    Rejected { reason: String },
}

/// What became of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Bought { shop: String },
    Refused { reason: String },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ShopError {
    SoldOut { shop: String },
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::SoldOut { shop } = self;
        write!(f, "sold out in {shop}")
    }
}

impl Error for ShopError {}

#[job]
pub async fn find_route(request: &Request) -> Route {
    match request.euros {
        0..100 => Route::Nobody,
        100..5000 => Route::Manager {
            name: "Mona".to_owned(),
        },
        _ => Route::Forbidden {
            rule: "nothing over 5000 €".to_owned(),
        },
    }
}

#[job]
pub async fn ask(manager: &str, request: &Request, reminders: u32) {
    let number = request.number;
    let again = if reminders == 0 { "" } else { ", again" };
    say(
        request,
        &format!("{manager} is asked{again}: `approve {number}` or `reject {number} <why>`?"),
    );
}

#[job]
pub async fn lend_card(request: &Request) -> String {
    say(request, "gets the company's card");
    format!("card for request {}", request.number)
}

#[job]
pub async fn buy(request: &Request, card: &str, shop: &str) -> Result<Outcome, ShopError> {
    let shop = shop.to_owned();
    if shop == "the usual shop" && request.what.contains("chair") {
        say(request, &format!("is sold out in {shop}"));
        return Err(ShopError::SoldOut { shop });
    }
    say(request, &format!("is paid in {shop} with the {card}"));
    Ok(Outcome::Bought { shop })
}

#[job]
pub async fn other_shop(error: &ShopError) -> String {
    let ShopError::SoldOut { shop } = error;
    format!("the shop next to {shop}")
}

#[job]
pub async fn take_back(request: &Request, card: &str) {
    say(request, &format!("gives back the {card}"));
}

#[job]
pub async fn note(request: &Request, failure: &Failure) -> Outcome {
    say(request, &format!("could not be bought: {failure}"));
    Outcome::Refused {
        reason: failure.message().to_owned(),
    }
}

workflow! {
    /// One request, from when it is made until it is bought or refused.
    pub async fn purchase(request: Request) -> Outcome {
        let route = find_route(&request);
        match route {
            Route::Nobody => {}
            Route::Forbidden { rule } => return Outcome::Refused { reason: rule },
            Route::Manager { name } => {
                let mut reminders = 0;
                let answer = loop {
                    let asked = ask(&name, &request, reminders);
                    let answer = signal::<Answer>("answer").timeout(PATIENCE).after(asked);
                    match answer {
                        Ok(answer) => break answer,
                        Err(TimedOut) if reminders == 2 => {
                            return Outcome::Refused { reason: format!("{name} did not answer") };
                        }
                        Err(TimedOut) => { reminders += 1; }
                    }
                };
                if let Answer::Rejected { reason } = answer {
                    return Outcome::Refused { reason };
                }
                sleep(2s);      // for second thoughts
            }
        }
        let card = lend_card(&request);
        {
            buy(&request, &card, "the usual shop").rescue(|error| {
                let shop = other_shop(&error);
                buy(&request, &card, &shop)
            })
        }
        .finally(take_back(&request, &card))
        .rescue(|failure| note(&request, &failure))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match options.graph {
        Some(Format::Dot) => print!("{}", Purchase::graph().to_dot()),
        Some(Format::Mermaid) => print!("{}", Purchase::graph().to_mermaid()),
        None => {
            return run(&options).await.unwrap_or_else(|problem| {
                eprintln!("approval: {problem}");
                ExitCode::FAILURE
            });
        }
    }
    ExitCode::SUCCESS
}

/// Goes on with the requests that are open, or makes five new ones; until each has its outcome.
async fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = Runtime::open(&options.store)
        .workflow::<Purchase>()
        .start()
        .await?;
    let requests = open_requests(&runtime).await?;
    let (tell, mut answers) = mpsc::channel(16);
    if options.demo || !options.stdin && !io::stdin().is_terminal() {
        let open = requests.iter().map(|request| request.number).collect();
        tokio::spawn(play(open, tell));
    } else {
        // A thread of its own: reading a terminal can't be cancelled.
        std::thread::spawn(move || read(&tell));
    }
    let mut outcomes = tokio::task::JoinSet::new();
    for Open { number, run } in &requests {
        let (number, run) = (*number, run.clone());
        outcomes.spawn(async move { (number, run.output().await) });
    }
    let mut is_heard = true;
    loop {
        tokio::select! {
            ended = outcomes.join_next() => match ended {
                Some(ended) => tell_outcome(ended?),
                None => break,
            },
            line = answers.recv(), if is_heard => match line {
                Some(line) => answer(&requests, &line).await,
                None => is_heard = false,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    runtime.shutdown().await?;
    let mut left = 0;
    while let Some(ended) = outcomes.join_next().await {
        match ended? {
            (_, Err(problem)) if problem.kind() == RunErrorKind::Stopped => left += 1,
            ended => tell_outcome(ended),
        }
    }
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{left} requests are open in {}; run again to go on",
        options.store.display()
    );
    Ok(ExitCode::from(130))
}

struct Open {
    number: usize,
    run: RunHandle<Outcome>,
}

/// The requests that were left open by an earlier process, or else five new ones.
async fn open_requests(runtime: &Runtime) -> Result<Vec<Open>, Box<dyn Error>> {
    let made = runtime.runs(None, usize::MAX).await?.len();
    let mut open = Vec::new();
    for run in runtime.recovered().runs() {
        let number = run
            .key()
            .and_then(|key| key.parse().ok())
            .unwrap_or_default();
        let run = runtime.handle::<Purchase>(run.id()).await?;
        open.push(Open { number, run });
    }
    if !open.is_empty() {
        let numbers: Vec<_> = open.iter().map(|open| open.number.to_string()).collect();
        println!("going on with request {}", numbers.join(", "));
    }
    // Killed before all five were made, it makes the others now.
    let wanted = if open.is_empty() { made + 1 } else { made }.next_multiple_of(5);
    for number in made + 1..=wanted {
        let (what, euros) = [
            ("a lamp", 60),
            ("a desk", 700),
            ("a statue", 900),
            ("two chairs", 400),
            ("a yacht", 70_000),
        ][(number - 1) % 5];
        let request = Request {
            number,
            what: what.to_owned(),
            euros,
        };
        println!("request {number}: {what} for {euros} €");
        let run = runtime
            .run(purchase(request))
            .key(number.to_string())
            .start()
            .await?;
        open.push(Open { number, run });
    }
    Ok(open)
}

/// What is typed: `approve 2`, or `reject 3 too dear`.
async fn answer(requests: &[Open], line: &str) {
    let mut words = line.splitn(3, ' ');
    let (word, number, reason) = (words.next(), words.next(), words.next());
    let answer = match word {
        Some("approve") => Answer::Approved,
        Some("reject") => Answer::Rejected {
            reason: reason.unwrap_or("no reason given").to_owned(),
        },
        _ => return println!("say `approve 2`, or `reject 3 too dear`"),
    };
    let number = number.and_then(|number| number.parse().ok());
    let Some(request) = requests.iter().find(|open| Some(open.number) == number) else {
        return println!("there is no open request of this number");
    };
    if let Err(problem) = request.run.signal(Purchase::ANSWER, answer).await {
        println!("request {}: {problem}", request.number);
    }
}

fn tell_outcome((number, outcome): (usize, Result<Outcome, zahir::RunError>)) {
    match outcome {
        Ok(Outcome::Bought { shop }) => println!("request {number}: BOUGHT in {shop}"),
        Ok(Outcome::Refused { reason }) => println!("request {number}: REFUSED, {reason}"),
        Err(problem) => println!("request {number}: {problem}"),
    }
}

/// The answers of the demo: to every second, third and fourth request.
async fn play(open: Vec<usize>, tell: mpsc::Sender<String>) {
    let answers = [
        (1, "approve", ""),
        (2, "reject", " art is not in the budget"),
        (7, "approve", ""),
    ];
    let mut now = 0;
    for (place, (second, word, reason)) in answers.into_iter().enumerate() {
        let Some(number) = open.iter().find(|number| (*number - 1) % 5 == place + 1) else {
            continue;
        };
        tokio::time::sleep(Duration::from_secs(second - now)).await;
        now = second;
        let line = format!("{word} {number}{reason}");
        println!("> {line}");
        if tell.send(line).await.is_err() {
            break;
        }
    }
}

fn read(tell: &mpsc::Sender<String>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        if tell.blocking_send(line.trim().to_owned()).is_err() {
            break;
        }
    }
}

fn say(request: &Request, what: &str) {
    println!("request {}: {what}", request.number);
}

/// Plays five purchase requests; run again after a kill, it goes on with those that are open.
#[derive(Parser)]
struct Options {
    /// Answer by itself. That is so anyway if stdin is no terminal.
    #[arg(long)]
    demo: bool,
    /// Read the answers from stdin, also if that is no terminal.
    #[arg(long, conflicts_with = "demo")]
    stdin: bool,
    /// Where the runs are kept.
    #[arg(long, value_name = "FILE", default_value = "approval.redb")]
    store: PathBuf,
    /// Print the graph of the workflow and exit.
    #[arg(long, value_name = "FORMAT")]
    graph: Option<Format>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Dot,
    Mermaid,
}
