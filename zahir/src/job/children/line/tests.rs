//! Lines, driven by hand.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake};

use zahir_store::ChildLimits;

use super::*;

const KIND: NodeId = NodeId::new(7);

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// A line, its attempt's task, and whoever waits in the job.
struct Test {
    line: Arc<Line>,
    task: Arc<Bell>,
    job: Arc<Bell>,
}

impl Test {
    fn new() -> Self {
        let kind = Kind {
            name: "load",
            node: KIND,
            error: None,
        };
        Self {
            line: Arc::new(Line::new(vec![kind], 100, 3000, [])),
            task: Arc::default(),
            job: Arc::default(),
        }
    }

    fn spawn(&self, argument: u8) -> ChildId {
        self.line.spawn(KIND, vec![argument]).unwrap()
    }

    fn enter(&self) -> Entrance {
        self.line.enter(&Waker::from(Arc::clone(&self.task)))
    }

    /// A poll of the job that does this.
    fn poll<T>(&self, poll: impl FnOnce() -> T) -> (T, Petition) {
        assert_eq!(self.enter(), Entrance::Poll);
        let polled = poll();
        (polled, self.line.leave(true))
    }

    fn poll_group(&self, group: GroupId, open_max: usize) -> Poll<Vec<(ChildId, String)>> {
        let waker = Waker::from(Arc::clone(&self.job));
        let context = Context::from_waker(&waker);
        let polled = self.line.poll_group(group, open_max, &context);
        polled.map(|ended| {
            let told = ended
                .unwrap()
                .into_iter()
                .map(|ended| (ended.id, told(&ended.end)));
            told.collect()
        })
    }

    /// A wait for these, which is pending: what is asked for.
    fn park(
        &self,
        children: &[ChildId],
        open_max: usize,
    ) -> (GroupId, Vec<SpawnedChild>, Vec<Wait>) {
        let group = self.line.group();
        self.line.join(group, children.iter().copied());
        let (polled, petition) = self.poll(|| self.poll_group(group, open_max));
        assert_eq!(polled, Poll::Pending);
        let Petition::Park { spawned, waits } = petition else {
            panic!("not parked: {petition:?}");
        };
        (group, spawned, waits)
    }
}

fn told(end: &ChildEnd) -> String {
    match end {
        ChildEnd::Succeeded(value) => value.get::<u8>().unwrap().to_string(),
        ChildEnd::Failed(failure, _) => failure.message().to_owned(),
    }
}

fn succeeded(number: u32, value: u8) -> (ChildCall, ChildEnd) {
    let end = ChildEnd::Succeeded(Value::new(value));
    (ChildCall::Number(number), end)
}

fn calls(spawned: &[SpawnedChild]) -> Vec<ChildCall> {
    spawned.iter().map(|child| child.call.clone()).collect()
}

fn numbers(numbers: &[u32]) -> Vec<ChildCall> {
    numbers.iter().copied().map(ChildCall::Number).collect()
}

#[test]
fn children_are_reported_when_one_is_waited_for() {
    let test = Test::new();
    let (a, b, dropped) = (test.spawn(1), test.spawn(2), test.spawn(3));
    test.line.release(dropped);
    let (_, petition) = test.poll(|| ());
    assert!(matches!(petition, Petition::Nothing), "nobody waits");
    let (group, spawned, waits) = test.park(&[b], 0);
    assert_eq!(calls(&spawned), numbers(&[0, 1]), "not what was dropped");
    assert_eq!(waits.len(), 1);
    assert_eq!(waits[0].children, numbers(&[1]));
    assert!(!test.line.park());
    assert_eq!(test.enter(), Entrance::Wait);
    test.line.resume(vec![succeeded(1, 20)]);
    assert_eq!((test.task.rings(), test.job.rings()), (1, 1));
    let (ended, petition) = test.poll(|| test.poll_group(group, 0));
    assert_eq!(ended, Poll::Ready(vec![(b, "20".to_owned())]));
    assert!(matches!(petition, Petition::Nothing));
    test.line.release(a);
    let Leaving { spawned, left } = test.line.conclude();
    assert_eq!(calls(&spawned), numbers(&[2]));
    assert_eq!(spawned[0].bond, Bond::Followed);
    assert_eq!(left, numbers(&[0]));
}

