//! Tests of names, collisions and change notices, with a source that tests drive.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};

use super::*;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Role, TurnId};
use crate::testkit::events::{text_delta, turn_started};

/// A source whose list comes and changes when a test says so. Its calls return data and events, and no text.
pub(crate) struct FakeSource {
    name: &'static str,
    prefixes_names: bool,
    /// `None` while the source can't list.
    list: watch::Sender<Option<Result<Vec<ToolInfo>, String>>>,
    changes: watch::Sender<()>,
    listed: AtomicU32,
}

impl FakeSource {
    pub(crate) fn new(name: &'static str, prefixes_names: bool) -> Arc<Self> {
        let (list, changes) = (watch::Sender::new(None), watch::Sender::new(()));
        Arc::new(Self { name, prefixes_names, list, changes, listed: AtomicU32::new(0) })
    }

    pub(crate) fn with_tools(name: &'static str, tools: &[&str]) -> Arc<Self> {
        let source = Self::new(name, false);
        source.offer(tools);
        source
    }

    /// Sets the list without a change notice.
    pub(crate) fn offer(&self, tools: &[&str]) {
        self.list.send_replace(Some(Ok(tools.iter().map(|name| tool(name)).collect())));
    }

    pub(crate) fn change(&self, tools: &[&str]) {
        self.offer(tools);
        self.changes.send_replace(());
    }

    pub(crate) fn times_listed(&self) -> u32 {
        self.listed.load(Ordering::Relaxed)
    }
}

fn tool(name: &str) -> ToolInfo {
    let spec = ToolSpec {
        name: name.into(),
        description: format!("{name} of a source"),
        parameters: Json::Null,
        risk: Risk::Network,
    };
    ToolInfo { spec, kind: ToolKind::Other, timeout: Duration::from_secs(5) }
}

impl ToolSource for FakeSource {
    fn name(&self) -> &str {
        self.name
    }

    fn prefixes_names(&self) -> bool {
        self.prefixes_names
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        self.listed.fetch_add(1, Ordering::Relaxed);
        let mut list = self.list.subscribe();
        async move { list.wait_for(Option::is_some).await.unwrap().clone().unwrap() }.boxed()
    }

    fn changes(&self) -> Option<watch::Receiver<()>> {
        Some(self.changes.subscribe())
    }

    fn describe<'a>(
        &'a self,
        _: &'a str,
        _: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        let similar = vec!["ask *".into()];
        ready(Ok(CallDescription { similar, ..CallDescription::new(Risk::Network, "ask who; then what") })).boxed()
    }

    fn call<'a>(&'a self, tool: &'a str, _: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        let (message, role) = ("m1".into(), Role::Assistant);
        let events = vec![
            turn_started("t9"),
            AgentEvent::Annotation {
                on: AnnotationTarget::Turn(TurnId::from("t9")),
                annotation: Annotation::Result { value: tool.into() },
            },
            AgentEvent::MessageStarted { message, role, parent: None },
            text_delta("m1", "from a sub-agent"),
            text_delta("m2", "never started"),
        ];
        let structured = Some(match tool {
            "flood" => "x".repeat(100_000).into(),
            _ => serde_json::json!({ "answer": 42 }),
        });
        ready(ToolResult { structured, events, ..ToolResult::ok("") }).boxed()
    }
}

fn registry(sources: &[&Arc<FakeSource>]) -> Registry {
    Registry::new(sources.iter().map(|source| Arc::clone(source) as Arc<dyn ToolSource>))
}

fn names(registry: &Registry) -> Vec<&str> {
    registry.specs().map(|spec| spec.name.as_str()).collect()
}

#[tokio::test]
async fn a_source_can_ask_for_a_prefix_and_gets_names_that_every_model_accepts() {
    let (far, own) = (FakeSource::new("my server", true), FakeSource::with_tools("own", &["a.b"]));
    let long = "x".repeat(80);
    far.offer(&["shell", "a.b/c", &long]);
    let mut registry = registry(&[&own, &far]);
    assert_eq!(registry.refresh().await, Vec::<String>::new());
    let cut = format!("my_server__{}", "x".repeat(MAX_NAME_BYTES - "my_server__".len()));
    assert_eq!(names(&registry), ["a.b", "my_server__shell", "my_server__a_b_c", &cut]);
    assert!(registry.get("shell").is_none());
}

#[tokio::test]
async fn of_two_tools_with_one_name_the_first_counts_and_the_other_is_reported_once() {
    let (one, two) = (FakeSource::with_tools("one", &["a", "b"]), FakeSource::with_tools("two", &["b", "c"]));
    let mut registry = registry(&[&one, &two]);
    assert_eq!(registry.refresh().await, ["a second tool b, from two, is left out: one has one"]);
    assert_eq!((names(&registry), registry.get("b").unwrap().source.name()), (vec!["a", "b", "c"], "one"));
    two.change(&["b", "c"]);
    assert_eq!(registry.refresh().await, Vec::<String>::new());
    one.change(&["a"]);
    assert_eq!(registry.refresh().await, Vec::<String>::new());
    assert_eq!((names(&registry), registry.get("b").unwrap().source.name()), (vec!["a", "b", "c"], "two"));
}

#[tokio::test]
async fn only_a_change_notice_causes_another_listing_and_each_copy_sees_it() {
    let source = FakeSource::with_tools("one", &["a"]);
    let mut registry = registry(&[&source]);
    assert!(registry.is_outdated());
    registry.refresh().await;
    source.offer(&["a", "b"]);
    assert!(!registry.is_outdated());
    registry.refresh().await;
    assert_eq!((names(&registry), source.times_listed()), (vec!["a"], 1));
    source.change(&["b"]);
    let mut copy = registry.clone();
    for registry in [&mut registry, &mut copy] {
        assert!(registry.is_outdated());
        registry.refresh().await;
        assert!(!registry.is_outdated());
        assert_eq!(names(registry), ["b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_or_never_comes_leaves_the_one_before() {
    let (one, two) = (FakeSource::with_tools("one", &["a"]), FakeSource::new("two", false));
    let mut registry = registry(&[&one, &two]);
    assert_eq!(registry.refresh().await, ["the tools of two can't be listed: no list within 10 s"]);
    assert_eq!((names(&registry), registry.is_outdated()), (vec!["a"], false));
    one.list.send_replace(Some(Err("gone".into())));
    one.changes.send_replace(());
    two.change(&["b"]);
    assert_eq!(registry.refresh().await, ["the tools of one can't be listed: gone"]);
    assert_eq!(names(&registry), ["a", "b"]);
}

#[tokio::test]
async fn a_clone_shares_what_was_listed_and_lists_nothing_again() {
    let source = FakeSource::with_tools("a", &["one"]);
    let mut registry = Registry::new([Arc::clone(&source) as Arc<dyn ToolSource>]);
    registry.refresh().await;
    let mut clone = registry.clone();
    assert!(!clone.is_outdated());
    clone.refresh().await;
    assert_eq!(source.times_listed(), 1);
    assert!(std::ptr::eq(registry.get("one").unwrap().spec(), clone.get("one").unwrap().spec()));
}
