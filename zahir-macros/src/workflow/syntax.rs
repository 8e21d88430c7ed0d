//! What an expression is, by its form alone.

use syn::visit::{self, Visit};
use syn::{
    Arm, Attribute, BinOp, Block, Expr, ExprCall, ExprLet, ExprMethodCall, ExprPath, Ident, Local,
    Pat, PatIdent,
};

/// What can follow a job call.
pub(crate) const MODIFIERS: [&str; 6] = [
    "after",
    "retry",
    "timeout",
    "total_timeout",
    "backoff",
    "named",
];

/// What will be able to.
const RESERVED_MODIFIERS: [&str; 1] = ["needs"];

/// What says what happens when something fails.
pub(crate) const HANDLERS: [&str; 3] = ["result", "rescue", "finally"];

/// Calls that are constructs of their own.
const WAITS: [&str; 4] = ["sleep", "sleep_until", "signal", "race"];

/// A call of a job, with its modifiers in the order they are written.
pub(crate) struct Chain<'a> {
    pub(crate) call: &'a ExprCall,
    pub(crate) path: &'a ExprPath,
    pub(crate) modifiers: Vec<&'a ExprMethodCall>,
}

impl Chain<'_> {
    /// The name of the function.
    pub(crate) fn name(&self) -> Option<&Ident> {
        self.path.path.segments.last().map(|segment| &segment.ident)
    }

    /// `sleep`, `signal` and the like, if it is none of a module.
    pub(crate) fn wait(&self) -> Option<&Ident> {
        let name = self.name()?;
        let bare = self.path.path.segments.len() == 1 && self.path.path.leading_colon.is_none();
        (bare && WAITS.iter().any(|wait| name == wait)).then_some(name)
    }
}

/// An expression whose failure is handled, as `charge(&user).retry(1).rescue(..)`.
pub(crate) struct Handled<'a> {
    /// What may fail: a call, a block, another construct.
    pub(crate) body: &'a Expr,
    /// The settings of the call, in the order they are written.
    pub(crate) settings: Vec<&'a ExprMethodCall>,
    /// The handlers, innermost first.
    pub(crate) handlers: Vec<&'a ExprMethodCall>,
}

pub(crate) fn handled(expression: &Expr) -> Option<Handled<'_>> {
    let mut body = expression;
    let (mut settings, mut handlers) = (Vec::new(), Vec::new());
    loop {
        body = match body {
            Expr::MethodCall(method) if is_handler(&method.method) => {
                handlers.insert(0, method);
                &method.receiver
            }
            Expr::MethodCall(method) if is_modifier(&method.method) => {
                settings.insert(0, method);
                &method.receiver
            }
            Expr::Paren(inner) => &inner.expr,
            Expr::Group(inner) => &inner.expr,
            _ => break,
        };
    }
    let handles = !handlers.is_empty() && is_node(body);
    handles.then_some(Handled {
        body,
        settings,
        handlers,
    })
}

fn is_handler(method: &Ident) -> bool {
    HANDLERS.iter().any(|handler| method == handler)
}

/// A call, or another construct that makes nodes.
pub(crate) fn is_node(expression: &Expr) -> bool {
    chain(expression).is_some() || is_construct(expression)
}

/// The statements of `{ .. }`.
pub(crate) fn block_of(expression: &Expr) -> Option<&Block> {
    match expression {
        Expr::Block(block) if block.label.is_none() => Some(&block.block),
        Expr::Paren(inner) => block_of(&inner.expr),
        Expr::Group(inner) => block_of(&inner.expr),
        _ => None,
    }
}

/// `sleep(..)`, whatever is said about it.
pub(crate) fn is_sleep(expression: &Expr) -> bool {
    let wait = chain(expression).and_then(|chain| chain.wait().cloned());
    wait.is_some_and(|wait| wait == "sleep" || wait == "sleep_until")
}

pub(crate) fn chain(expression: &Expr) -> Option<Chain<'_>> {
    let mut expression = expression;
    let mut modifiers = Vec::new();
    loop {
        match expression {
            Expr::MethodCall(method) if is_modifier(&method.method) => {
                modifiers.insert(0, method);
                expression = &method.receiver;
            }
            Expr::Paren(inner) => expression = &inner.expr,
            Expr::Group(inner) => expression = &inner.expr,
            Expr::Call(call) if !is_pure(call) => {
                let path = function(&call.func)?;
                return Some(Chain {
                    call,
                    path,
                    modifiers,
                });
            }
            _ => return None,
        }
    }
}

