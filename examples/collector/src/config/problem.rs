//! What is wrong with a configuration, where, and how to mend it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use serde::Serialize;

use super::node::{Node, Span};
use super::veil;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The collector does not start.
    Error,
    /// The collector starts; what it does about the problem is in the message.
    Warning,
    /// Good to know and no problem: nothing is missing. Only `check` shows it, and a start
    /// that logs at level debug.
    Note,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where it is, if it is anywhere in particular.
    pub span: Option<Span>,
    /// The setting, as in `exporters::awsemf::log_group_name`; may be empty.
    pub path: String,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// What would mend it.
    pub fix: Option<String>,
    /// Whether the collector can start all the same.
    pub severity: Severity,
}

/// All that is wrong with a configuration, and the sources to show it in.
#[derive(Debug, Default)]
pub struct Problems {
    list: Vec<Problem>,
    sources: BTreeMap<Arc<str>, Arc<str>>,
    context: String,
}

impl Problems {
    /// No problem so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers the text of a source, to show the lines that problems point to.
    pub fn add_source(&mut self, file: &Arc<str>, text: &str) {
        self.sources.insert(Arc::clone(file), Arc::from(text));
    }

    /// Adds a problem, unless the same one is listed already.
    ///
    /// What the message quotes of a secret is taken out of it.
    pub fn push(&mut self, mut problem: Problem) {
        if let Some(excerpt) = self.excerpt(&problem)
            && !excerpt.is_key
        {
            problem.message = veil::redact(&problem.message, excerpt.hidden).into_owned();
        }
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Adds an error with its full path.
    pub fn error(
        &mut self,
        span: Option<&Span>,
        path: &str,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        self.add(Severity::Error, span, path, message.into(), fix);
    }

    /// Adds a warning with its full path.
    pub fn warning(
        &mut self,
        span: Option<&Span>,
        path: &str,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        self.add(Severity::Warning, span, path, message.into(), fix);
    }

    /// Adds an error about `sub_path` of `node`, such as `transforms[3].operations[0].label`.
    ///
    /// The position is that of the deepest value on the path that exists. The path is
    /// put after the [`context`](Self::set_context), which is the component that was decoded last.
    pub fn error_at(&mut self, node: &Node, sub_path: &str, message: impl Into<String>, fix: Option<String>) {
        let path = self.path_in_context(sub_path);
        self.add(Severity::Error, Some(&node.at_path(sub_path).span), &path, message.into(), fix);
    }

    /// Adds a warning about `sub_path` of `node`; see [`error_at`](Self::error_at).
    pub fn warning_at(
        &mut self,
        node: &Node,
        sub_path: &str,
        message: impl Into<String>,
        fix: Option<String>,
    ) {
        let path = self.path_in_context(sub_path);
        self.add(Severity::Warning, Some(&node.at_path(sub_path).span), &path, message.into(), fix);
    }

    /// Adds a note with its full path.
    pub fn note(&mut self, span: Option<&Span>, path: &str, message: impl Into<String>, fix: Option<String>) {
        self.add(Severity::Note, span, path, message.into(), fix);
    }

    /// Adds a note about `sub_path` of `node`; see [`error_at`](Self::error_at).
    pub fn note_at(&mut self, node: &Node, sub_path: &str, message: impl Into<String>, fix: Option<String>) {
        let path = self.path_in_context(sub_path);
        self.add(Severity::Note, Some(&node.at_path(sub_path).span), &path, message.into(), fix);
    }

    /// Takes the notes out, for those who want to hear of problems only.
    pub fn drop_notes(&mut self) {
        self.list.retain(|problem| problem.severity != Severity::Note);
    }

    /// Sets what [`error_at`](Self::error_at) puts before its paths: `exporters::awsemf`.
    ///
    /// [`decode`](super::decode::decode) does this with the path it is given.
    pub fn set_context(&mut self, path: &str) {
        path.clone_into(&mut self.context);
    }

    /// Whether the collector cannot start.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// How many problems there are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Whether there is no problem at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of problems.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The problems in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// All problems for people, each with its source line; empty text if there is none.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut out = String::new();
        for problem in &self.list {
            if !out.is_empty() {
                out.push('\n');
            }
            out.push_str(&self.render_one(problem, &renderer));
            out.push('\n');
        }
        out
    }

