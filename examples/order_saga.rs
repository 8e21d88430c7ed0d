//! An order of four effects: if one of them fails, those before it are undone.
//!
//! ```console
//! cargo run --release --example order_saga                        # two orders, and a power cut
//! cargo run --release --example order_saga -- --to Atlantis       # one order, in a folder that stays
//! cargo run --release --example order_saga -- --to Atlantis --cut 7
//! ```
//!
//! What the program does to the world around it is in the folder `order_saga`: one book for each of
//! the warehouse, the bank, the courier and the post.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Mutex, OnceLock, PoisonError};

use clap::Parser;
use serde::{Deserialize, Serialize};
use zahir::{Context, RunErrorKind, Runtime, fatal, job, workflow};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    number: u32,
    customer: String,
    city: String,
}

type Problem = Box<dyn Error + Send + Sync>;

/// Gives the shelf that the chairs are kept back on.
#[job(retry = 3, undo = release_stock)]
pub async fn reserve_stock(ctx: &Context, order: &Order) -> io::Result<String> {
    let what = format!("two chairs kept back for {}", order.customer);
    let shelf = world().ask("warehouse", &what, order, ctx)?;
    Ok(format!("shelf {shelf}"))
}

#[job(retry = forever)]
pub async fn release_stock(ctx: &Context, order: &Order, shelf: &str) -> io::Result<()> {
    let what = format!("what is on {shelf} is for sale again");
    world().ask("warehouse", &what, order, ctx).map(drop)
}

/// Gives the number of the payment.
#[job(retry = 3, undo = refund_card)]
pub async fn charge_card(ctx: &Context, order: &Order, shelf: &str) -> io::Result<usize> {
    let what = format!("180 € from {} for what is on {shelf}", order.customer);
    world().ask("bank", &what, order, ctx)
}

#[job(retry = forever)]
pub async fn refund_card(
    ctx: &Context,
    order: &Order,
    _shelf: &str,
    payment: &usize,
) -> io::Result<()> {
    let what = format!("180 € of payment {payment} back to {}", order.customer);
    world().ask("bank", &what, order, ctx).map(drop)
}

/// Gives the number of the parcel.
#[job(retry = 3, undo = cancel_courier)]
pub async fn book_courier(ctx: &Context, order: &Order, payment: usize) -> Result<usize, Problem> {
    if order.city == "Atlantis" {
        world().step();
        let refusal = format!("no courier goes to {}", order.city);
        say(order, "courier", &refusal);
        // It won't go there the next time, either.
        return Err(fatal(refusal).into());
    }
    let what = format!("a parcel to {}, see payment {payment}", order.city);
    Ok(world().ask("courier", &what, order, ctx)?)
}

#[job(retry = forever)]
pub async fn cancel_courier(
    ctx: &Context,
    order: &Order,
    _payment: usize,
    parcel: &usize,
) -> io::Result<()> {
    let what = format!("parcel {parcel} is not sent");
    world().ask("courier", &what, order, ctx).map(drop)
}

/// The last effect, so that nothing can fail behind it. A letter can't be taken back.
#[job(retry = forever, no_undo)]
pub async fn send_confirmation(ctx: &Context, order: &Order, parcel: usize) -> io::Result<String> {
    let what = format!("to {}: parcel {parcel} is on its way", order.customer);
    world().ask("post", &what, order, ctx)?;
    Ok(what)
}

workflow! {
    /// One order. If it fails, what was done for it is undone, the last effect first.
    #[saga]
    pub async fn place_order(order: Order) -> String {
        let shelf = reserve_stock(&order);
        let payment = charge_card(&order, &shelf);
        let parcel = book_courier(&order, payment);
        send_confirmation(&order, parcel)
    }
}

/// Everything outside of the program, which knows nothing of workflows and keeps books of its own.
struct World {
    folder: PathBuf,
    /// The step at which the power is cut.
    cut: Option<u32>,
    /// How many steps there were.
    steps: Mutex<u32>,
}

static WORLD: OnceLock<World> = OnceLock::new();

fn world() -> &'static World {
    WORLD.get().expect("there is a world")
}

