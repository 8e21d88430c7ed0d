//! Definitions as text, and back: a small part of TOML, one fact a line, in the order of the source.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::definition::{DefinedNode, DefinedRegion, Definition, KINDS, Shape, VALUE_EXIT};

const HEAD: &str = "\
# Written by zahir: what stored runs of these workflows rest on. Commit it; a test compares it with
# the program. If a difference is meant, write it anew: ZAHIR_LOCKFILE=update cargo test
format = 1
";

/// A line that was not written by [`write`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) reason: String,
}

/// The workflows that these definitions are of, in their order.
pub(super) fn write<'d>(definitions: impl Iterator<Item = &'d Definition>) -> String {
    let mut text = HEAD.to_owned();
    for definition in definitions {
        text.push_str(&of(definition, &definition.shape.workflow));
    }
    text
}

/// One workflow of a definition.
pub(super) fn of(definition: &Definition, workflow: &str) -> String {
    let shape = &definition.shape;
    let nodes = shape.nodes.iter().filter(|node| node.workflow == workflow);
    let nodes: Vec<&DefinedNode> = nodes.collect();
    let regions = shape.regions.iter();
    let regions: Vec<&DefinedRegion> = regions.filter(|it| it.workflow == workflow).collect();
    let name = |id: &u32| {
        let node = usize::try_from(*id).ok().and_then(|id| nodes.get(id));
        node.map_or_else(String::new, |node| node.name.clone())
    };
    let mut text = String::new();
    text.push_str("\n[[workflow]]\n");
    line(&mut text, "name", &quoted(workflow));
    if let Some(result) = regions.first().and_then(|body| body.result.as_ref()) {
        line(&mut text, "gives", &quoted(&name(result)));
    }
    let around = around(&nodes);
    for node in &nodes {
        text.push_str("\n[[workflow.node]]\n");
        line(&mut text, "name", &quoted(&node.name));
        let region = around.get(&node.region);
        if let Some(region) = region.filter(|region| !region.is_empty()) {
            line(&mut text, "in", &list(region));
        }
        line(&mut text, "kind", &quoted(short(&node.kind)));
        if let Some(calls) = &node.calls {
            line(&mut text, "calls", &quoted(calls));
        }
        if !node.signature.is_empty() {
            line(&mut text, "types", &quoted(&node.signature));
        }
        if node.version > 0 {
            line(&mut text, "version", &node.version.to_string());
        }
        if !node.effect.is_empty() {
            line(&mut text, "effect", &quoted(&node.effect));
        }
        if !node.spawns.is_empty() {
            line(&mut text, "spawns", &list(&node.spawns));
        }
        let names = |ids: &[u32]| ids.iter().map(name).collect::<Vec<_>>();
        if !node.uses.is_empty() {
            line(&mut text, "uses", &list(&names(&node.uses)));
        }
        if !node.after.is_empty() {
            line(&mut text, "after", &list(&names(&node.after)));
        }
        write_regions(&mut text, node, &regions);
        line(&mut text, "fingerprint", &quoted(&hex(node.fingerprint)));
        if node.entry != node.fingerprint {
            line(&mut text, "entry", &quoted(&hex(node.entry)));
        }
    }
    text
}

/// How the regions that a node enters end: one word for each.
fn write_regions(text: &mut String, node: &DefinedNode, regions: &[&DefinedRegion]) {
    let exits = node.inside.iter().map(|id| {
        let region = usize::try_from(*id).ok().and_then(|id| regions.get(id));
        region.map_or_else(String::new, |region| region.exit.clone())
    });
    let exits: Vec<String> = exits.collect();
    if !exits.is_empty() {
        line(text, "ends", &list(&exits));
    }
}

/// The nodes around each region, from the outside in. A number tells which region of a node it is, if
/// it is not the first.
fn around(nodes: &[&DefinedNode]) -> BTreeMap<u32, Vec<String>> {
    let mut around: BTreeMap<u32, Vec<String>> = BTreeMap::from([(0, Vec::new())]);
    for node in nodes {
        let outer = around.get(&node.region).cloned().unwrap_or_default();
        for (inner, place) in node.inside.iter().zip(1..) {
            let mut outer = outer.clone();
            outer.push(step(&node.name, place));
            around.insert(*inner, outer);
        }
    }
    around
}

fn step(name: &str, place: usize) -> String {
    if place == 1 && !name.contains('#') {
        name.to_owned()
    } else {
        format!("{name}#{place}")
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string does not fail.
    writeln!(text, "{key} = {value}").ok();
}

fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            letter if letter.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(letter)).ok();
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A kind without its article: `for`, `job`.
fn short(kind: &str) -> &str {
    let kind = kind.strip_prefix("an ").or(kind.strip_prefix("a "));
    kind.unwrap_or_default().trim_matches('`')
}

