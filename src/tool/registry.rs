//! Keeps the tools of every source by the names that models and rules use.
//!
//! | source | a tool's name |
//! | --- | --- |
//! | as usual | its own |
//! | one that asks for a prefix | `source__tool`, cut to what every model's API accepts |
//!
//! Of two tools with one name the first counts, in the order of the sources and then of their lists; the other is left
//! out and reported.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::source::{CallDescription, ToolContext, ToolInfo, ToolResult, ToolSource};
use crate::event::{ApprovalRequest, Json, Pattern, Risk, ToolKind, ToolSpec};

/// How long a source may take to list its tools before a request goes without them.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest name that every model's API accepts.
const MAX_NAME_BYTES: usize = 64;

type KeepTool = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The tools of all sources, as they were listed last. A clone sees later changes on its own, and shares what was listed
/// before.
#[derive(Clone, Default)]
pub struct Registry {
    sources: Vec<ListedSource>,
    tools: Vec<RegisteredTool>,
    /// What was reported already.
    problems: HashSet<String>,
    /// Whether a tool of that name is used; all are, if none.
    keeps: Option<KeepTool>,
}

#[derive(Clone)]
struct ListedSource {
    source: Arc<dyn ToolSource>,
    changes: Option<watch::Receiver<()>>,
    was_listed: bool,
    tools: Vec<Arc<ToolInfo>>,
}

impl ListedSource {
    fn new(source: Arc<dyn ToolSource>) -> Self {
        Self { changes: source.changes(), source, was_listed: false, tools: Vec::new() }
    }

    fn is_outdated(&self) -> bool {
        // A source that is gone changes no more.
        !self.was_listed || self.changes.as_ref().is_some_and(|changes| changes.has_changed().unwrap_or(false))
    }

    /// Lists the tools anew; if that fails the list stays as it was until the next change notice.
    async fn list(&mut self) -> Result<(), String> {
        self.was_listed = true;
        // A change from here on counts as the next one.
        if let Some(changes) = &mut self.changes {
            changes.mark_unchanged();
        }
        let why = match tokio::time::timeout(LIST_TIMEOUT, self.source.list()).await {
            Ok(Ok(tools)) => {
                self.tools = tools.into_iter().map(Arc::new).collect();
                return Ok(());
            }
            Ok(Err(why)) => why,
            Err(_) => format!("no list within {} s", LIST_TIMEOUT.as_secs()),
        };
        Err(format!("the tools of {} can't be listed: {why}", self.source.name()))
    }
}

/// A tool under its name in the registry.
#[derive(Clone)]
pub struct RegisteredTool {
    source: Arc<dyn ToolSource>,
    own_name: String,
    info: Arc<ToolInfo>,
}

impl Registry {
    /// Creates a registry of these sources; the earlier one wins where names collide. Nothing is listed yet.
    pub fn new(sources: impl IntoIterator<Item = Arc<dyn ToolSource>>) -> Self {
        Self { sources: sources.into_iter().map(ListedSource::new).collect(), ..Self::default() }
    }

    /// Adds a source after the others; it is listed with the next refresh.
    pub fn add_source(&mut self, source: Arc<dyn ToolSource>) {
        self.sources.push(ListedSource::new(source));
    }

    /// Returns whether a source has to be listed, for the first time or because of its change notice.
    pub fn is_outdated(&self) -> bool {
        self.sources.iter().any(ListedSource::is_outdated)
    }

    /// Returns whether that would start a program or ask a server.
    pub fn is_costly_to_refresh(&self) -> bool {
        self.sources.iter().any(|listed| listed.is_outdated() && listed.source.is_costly_to_list())
    }

    /// Lists the sources that need it, all at once. Returns the new problems: what couldn't be listed or was left out.
    pub async fn refresh(&mut self) -> Vec<String> {
        let outdated = self.sources.iter_mut().filter(|source| source.is_outdated());
        let results = join_all(outdated.map(ListedSource::list)).await;
        let mut problems: Vec<String> = results.into_iter().filter_map(Result::err).collect();
        self.tools.clear();
        for ListedSource { source, tools, .. } in &self.sources {
            for info in tools {
                let (source, own_name) = (Arc::clone(source), info.spec.name.clone());
                let mut info = Arc::clone(info);
                if source.prefixes_names() {
                    Arc::make_mut(&mut info).spec.name = prefixed_name(source.name(), &own_name);
                }
                if self.keeps.as_ref().is_some_and(|keeps| !keeps(&info.spec.name)) {
                    continue;
                }
                if let Some(first) = self.get(&info.spec.name) {
                    let (name, theirs, first) = (&info.spec.name, source.name(), first.source.name());
                    problems.push(format!("a second tool {name}, from {theirs}, is left out: {first} has one"));
                    continue;
                }
                self.tools.push(RegisteredTool { source, own_name, info });
            }
        }
        problems.retain(|problem| self.problems.insert(problem.clone()));
        problems
    }

    /// Leaves out the tools whose names are not to be kept, also those that are listed later.
    pub fn keep(&mut self, keep: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.tools.retain(|tool| keep(&tool.spec().name));
        self.keeps = Some(Arc::new(keep));
    }

    pub fn get(&self, name: &str) -> Option<&RegisteredTool> {
        self.tools.iter().find(|tool| tool.spec().name == name)
    }

    /// Returns the tools in the order in which models see them.
    pub fn specs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.tools.iter().map(RegisteredTool::spec)
    }
}

impl RegisteredTool {
    /// Returns what models get; the name is the registered one.
    pub fn spec(&self) -> &ToolSpec {
        &self.info.spec
    }

    pub fn kind(&self) -> ToolKind {
        self.info.kind
    }

    pub fn risk(&self) -> Risk {
        self.info.spec.risk
    }

    pub fn timeout(&self) -> Duration {
        self.info.timeout
    }

    /// Describes a call for the person who decides; an error is a message for the model.
    pub async fn approval_request(&self, args: &Json, ctx: &ToolContext) -> Result<ApprovalRequest, String> {
        let call = self.source.describe(&self.own_name, args, ctx).await?;
        let CallDescription { risk, subject, detail, similar, hunks, sandbox } = call;
        let name = self.spec().name.clone();
        Ok(ApprovalRequest {
            pattern: (!similar.is_empty()).then(|| {
                let pattern = |glob| Pattern { tool: name.clone(), glob: Some(glob) };
                Pattern::write_list(&similar.into_iter().map(pattern).collect::<Vec<_>>())
            }),
            tool: name,
            kind: self.info.kind,
            risk,
            subject,
            folder: ctx.folder.display().to_string(),
            detail,
            expires_at: None,
            answers: Vec::new(),
            hunks,
            sandbox,
        })
    }

    /// Runs a call; a result without text gets its data as text.
    pub async fn run(&self, args: &Json, ctx: &ToolContext) -> ToolResult {
        let mut result = self.source.call(&self.own_name, args, ctx).await;
        // The model only gets text.
        if let Some(data) = &result.structured
            && result.text.is_empty()
        {
            result.text = data.to_string();
        }
        result
    }
}

/// Returns `source__tool`, in the characters and the length that every model's API accepts.
fn prefixed_name(source: &str, tool: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("{source}__{tool}").chars().map(allowed).take(MAX_NAME_BYTES).collect()
}

#[cfg(test)]
pub(crate) mod tests;