fn is_modifier(method: &Ident) -> bool {
    let method = method.to_string();
    let method = method.as_str();
    MODIFIERS.contains(&method)
        || RESERVED_MODIFIERS.contains(&method)
        || HANDLERS.contains(&method)
}

/// Types that are written as modules are.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "str", "f32", "f64", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16",
    "i32", "i64", "i128", "isize",
];

/// `fetch_user`, `mail::send`: a free function. `Kind::New`, `u64::from` are none.
fn function(callee: &Expr) -> Option<&ExprPath> {
    let Expr::Path(path) = callee else {
        return None;
    };
    let lower = |name: &Ident| {
        let name = name.to_string();
        let name = name.strip_prefix("r#").unwrap_or(&name);
        name.starts_with(|letter: char| letter.is_lowercase() || letter == '_')
    };
    let module = |name: &Ident| lower(name) && PRIMITIVES.iter().all(|primitive| name != primitive);
    let mut segments = path.path.segments.iter().rev();
    let free = path.qself.is_none()
        && segments.next().is_some_and(|segment| lower(&segment.ident))
        && segments.next().is_none_or(|segment| module(&segment.ident));
    free.then_some(path)
}

/// `pure(..)`: what is in it calls no jobs.
pub(crate) fn is_pure(call: &ExprCall) -> bool {
    matches!(&*call.func, Expr::Path(path) if path.path.is_ident("pure"))
}

/// Whether the expression calls a job, or is a construct of the workflow, outside of closures and
/// `pure(..)`.
pub(crate) fn has_job(expression: &Expr) -> bool {
    let mut found = HasJob(false);
    found.visit_expr(expression);
    found.0 || !assigned([expression]).is_empty()
}

fn block_has_job(block: &Block) -> bool {
    let mut found = HasJob(false);
    found.visit_block(block);
    found.0 || !assigned_in(block).is_empty()
}

/// Whether the expression is a construct of the workflow: it decides which nodes run, and how often.
/// What does so without any node is ordinary Rust.
pub(crate) fn is_construct(expression: &Expr) -> bool {
    match expression {
        Expr::ForLoop(_) | Expr::Loop(_) | Expr::While(_) => true,
        Expr::Block(_) => has_job(expression),
        Expr::If(branch) => {
            let otherwise = branch.else_branch.as_ref();
            block_has_job(&branch.then_branch)
                || otherwise.is_some_and(|(_, otherwise)| has_job(otherwise))
        }
        Expr::Match(choice) => choice.arms.iter().any(|arm| has_job(&arm.body)),
        Expr::Paren(inner) => is_construct(&inner.expr),
        Expr::Group(inner) => is_construct(&inner.expr),
        Expr::MethodCall(_) => handled(expression).is_some(),
        _ => false,
    }
}

/// What leaves a region, or changes a variable. It has no value.
pub(crate) fn is_action(expression: &Expr) -> bool {
    match expression {
        Expr::Break(_) | Expr::Continue(_) | Expr::Return(_) | Expr::Assign(_) => true,
        Expr::Binary(binary) => is_compound_assignment(&binary.op),
        _ => false,
    }
}

struct HasJob(bool);

impl<'ast> Visit<'ast> for HasJob {
    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Call(call) if is_pure(call) => {}
            Expr::Call(call) if function(&call.func).is_some() => self.0 = true,
            Expr::ForLoop(_)
            | Expr::Loop(_)
            | Expr::While(_)
            | Expr::Break(_)
            | Expr::Continue(_)
            | Expr::Return(_) => self.0 = true,
            Expr::Closure(_) => {}
            other => visit::visit_expr(self, other),
        }
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

/// The names that a pattern binds, each once.
pub(crate) fn bindings(pattern: &Pat) -> Vec<Ident> {
    let mut found = Bindings(Vec::new());
    found.visit_pat(pattern);
    found.0
}

struct Bindings(Vec<Ident>);

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        // By convention, as everywhere in Rust: `None` is a constant.
        let constant = pattern.ident.to_string().starts_with(char::is_uppercase);
        if !constant && !self.0.contains(&pattern.ident) {
            self.0.push(pattern.ident.clone());
        }
        visit::visit_pat_ident(self, pattern);
    }
}