/// What was written, as the shape of all workflows in it. What only a program needs is not in it.
pub(super) fn read(text: &str) -> Result<Shape, Malformed> {
    let mut reader = Reader::default();
    for (at, line) in text.lines().enumerate() {
        reader.line(line).map_err(|reason| Malformed {
            line: at + 1,
            reason,
        })?;
    }
    let end = text.lines().count();
    reader
        .end()
        .map_err(|reason| Malformed { line: end, reason })
}

#[derive(Default)]
struct Reader {
    has_format: bool,
    nodes: Vec<DefinedNode>,
    regions: Vec<DefinedRegion>,
    workflow: Option<Workflow>,
}

/// The workflow that is being read.
#[derive(Default)]
struct Workflow {
    name: String,
    gives: Option<String>,
    nodes: Vec<DefinedNode>,
    /// The regions behind the body, each with its exit and owner.
    regions: Vec<(String, u32)>,
    /// The number of each region, by what is around it.
    numbers: BTreeMap<Vec<String>, u32>,
    /// The node that is being read: its facts so far.
    node: Option<BTreeMap<String, Fact>>,
}

#[derive(Debug)]
enum Fact {
    Text(String),
    Texts(Vec<String>),
    Number(u32),
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        match line {
            "" => Ok(()),
            _ if line.starts_with('#') => Ok(()),
            "[[workflow]]" => {
                self.end_workflow()?;
                self.workflow = Some(Workflow::default());
                Ok(())
            }
            "[[workflow.node]]" => {
                let workflow = self.workflow.as_mut();
                let workflow = workflow.ok_or("a node of no workflow")?;
                workflow.end_node()?;
                workflow.node = Some(BTreeMap::new());
                Ok(())
            }
            _ => self.fact(line),
        }
    }

    fn fact(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(" = ").ok_or("no `key = value`")?;
        let fact = Fact::read(value)?;
        let Some(workflow) = &mut self.workflow else {
            self.has_format = true;
            return match (key, fact) {
                ("format", Fact::Number(1)) => Ok(()),
                ("format", _) => Err("another format, of another version of zahir".to_owned()),
                (key, _) => Err(format!("`{key}` is not known here")),
            };
        };
        if let Some(node) = &mut workflow.node {
            node.insert(key.to_owned(), fact);
            return Ok(());
        }
        match (key, fact) {
            ("name", Fact::Text(name)) => workflow.name = name,
            ("gives", Fact::Text(name)) => workflow.gives = Some(name),
            (key, _) => return Err(format!("`{key}` is not known here")),
        }
        Ok(())
    }

    fn end_workflow(&mut self) -> Result<(), String> {
        let Some(mut workflow) = self.workflow.take() else {
            return Ok(());
        };
        workflow.end_node()?;
        let result = workflow.result();
        let named = |owner, result, exit: &str| DefinedRegion {
            workflow: workflow.name.clone(),
            owner,
            result,
            exit: exit.to_owned(),
            outs: Vec::new(),
        };
        self.regions.push(named(None, result, VALUE_EXIT));
        let inner = workflow.regions.iter();
        let inner = inner.map(|(exit, owner)| named(Some(*owner), None, exit));
        self.regions.extend(inner);
        self.nodes.extend(workflow.nodes);
        Ok(())
    }

    fn end(mut self) -> Result<Shape, String> {
        self.end_workflow()?;
        if !self.has_format {
            return Err("it does not say its format".to_owned());
        }
        Ok(Shape {
            workflow: String::new(),
            nodes: self.nodes,
            regions: self.regions,
        })
    }
}

impl Workflow {
    /// The node of the body that gives the value. Names are told apart in one region.
    fn result(&self) -> Option<u32> {
        let gives = self.gives.as_ref()?;
        let nodes = self.nodes.iter().zip(0..);
        let named = nodes.filter(|(node, _)| node.region == 0 && node.name == *gives);
        named.last().map(|(_, id)| id)
    }

    fn end_node(&mut self) -> Result<(), String> {
        match self.node.take() {
            Some(facts) => self
                .add_node(facts)
                .map_err(|reason| format!("in the node above, {reason}")),
            None => Ok(()),
        }
    }