#[test]
fn a_wake_while_it_is_parked_is_told_once() {
    let test = Test::new();
    let child = test.spawn(1);
    let (group, ..) = test.park(&[child], 0);
    assert!(!test.line.wake(), "that it parks was not reported yet");
    assert!(test.line.park());
    assert!(!test.line.wake());
    test.line.resume(Vec::new());
    assert_eq!((test.task.rings(), test.job.rings()), (1, 0));
    let (_, petition) = test.poll(|| assert!(!test.line.wake()));
    assert!(matches!(petition, Petition::Nothing), "it is polled again");
    let (polled, petition) = test.poll(|| test.poll_group(group, 0));
    assert_eq!(polled, Poll::Pending);
    let Petition::Park { spawned, waits } = petition else {
        panic!("not parked: {petition:?}");
    };
    assert_eq!((spawned.len(), waits.len()), (0, 1));
    assert!(!test.line.park());
    assert!(test.line.wake());
    test.line.resume(vec![succeeded(0, 5)]);
    assert!(!test.line.wake());
    assert!(!test.line.wake(), "it runs");
}

#[test]
fn an_answer_may_come_before_the_attempt_knows_that_it_is_parked() {
    let test = Test::new();
    let child = test.spawn(1);
    let (group, ..) = test.park(&[child], 0);
    test.line.resume(vec![succeeded(0, 5)]);
    assert!(!test.line.park());
    let (ended, _) = test.poll(|| test.poll_group(group, 0));
    assert!(ended.is_ready());
}

#[test]
fn a_wait_that_is_over_but_not_asked_for_keeps_no_other_from_parking() {
    let test = Test::new();
    let (a, b) = (test.spawn(1), test.spawn(2));
    let (group, ..) = test.park(&[a], 0);
    assert!(!test.line.park());
    test.line.resume(vec![succeeded(0, 5)]);
    let (_, spawned, waits) = test.park(&[b], 0);
    assert!(spawned.is_empty());
    assert_eq!(waits[0].children, numbers(&[1]));
    assert_eq!(waits.len(), 1);
    assert!(!test.line.park());
    test.line.resume(vec![succeeded(1, 6)]);
    let (ended, _) = test.poll(|| test.poll_group(group, 0));
    assert_eq!(ended, Poll::Ready(vec![(a, "5".to_owned())]));
}

#[test]
fn a_wait_that_is_dropped_is_none() {
    let test = Test::new();
    let child = test.spawn(1);
    let group = test.line.group();
    test.line.join(group, [child]);
    let (_, petition) = test.poll(|| {
        assert!(test.poll_group(group, 0).is_pending());
        test.line.disband(group);
    });
    assert!(matches!(petition, Petition::Nothing));
    test.line.release(child);
    assert_eq!(calls(&test.line.conclude().spawned), numbers(&[0]));
}

#[test]
fn some_of_a_group_may_be_waited_for() {
    let test = Test::new();
    let children = [test.spawn(1), test.spawn(2), test.spawn(3)];
    let (group, spawned, waits) = test.park(&children, 1);
    assert_eq!((spawned.len(), waits[0].open_max), (3, 1));
    assert!(!test.line.park());
    test.line.resume(vec![succeeded(2, 30), succeeded(0, 10)]);
    let (ended, _) = test.poll(|| test.poll_group(group, 1));
    let Poll::Ready(ended) = ended else {
        panic!("pending")
    };
    let told: Vec<_> = ended.iter().map(|(id, told)| (*id, &**told)).collect();
    assert_eq!(told, [(children[2], "30"), (children[0], "10")]);
    let (polled, petition) = test.poll(|| test.poll_group(group, 0));
    assert!(polled.is_pending());
    let Petition::Park { waits, .. } = petition else {
        panic!("not parked");
    };
    assert_eq!(waits[0].children, numbers(&[1]));
}

