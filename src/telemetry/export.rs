//! Sends spans to a collector: one POST for what has gathered in five seconds, and a last one at the end.
//!
//! What can't be delivered is tried again while there is room, and then dropped: a collector that is away costs memory
//! up to a limit and nothing else.

use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::SpanSender;
use super::otlp::traces;
use super::spans::Span;
use crate::event::Fault;
use crate::net::HttpClient;
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};

/// How long spans gather.
const EXPORT_INTERVAL: Duration = Duration::from_secs(5);
/// How long a collector may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same at the end, when a person waits.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(2);
/// Spans of one POST.
const MAX_BATCH_SPANS: usize = 512;
/// Spans that wait; beyond that they are dropped.
const MAX_WAITING_SPANS: usize = 2_048;

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The whole address.
    pub url: String,
    pub headers: Vec<(String, SecretString)>,
    /// The name under which this program appears.
    pub service: String,
    /// Whether prompts, answers, arguments and results are told.
    pub tells_content: bool,
}

/// Starts to send. Ends when every sender is dropped and the rest was sent.
pub fn start(collector: Collector, http: HttpClient, tasks: &mut JoinSet<()>) -> SpanSender {
    // Capacity: the spans of some turns, which end in bursts.
    let (sender, spans) = mpsc::channel(MAX_WAITING_SPANS);
    let tells_content = collector.tells_content;
    tasks.spawn(run(collector, http, spans));
    SpanSender { spans: sender, tells_content }
}

async fn run(collector: Collector, http: HttpClient, mut spans: mpsc::Receiver<Span>) {
    let (mut waiting, mut failing) = (Vec::new(), false);
    loop {
        // Nothing ticks while nothing waits.
        let Some(first) = spans.recv().await else { break };
        waiting.push(first);
        let until = Instant::now() + EXPORT_INTERVAL;
        let mut is_over = false;
        while (waiting.len() < MAX_BATCH_SPANS || failing) && !is_over {
            tokio::select! {
                span = spans.recv() => match span {
                    Some(span) => waiting.push(span),
                    None => is_over = true,
                },
                () = sleep_until(until) => break,
            }
        }
        if is_over {
            break;
        }
        let result = send(&collector, &http, &mut waiting, EXPORT_TIMEOUT).await;
        if let (Err(fault), false) = (&result, failing) {
            tracing::warn!("traces are not delivered: {fault}");
        }
        failing = result.is_err();
        if waiting.len() > MAX_WAITING_SPANS {
            waiting.drain(..waiting.len() - MAX_WAITING_SPANS);
        }
    }
    while let Ok(span) = spans.try_recv() {
        waiting.push(span);
    }
    if !waiting.is_empty()
        && let Err(fault) = send(&collector, &http, &mut waiting, LAST_EXPORT_TIMEOUT).await
    {
        tracing::warn!("the last traces are not delivered: {fault}");
    }
}

/// Sends what waits. What may succeed later is kept.
async fn send(
    collector: &Collector,
    http: &HttpClient,
    waiting: &mut Vec<Span>,
    timeout: Duration,
) -> Result<(), Fault> {
    let headers = collector.headers.iter().map(|(name, value)| (name.clone(), HttpHeaderValue::Secret(value.clone())));
    let kind = ("content-type".to_owned(), HttpHeaderValue::Plain("application/json".into()));
    let body = traces(waiting, &collector.service).to_string();
    let request = HttpRequest::post(&collector.url, headers.chain([kind]).collect(), body, Framing::Ndjson);
    match http.send_expecting_success(&request, timeout).await {
        Ok(()) => {
            waiting.clear();
            Ok(())
        }
        Err(failure) => {
            if !failure.is_retryable {
                waiting.clear();
            }
            Err(failure.fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::server::{ScriptedServer, json};

    fn span() -> Span {
        Span {
            trace: [1; 16],
            id: [2; 8],
            parent: None,
            name: "chat m".into(),
            is_client: true,
            start_ms: 1,
            end_ms: 2,
            attributes: Vec::new(),
            error: None,
        }
    }

    #[tokio::test]
    async fn what_a_collector_takes_later_is_sent_again_and_what_it_refuses_is_not() {
        for (refusal, counts) in
            [("503 Service Unavailable", vec![MAX_BATCH_SPANS; 2]), ("400 Bad Request", vec![MAX_BATCH_SPANS])]
        {
            let server = ScriptedServer::start(vec![vec![json(refusal, "{}")], vec![json("200 OK", "{}")]]).await;
            let url = format!("{}/v1/traces", server.url());
            let collector = Collector { url, headers: Vec::new(), service: "test".into(), tells_content: false };
            let mut tasks = JoinSet::new();
            let sender = start(collector, HttpClient::default(), &mut tasks);
            for _ in 0..MAX_BATCH_SPANS {
                sender.spans.send(span()).await.unwrap();
            }
            server.asked_for("spanId").await;
            drop(sender);
            while tasks.join_next().await.is_some() {}
            let told: Vec<usize> = server.asked().iter().map(|request| request.matches("spanId").count()).collect();
            assert_eq!(told, counts, "{refusal}");
        }
    }
}