impl World {
    /// Asks one of the services for an effect; gives its place in the book of that service. Like any
    /// service with idempotency keys, it does what it is asked with the same key only once.
    fn ask(&self, service: &str, what: &str, order: &Order, ctx: &Context) -> io::Result<usize> {
        self.step();
        let key = ctx.idempotency_key();
        let lock = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = entries(&self.folder)?;
        let mut own = entries.iter().filter(|entry| entry.service == service);
        let count = own.clone().count();
        let known = own.position(|entry| entry.key == key);
        let again = if known.is_some() { ", asked again" } else { "" };
        let number = entries.len() + 1;
        let line = format!("{number}\t{what}{again}\t{key}\n");
        let book = self.folder.join(format!("{service}.book"));
        let mut book = OpenOptions::new().create(true).append(true).open(book)?;
        book.write_all(line.as_bytes())?;
        say(order, service, &format!("{what}{again}"));
        drop(lock);
        self.step();
        Ok(known.unwrap_or(count) + 1)
    }

    /// A place where the power may be cut.
    fn step(&self) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        *steps += 1;
        if Some(*steps) == self.cut {
            println!("-- the power is cut --");
            std::process::abort();
        }
    }
}

/// One line of a book.
struct Entry {
    number: usize,
    service: String,
    what: String,
    key: String,
}

/// What is in all books, in the order it happened.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if path.extension().is_none_or(|extension| extension != "book") {
            continue;
        }
        let service = path.file_stem().unwrap_or_default().to_string_lossy();
        for line in fs::read_to_string(&path)?.lines() {
            let mut parts = line.split('\t').map(str::to_owned);
            let (Some(number), Some(what), Some(key)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            entries.push(Entry {
                number: number.parse().unwrap_or_default(),
                service: service.clone().into_owned(),
                what,
                key,
            });
        }
    }
    entries.sort_by_key(|entry| entry.number);
    Ok(entries)
}

fn say(order: &Order, service: &str, what: &str) {
    println!("order {}: {service:<10} {what}", order.number);
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let ended = match &options.to {
        Some(city) => place(city, &options).await,
        None => play(),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("order_saga: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// Places one order and waits until it is done, or undone.
async fn place(city: &str, options: &Options) -> Result<(), Problem> {
    fs::create_dir_all(&options.folder)?;
    let world = World {
        folder: options.folder.clone(),
        cut: options.cut,
        steps: Mutex::new(0),
    };
    let _ = WORLD.set(world);
    let store = options.folder.join("runs.redb");
    let runtime = Runtime::open(store)
        .workflow::<PlaceOrder>()
        .start()
        .await?;
    if !runtime.recovered().runs().is_empty() {
        println!("order {}: goes on", options.order);
    }
    let order = Order {
        number: options.order,
        customer: "Ada".to_owned(),
        city: city.to_owned(),
    };
    // The number of the order is its key: it is placed once, however often this is called.
    let key = options.order.to_string();
    let run = runtime.run(place_order(order)).key(key).start().await?;
    let ended = run.output().await;
    runtime.shutdown().await?;
    match ended {
        Ok(letter) => println!("order {}: DONE, {letter}", options.order),
        Err(failed) if matches!(failed.kind(), RunErrorKind::Failed(_)) => {
            println!("order {}: UNDONE, {}", options.order, failed.message());
        }
        Err(other) => return Err(other.into()),
    }
    Ok(())
}

/// An order that is delivered; and one that can't be, with a power cut in the middle of undoing it.
fn play() -> Result<(), Problem> {
    let folder = tempfile::tempdir()?;
    let order = |number: &str, city: &str, cut: &[&str]| {
        Command::new(std::env::current_exe()?)
            .args(["--order", number, "--to", city, "--folder"])
            .arg(folder.path())
            .args(cut)
            .status()
    };
    order("1", "Berlin", &[])?;
    println!();
    order("2", "Atlantis", &["--cut", "7"])?;
    order("2", "Atlantis", &[])?;
    println!("\nwhat is in the books:");
    for Entry {
        number,
        service,
        what,
        ..
    } in entries(folder.path())?
    {
        println!("{number:>4}  {service:<10} {what}");
    }
    Ok(())
}

/// Places an order, or goes on with it.
#[derive(Parser)]
struct Options {
    /// Where to. Without it two orders are played, and a power cut.
    #[arg(long, value_name = "CITY")]
    to: Option<String>,
    /// Which order it is.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "to")]
    order: u32,
    /// Where the runs and the books are.
    #[arg(long, default_value = "order_saga", requires = "to")]
    folder: PathBuf,
    /// The power is cut at this step: right before or right after an effect.
    #[arg(long, value_name = "STEP", requires = "to", value_parser = clap::value_parser!(u32).range(1..=9))]
    cut: Option<u32>,
}