#[test]
fn many_children_are_reported_in_parts() {
    let test = Test::new();
    let children: Vec<_> = (0..2500).map(|_| test.spawn(0)).collect();
    let (group, spawned, waits) = test.park(&children, 0);
    assert_eq!((spawned.len(), waits[0].children.len()), (1024, 0));
    for more in [1024, 452] {
        assert!(!test.line.park());
        test.line.resume(Vec::new());
        assert_eq!(test.enter(), Entrance::Report);
        let Petition::Park { spawned, waits } = test.line.leave(true) else {
            panic!("not parked");
        };
        assert_eq!(spawned.len(), more);
        let waited = if more == 452 { 2500 } else { 0 };
        assert_eq!(waits[0].children.len(), waited);
    }
    assert!(!test.line.park());
    test.line
        .resume((0..2500).map(|number| succeeded(number, 1)).collect());
    let (ended, _) = test.poll(|| test.poll_group(group, 0));
    assert!(matches!(ended, Poll::Ready(ended) if ended.len() == 2500));
}

#[test]
fn a_key_takes_no_number() {
    let test = Test::new();
    let a = test.spawn(1);
    test.line.set_key(a, "a".to_owned());
    let b = test.spawn(2);
    let (_, spawned, _) = test.park(&[a, b], 0);
    let expected = [ChildCall::Key("a".to_owned()), ChildCall::Number(0)];
    assert_eq!(calls(&spawned), expected);
}

/// What ends the attempt.
fn fault(petition: Petition) -> String {
    let Petition::Fail(failure) = petition else {
        panic!("no fault: {petition:?}");
    };
    failure.message
}

#[test]
fn what_can_not_be_done_ends_the_attempt() {
    let test = Test::new();
    let (a, b) = (test.spawn(1), test.spawn(2));
    let (_, petition) = test.poll(|| {
        test.line.set_key(a, "same".to_owned());
        test.line.set_key(b, "same".to_owned());
    });
    assert!(fault(petition).contains("two children of this job have the key `same`"));

    let test = Test::new();
    let child = test.spawn(1);
    let (_, petition) = test.poll(|| test.line.set_key(child, "map(0)[1]".to_owned()));
    assert!(fault(petition).contains("are those of `ctx.map(..)`"));

    let test = Test::new();
    let child = test.spawn(1);
    let (..) = test.park(&[child], 0);
    assert!(!test.line.park());
    test.line.resume(vec![succeeded(0, 1)]);
    let (_, petition) = test.poll(|| test.line.set_key(child, "late".to_owned()));
    assert!(fault(petition).contains("`.key(..)` comes too late"));

    let test = Test::new();
    let (_, petition) = test.poll(|| test.line.spawn(KIND, vec![0; 101]));
    assert!(fault(petition).contains("have 101 bytes, of which 100 are allowed"));
}

#[test]
fn an_heir_ends_the_attempt() {
    let test = Test::new();
    let (a, b, dropped) = (test.spawn(1), test.spawn(2), test.spawn(3));
    test.line.release(dropped);
    let (_, petition) = test.poll(|| {
        let children = vec![ChildCall::Number(0)];
        test.line.bequeath(Successor {
            kind: KIND,
            inputs: vec![("words".to_owned(), Bequest::Children(children))],
            limits: ChildLimits::default(),
        });
        test.line.release(a);
        test.line.release(b);
    });
    let Petition::Continue { spawned, .. } = petition else {
        panic!("goes on: {petition:?}");
    };
    let bonds: Vec<_> = spawned.iter().map(|child| child.bond).collect();
    assert_eq!(bonds, [Bond::Held, Bond::Followed, Bond::Followed]);
}