/// Whether there is a `[a, b]` in a pattern.
pub(crate) fn has_slice(pattern: &Pat) -> bool {
    let mut found = HasSlice(false);
    found.visit_pat(pattern);
    found.0
}

struct HasSlice(bool);

impl<'ast> Visit<'ast> for HasSlice {
    fn visit_pat_slice(&mut self, _: &'ast syn::PatSlice) {
        self.0 = true;
    }
}

/// The names that a pattern binds with `mut` or `ref`.
pub(crate) fn modified(pattern: &Pat) -> Vec<PatIdent> {
    let mut found = Modified(Vec::new());
    found.visit_pat(pattern);
    found.0
}

struct Modified(Vec<PatIdent>);

impl<'ast> Visit<'ast> for Modified {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        if pattern.mutability.is_some() || pattern.by_ref.is_some() {
            self.0.push(pattern.clone());
        }
        visit::visit_pat_ident(self, pattern);
    }
}

/// Whether the expression is a method of a variable, or of a part of one.
pub(crate) fn is_method_of_place(expression: &Expr) -> bool {
    matches!(expression, Expr::MethodCall(call) if is_place(&call.receiver))
}

/// The variable that an expression is.
pub(crate) fn variable(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Expr::Paren(inner) => variable(&inner.expr),
        Expr::Group(inner) => variable(&inner.expr),
        _ => None,
    }
}

/// `x.iter()`, `x.as_str()`: what by its name only borrows.
pub(crate) fn borrowing(expression: &Expr) -> Option<&ExprMethodCall> {
    const NAMES: [&str; 8] = [
        "iter", "iter_mut", "as_str", "as_ref", "as_slice", "as_bytes", "as_deref", "as_path",
    ];
    match expression {
        Expr::MethodCall(call) if call.args.is_empty() => {
            NAMES.iter().any(|name| call.method == name).then_some(call)
        }
        Expr::Paren(inner) => borrowing(&inner.expr),
        Expr::Group(inner) => borrowing(&inner.expr),
        _ => None,
    }
}

/// `x += 1`
pub(crate) fn is_compound_assignment(operator: &BinOp) -> bool {
    matches!(
        operator,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}

/// What `let Some(x) = y` binds.
pub(crate) fn let_bindings(condition: &Expr) -> Vec<Ident> {
    match condition {
        Expr::Let(binding) => bindings(&binding.pat),
        _ => Vec::new(),
    }
}

/// Whether a condition binds names: `let Some(x) = y && x > 3`.
pub(crate) fn binds(condition: &Expr) -> bool {
    match condition {
        Expr::Let(_) => true,
        Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

/// The attributes of what can be a statement, but of a loop.
pub(crate) fn attributes(expression: &mut Expr) -> Vec<Attribute> {
    let attributes = match expression {
        Expr::Call(call) => &mut call.attrs,
        Expr::MethodCall(call) => {
            let mut found = attributes(&mut call.receiver);
            found.append(&mut call.attrs);
            return found;
        }
        Expr::Block(block) => &mut block.attrs,
        Expr::If(branch) => &mut branch.attrs,
        Expr::Match(choice) => &mut choice.attrs,
        Expr::Paren(inner) => &mut inner.attrs,
        Expr::Macro(call) => &mut call.attrs,
        _ => return Vec::new(),
    };
    std::mem::take(attributes)
}

/// `x`, `x.a.b`, `x[0]`: something that is there, and not made.
pub(crate) fn is_place(expression: &Expr) -> bool {
    match expression {
        Expr::Path(path) => path.path.get_ident().is_some(),
        Expr::Field(field) => is_place(&field.base),
        Expr::Index(index) => is_place(&index.expr),
        Expr::Paren(inner) => is_place(&inner.expr),
        Expr::Group(inner) => is_place(&inner.expr),
        _ => false,
    }
}

/// `x` of `x.a.b`, `x[0]`, `*x`.
pub(crate) fn root(expression: &Expr) -> Option<&Ident> {
    match expression {
        Expr::Field(field) => root(&field.base),
        Expr::Index(index) => root(&index.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => root(&unary.expr),
        Expr::Paren(inner) => root(&inner.expr),
        Expr::Group(inner) => root(&inner.expr),
        other => variable(other),
    }
}

/// What is in parentheses.
pub(crate) fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Paren(inner) => bare(&inner.expr),
        Expr::Group(inner) => bare(&inner.expr),
        other => other,
    }
}

/// Whether the expression's value may borrow from a temporary: `&format!("..")`, `a.b().c()`.
/// `x`, `&x.y`, `x.len()`, `x + 1`, `3` don't.
pub(crate) fn may_borrow_temporary(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(_) | Expr::Path(_) | Expr::Binary(_) | Expr::Unary(_) | Expr::Cast(_) => false,
        _ if chain(expression).is_some() => false,
        Expr::Paren(inner) => may_borrow_temporary(&inner.expr),
        Expr::Group(inner) => may_borrow_temporary(&inner.expr),
        Expr::Reference(reference) => {
            let inner = &*reference.expr;
            let lasting = is_place(inner)
                || matches!(inner, Expr::Lit(_) | Expr::Path(_))
                || chain(inner).is_some();
            !lasting
        }
        Expr::Field(field) => !is_place(expression) && may_borrow_temporary(&field.base),
        Expr::Index(index) => !is_place(&index.expr),
        Expr::MethodCall(method) => {
            let receiver = &*method.receiver;
            let lasting = is_place(receiver) || chain(receiver).is_some();
            !lasting || method.args.iter().any(may_borrow_temporary)
        }
        Expr::Macro(call) => {
            let path = &call.mac.path;
            !path.is_ident("format") && !path.is_ident("vec")
        }
        _ => true,
    }
}

/// The variables from around the expressions that are assigned in them, each once, in order.
pub(crate) fn assigned<'e>(expressions: impl IntoIterator<Item = &'e Expr>) -> Vec<Ident> {
    let mut found = Assigned::default();
    for expression in expressions {
        found.visit_expr(expression);
    }
    found.names
}