    fn add_node(&mut self, mut facts: BTreeMap<String, Fact>) -> Result<(), String> {
        let name = text(&mut facts, "name")?;
        let around = texts(&mut facts, "in")?;
        let region = if around.is_empty() {
            0
        } else {
            let number = self.numbers.get(&around);
            *number.ok_or_else(|| format!("nothing before it is `{}`", around.join("/")))?
        };
        let kind = text(&mut facts, "kind")?;
        let kind = KINDS.iter().find(|known| short(known) == kind);
        let owner = u32::try_from(self.nodes.len()).map_err(|_| "too many nodes")?;
        let mut inside = Vec::new();
        for (exit, place) in texts(&mut facts, "ends")?.into_iter().zip(1..) {
            self.regions.push((exit, owner));
            let number = u32::try_from(self.regions.len()).map_err(|_| "too many regions")?;
            let mut inner = around.clone();
            inner.push(step(&name, place));
            self.numbers.insert(inner, number);
            inside.push(number);
        }
        let fingerprint = number(&text(&mut facts, "fingerprint")?)?;
        let entry = match facts.remove("entry") {
            Some(Fact::Text(entry)) => number(&entry)?,
            Some(_) => return Err("`entry` is no text".to_owned()),
            None => fingerprint,
        };
        self.nodes.push(DefinedNode {
            workflow: self.name.clone(),
            name,
            kind: (*kind.ok_or("a kind of node that is not known")?).to_owned(),
            calls: optional(&mut facts, "calls")?,
            region,
            inside,
            fingerprint,
            entry,
            signature: optional(&mut facts, "types")?.unwrap_or_default(),
            version: match facts.remove("version") {
                Some(Fact::Number(version)) => version,
                Some(_) => return Err("`version` is no number".to_owned()),
                None => 0,
            },
            effect: optional(&mut facts, "effect")?.unwrap_or_default(),
            spawns: texts(&mut facts, "spawns")?,
            ..DefinedNode::default()
        });
        facts.remove("uses");
        facts.remove("after");
        match facts.keys().next() {
            Some(key) => Err(format!("`{key}` is not known here")),
            None => Ok(()),
        }
    }
}

fn text(facts: &mut BTreeMap<String, Fact>, key: &str) -> Result<String, String> {
    optional(facts, key)?.ok_or_else(|| format!("no `{key}`"))
}

fn optional(facts: &mut BTreeMap<String, Fact>, key: &str) -> Result<Option<String>, String> {
    match facts.remove(key) {
        Some(Fact::Text(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` is no text")),
        None => Ok(None),
    }
}

fn texts(facts: &mut BTreeMap<String, Fact>, key: &str) -> Result<Vec<String>, String> {
    match facts.remove(key) {
        Some(Fact::Texts(texts)) => Ok(texts),
        Some(_) => Err(format!("`{key}` is no list")),
        None => Ok(Vec::new()),
    }
}

fn number(hex: &str) -> Result<u64, String> {
    u64::from_str_radix(hex, 16).map_err(|_| "no fingerprint".to_owned())
}

impl Fact {
    fn read(value: &str) -> Result<Self, String> {
        if let Some(list) = value.strip_prefix('[') {
            let mut rest = list;
            let mut texts = Vec::new();
            while !rest.starts_with(']') {
                let (text, behind) = unquoted(rest)?;
                texts.push(text);
                rest = behind.strip_prefix(", ").unwrap_or(behind);
            }
            return if rest == "]" {
                Ok(Self::Texts(texts))
            } else {
                Err("something behind a list".to_owned())
            };
        }
        if let Ok(number) = value.parse() {
            return Ok(Self::Number(number));
        }
        match unquoted(value)? {
            (text, "") => Ok(Self::Text(text)),
            (_, _) => Err("something behind a text".to_owned()),
        }
    }
}

/// A text, and what is behind it.
fn unquoted(value: &str) -> Result<(String, &str), String> {
    let mut rest = value.strip_prefix('"').ok_or("no text in quotes")?;
    let mut text = String::new();
    loop {
        let mut letters = rest.chars();
        match letters.next() {
            None => return Err("a text without its end".to_owned()),
            Some('"') => return Ok((text, letters.as_str())),
            Some('\\') => match letters.next() {
                Some(letter @ ('"' | '\\')) => text.push(letter),
                Some('u') => {
                    let digits = letters.as_str().get(..4).unwrap_or_default();
                    let letter = u32::from_str_radix(digits, 16)
                        .ok()
                        .and_then(char::from_u32);
                    text.push(letter.ok_or("no letter behind `\\u`")?);
                    rest = letters.as_str().get(4..).unwrap_or_default();
                    continue;
                }
                _ => return Err("an unknown letter behind `\\`".to_owned()),
            },
            Some(letter) => text.push(letter),
        }
        rest = letters.as_str();
    }
}