    /// All problems as a JSON array of objects with `severity`, `message`, `path`, `file`, `line`, `column`, `fix`.
    pub fn to_json(&self) -> String {
        let rows: Vec<Row<'_>> = self.list.iter().map(Row::of).collect();
        serde_json::to_string_pretty(&rows).expect("strings and numbers are always JSON")
    }

    /// The same objects, one a line.
    pub fn to_json_lines(&self) -> String {
        let line =
            |problem| serde_json::to_string(&Row::of(problem)).expect("strings and numbers are always JSON");
        self.list.iter().map(|problem| line(problem) + "\n").collect()
    }

    fn add(
        &mut self,
        severity: Severity,
        span: Option<&Span>,
        path: &str,
        message: String,
        fix: Option<String>,
    ) {
        self.push(Problem { span: span.cloned(), path: path.to_owned(), message, fix, severity });
    }

    fn path_in_context(&self, sub_path: &str) -> String {
        match (self.context.is_empty(), sub_path.is_empty()) {
            (true, _) => sub_path.to_owned(),
            (_, true) => self.context.clone(),
            _ => format!("{}::{sub_path}", self.context),
        }
    }

    fn excerpt(&self, problem: &Problem) -> Option<Excerpt<'_>> {
        let span = problem.span.as_ref()?;
        Excerpt::new(self.sources.get(&span.file)?, span, veil::is_secret_path(&problem.path))
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Note => Level::NOTE,
        };
        let mut title = String::new();
        if !problem.path.is_empty() {
            let _ = write!(title, "{}: ", problem.path);
        }
        title.push_str(&problem.message);
        let title = level.primary_title(title);
        let mut group = match &problem.span {
            None => annotate_snippets::Group::with_title(title),
            Some(span) => match self.excerpt(problem) {
                Some(Excerpt { line, place: Some(place), .. }) => title.element(
                    Snippet::source(line)
                        .path(&*span.file)
                        .line_start(usize::try_from(span.line).unwrap_or(1))
                        .annotation(AnnotationKind::Primary.span(place)),
                ),
                _ => title.element(
                    Origin::path(&*span.file)
                        .line(usize::try_from(span.line).unwrap_or(1))
                        .char_column(usize::try_from(span.column).unwrap_or(1)),
                ),
            },
        };
        if let Some(fix) = &problem.fix {
            group = group.element(Level::HELP.message(fix.as_str()));
        }
        renderer.render(&[group])
    }
}

/// A problem as JSON shows it.
#[derive(Serialize)]
struct Row<'a> {
    severity: Severity,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            severity: problem.severity,
            message: &problem.message,
            path: &problem.path,
            file: problem.span.as_ref().map(|span| &*span.file),
            line: problem.span.as_ref().map(|span| span.line),
            column: problem.span.as_ref().map(|span| span.column),
            fix: problem.fix.as_deref(),
        }
    }
}

/// The line that a problem points to, without its secrets.
struct Excerpt<'t> {
    line: Cow<'t, str>,
    /// The bytes of the span in the line; `None` when it begins in what is not shown.
    place: Option<Range<usize>>,
    /// What of the line is not shown.
    hidden: &'t str,
    /// Whether the span is that of a key, which is no secret.
    is_key: bool,
}

impl<'t> Excerpt<'t> {
    fn new(text: &'t str, span: &Span, is_secret: bool) -> Option<Self> {
        let line = text.lines().nth(usize::try_from(span.line).ok()?.checked_sub(1)?)?;
        let skip = usize::try_from(span.column).ok()?.checked_sub(1)?;
        let take = usize::try_from(span.len.max(1)).ok()?;
        let offset = |chars: usize| line.char_indices().nth(chars).map_or(line.len(), |(at, _)| at);
        let (start, end) = (offset(skip), offset(skip + take));
        let is_key = line.get(end..)?.trim_start_matches(['\'', '"', ' ']).starts_with(':');
        let cut = veil::hidden_from(line).into_iter().chain((is_secret && !is_key).then_some(start)).min();
        let Some(cut) = cut else {
            return Some(Self { line: Cow::Borrowed(line), place: Some(start..end), hidden: "", is_key });
        };
        let (shown, hidden) = line.split_at(cut);
        let end = if end <= cut { end } else { cut + veil::VEIL.len() };
        let place = (start <= cut).then_some(start..end);
        Some(Self { line: format!("{shown}{}", veil::VEIL).into(), place, hidden, is_key })
    }
}