/// The same for the statements of a block.
pub(crate) fn assigned_in(block: &Block) -> Vec<Ident> {
    let mut found = Assigned::default();
    found.visit_block(block);
    found.names
}

#[derive(Default)]
struct Assigned {
    names: Vec<Ident>,
    /// The names bound inside, innermost scope last.
    bound: Vec<Vec<Ident>>,
}

impl Assigned {
    fn assign(&mut self, place: &Expr) {
        if let Some(name) = variable(place)
            && !self.bound.iter().flatten().any(|bound| bound == name)
            && !self.names.contains(name)
        {
            self.names.push(name.clone());
        }
    }

    fn bind(&mut self, pattern: &Pat) {
        if let Some(innermost) = self.bound.last_mut() {
            innermost.extend(bindings(pattern));
        }
    }

    fn scope(&mut self, within: impl FnOnce(&mut Self)) {
        self.bound.push(Vec::new());
        within(self);
        self.bound.pop();
    }
}

impl<'ast> Visit<'ast> for Assigned {
    fn visit_expr(&mut self, expression: &'ast Expr) {
        match expression {
            Expr::Call(call) if is_pure(call) => {}
            Expr::Assign(assign) => self.assign(&assign.left),
            Expr::Binary(binary) if is_compound_assignment(&binary.op) => {
                self.assign(&binary.left);
            }
            _ => {}
        }
        match expression {
            Expr::Call(call) if is_pure(call) => {}
            Expr::Async(_) => {}
            Expr::Closure(closure) => self.scope(|this| {
                closure.inputs.iter().for_each(|input| this.bind(input));
                this.visit_expr(&closure.body);
            }),
            Expr::If(branch) => {
                self.scope(|this| {
                    this.visit_expr(&branch.cond);
                    this.visit_block(&branch.then_branch);
                });
                if let Some((_, otherwise)) = &branch.else_branch {
                    self.visit_expr(otherwise);
                }
            }
            Expr::While(repeat) => self.scope(|this| {
                this.visit_expr(&repeat.cond);
                this.visit_block(&repeat.body);
            }),
            Expr::ForLoop(each) => {
                self.visit_expr(&each.expr);
                self.scope(|this| {
                    this.bind(&each.pat);
                    this.visit_block(&each.body);
                });
            }
            other => visit::visit_expr(self, other),
        }
    }

    fn visit_expr_let(&mut self, condition: &'ast ExprLet) {
        self.visit_expr(&condition.expr);
        self.bind(&condition.pat);
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.scope(|this| {
            this.bind(&arm.pat);
            visit::visit_arm(this, arm);
        });
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.scope(|this| visit::visit_block(this, block));
    }

    fn visit_local(&mut self, local: &'ast Local) {
        visit::visit_local(self, local);
        self.bind(&local.pat);
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}