#[test]
fn a_value_is_given_when_it_is_durable() {
    let known: (Arc<str>, Arc<[u8]>) = ("old".into(), [1].into());
    let line = Line::new(Vec::new(), 10, 10, [known]);
    let bell = Arc::<Bell>::default();
    let waker = Waker::from(Arc::clone(&bell));
    let context = Context::from_waker(&waker);
    assert_eq!(line.poll_kept("old", &context), Poll::Ready([1].into()));
    assert_eq!(line.recall("new"), Recalled::Unknown);
    assert_eq!(line.keep("new", &[2]), Ok(true));
    assert_eq!(line.keep("new", &[3]), Ok(false), "the first stays");
    assert_eq!(line.recall("new"), Recalled::Known);
    assert!(line.poll_kept("new", &context).is_pending());
    assert!(line.poll_kept("new", &context).is_pending());
    line.settle("new");
    assert_eq!(bell.rings(), 1);
    assert_eq!(line.poll_kept("new", &context), Poll::Ready([2].into()));
    let refused = line.keep("large", &[0; 11]).unwrap_err();
    assert!(refused.message.contains("11 bytes"), "{refused:?}");
}

#[test]
fn what_is_asked_for_while_nobody_polls_calls_the_attempt_back() {
    let test = Test::new();
    let child = test.spawn(1);
    let (_, petition) = test.poll(|| ());
    assert!(matches!(petition, Petition::Nothing));
    // As a task of its own would, to which the job gave the child.
    let group = test.line.group();
    test.line.join(group, [child]);
    assert!(test.poll_group(group, 0).is_pending());
    assert_eq!(test.task.rings(), 1);
    let (_, petition) = test.poll(|| ());
    assert!(matches!(petition, Petition::Park { .. }));
}

#[test]
fn nothing_is_asked_behind_the_end() {
    let test = Test::new();
    let child = test.spawn(1);
    let (group, ..) = test.park(&[child], 0);
    test.line.close();
    test.line.resume(vec![succeeded(0, 1)]);
    assert_eq!(gone(&test, group), Some(Gone::Over));
    test.line.release(child);
    assert!(!test.line.wake());
}

/// Why a group is told nothing.
fn gone(test: &Test, group: GroupId) -> Option<Gone> {
    let waker = Waker::from(Arc::clone(&test.job));
    let context = Context::from_waker(&waker);
    match test.line.poll_group(group, 0, &context) {
        Poll::Ready(Err(gone)) => Some(gone),
        Poll::Ready(Ok(_)) | Poll::Pending => None,
    }
}

#[test]
fn whoever_waits_longer_than_the_attempt_is_woken_and_told() {
    let test = Test::new();
    let child = test.spawn(1);
    let group = test.line.group();
    test.line.join(group, [child]);
    assert_eq!(gone(&test, group), None, "it waits");
    drop(test.line.conclude());
    assert_eq!(test.job.rings(), 0);
    test.line.close();
    assert_eq!(test.job.rings(), 1);
    assert_eq!(gone(&test, group), Some(Gone::Over));
}

#[test]
fn keys_count_for_the_size_of_a_report() {
    let test = Test::new();
    let children: Vec<_> = (0..1000)
        .map(|number| {
            let child = test.line.spawn(KIND, vec![0; 100]).unwrap();
            test.line.set_key(child, format!("{number:01024}"));
            child
        })
        .collect();
    let (_, spawned, _) = test.park(&children, 0);
    assert_eq!(spawned.len(), REPORT_BYTES_MAX.div_ceil(1124));
}

#[test]
fn no_more_children_are_kept_than_a_job_may_have() {
    let test = Test::new();
    let (refused, petition) = test.poll(|| {
        let first: Vec<_> = (0..3000).map(|_| test.spawn(1)).collect();
        assert_eq!(first.len(), 3000);
        test.line.spawn(KIND, vec![1])
    });
    assert_eq!(refused, None);
    assert_eq!(
        fault(petition),
        "a job may have 3000 children (`children_per_job_max`), and this one spawned more"
    );
}
