//! Requests that wait for an answer, killed and gone on with.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use zahir_store::{Record, RedbStore, RunId, Store, Timestamp};

/// The example, which cargo builds beside its package's tests.
fn approval() -> PathBuf {
    let mut path = std::env::current_exe().expect("this test has a path");
    path.pop();
    path.pop();
    path.join("examples").join("approval")
}

/// The example while it runs.
struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    /// All it has said so far.
    said: Vec<String>,
}

impl Program {
    fn start(store: &Path) -> Self {
        let mut child = Command::new(approval())
            .args(["--stdin", "--store"])
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example runs");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    fn type_in(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        writeln!(input, "{line}").expect("the example reads");
    }

    /// Waits until it has said all of this, in any order.
    fn until(&mut self, wanted: &[&str]) {
        let is_said = |said: &[String], wanted: &str| said.iter().any(|line| line.contains(wanted));
        while !wanted.iter().all(|wanted| is_said(&self.said, wanted)) {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            self.said
                .push(line.unwrap_or_else(|_| panic!("no {wanted:?} in {:#?}", self.said)));
        }
    }

    fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("it runs");
        assert!(!self.child.wait().expect("it is dead").success());
        self.rest()
    }

    fn end(mut self) -> Vec<String> {
        assert!(self.child.wait().expect("it ends").success());
        self.rest()
    }

    fn rest(mut self) -> Vec<String> {
        self.said.extend(self.lines.iter());
        self.said
    }
}

/// What is on record of each run, in the order they were started.
fn records(store: &Path) -> Vec<Vec<(Timestamp, Record)>> {
    let store = RedbStore::open(store).expect("nobody else has it");
    let runs = store.runs(None, 10).expect("a list of runs");
    let of = |id: RunId| {
        let run = store.load(id).expect("a readable run");
        let steps = run.expect("a run that is there").steps;
        let records = steps.into_iter().flat_map(|step| {
            let at = step.at;
            step.records.into_iter().map(move |record| (at, record))
        });
        records.collect()
    };
    runs.iter().map(|run| of(run.id)).collect()
}

fn count(records: &[(Timestamp, Record)], is_meant: fn(&Record) -> bool) -> usize {
    let records = records.iter();
    records.filter(|(_, record)| is_meant(record)).count()
}

#[test]
fn killed_requests_wait_on_until_the_same_time_and_keep_their_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().join("approval.redb");

    let mut first = Program::start(&store);
    first.until(&["2: Mona is asked", "3: Mona is asked", "4: Mona is asked"]);
    first.until(&[
        "request 1: BOUGHT",
        "request 5: REFUSED, nothing over 5000 €",
    ]);
    first.type_in("approve 2");
    first.type_in("agree 3");
    first.type_in("approve 77");
    first.until(&["say `approve 2`", "no open request of this number"]);
    // What it said last is being recorded.
    std::thread::sleep(Duration::from_millis(500));
    first.kill();
    let before = records(&store);

    // The time goes on while nobody runs.
    std::thread::sleep(Duration::from_secs(3));
    let mut second = Program::start(&store);
    second.until(&["going on with request 2, 3, 4", "request 2: BOUGHT"]);
    second.type_in("reject 3 too  dear");
    second.until(&["request 3: REFUSED, too  dear"]);
    second.until(&["request 4: Mona is asked, again"]);
    second.kill();

    let mut third = Program::start(&store);
    third.until(&["going on with request 4"]);
    third.type_in("approve 4");
    let said = third.end().join("\n");
    assert!(
        said.contains("request 4: is sold out in the usual shop"),
        "{said}"
    );
    assert!(said.contains("request 4: gives back the card"), "{said}");
    assert!(
        said.contains("request 4: BOUGHT in the shop next to"),
        "{said}"
    );

    let after = records(&store);
    for (before, after) in before.iter().zip(&after) {
        assert!(after.starts_with(before), "what was on record stays");
    }
    let is_timer = |record: &Record| matches!(record, Record::TimerSet { .. });
    let timer = before[3].iter().find(|(_, record)| is_timer(record));
    let Some((recorded, Record::TimerSet { at, due })) = timer else {
        panic!("request 4 did not wait when it was killed first");
    };
    // A record bears the time at which it was written, which may be after the wait began.
    let (started, _) = before[3][0];
    let of_wait = |began: Timestamp| began.after(Duration::from_secs(5));
    assert!((of_wait(started)..=of_wait(*recorded)).contains(due));
    let set_anew =
        |record: &Record| matches!(record, Record::TimerSet { at: other, .. } if other == at);
    let timers = after[3].iter().filter(|(_, record)| set_anew(record));
    assert_eq!(
        timers.count(),
        1,
        "the wait has one time, over all restarts"
    );
    let timed_out =
        |record: &Record| matches!(record, Record::WaitTimedOut { at: other } if other == at);
    let timed_out = after[3].iter().find(|(_, record)| timed_out(record));
    assert!(timed_out.expect("nobody answered in time").0 >= *due);
    for (records, signals) in after.iter().zip([0, 1, 1, 1, 0]) {
        let received = |record: &Record| matches!(record, Record::SignalReceived { .. });
        let consumed = |record: &Record| matches!(record, Record::SignalConsumed { .. });
        assert_eq!(count(records, received), signals);
        assert_eq!(count(records, consumed), signals);
    }
}

#[test]
fn the_demo_plays_all_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(approval())
        .arg("--demo")
        .current_dir(folder.path())
        .output()
        .expect("the example runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    let ends = [
        "1: BOUGHT",
        "2: BOUGHT",
        "3: REFUSED, art",
        "4: BOUGHT",
        "5: REFUSED",
    ];
    for end in ends {
        assert!(text.contains(&format!("request {end}")), "{text}");
    }
    assert!(text.contains("Mona is asked, again"), "{text}");
    assert!(folder.path().join("approval.redb").exists());
}

#[test]
fn the_graph_has_all_of_the_workflow() {
    for (format, start) in [("dot", "digraph"), ("mermaid", "flowchart")] {
        let output = Command::new(approval()).args(["--graph", format]).output();
        let text = String::from_utf8(output.expect("it runs").stdout).expect("text");
        assert!(text.starts_with(start), "{text}");
        for word in [
            "match",
            "loop",
            "signal answer",
            "sleep",
            "rescue",
            "finally",
        ] {
            assert!(text.contains(word), "no {word} in {text}");
        }
    }
}
