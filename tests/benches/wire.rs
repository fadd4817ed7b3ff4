//! What bytes cost on their way to events: the guard alone, the guard with the event parser behind it, and every
//! decoder behind both, at small and large reads.
//!
//! Targets: 100 MB/s and the same at every size of reads; one event of 50 MB 100 ms in the guard, 300 ms with the parser.
//! The shared machine is noisy: the fastest sample counts.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use divan::Bencher;
use divan::counter::BytesCount;
use jarvis_tui::dialect::detect::Detector;
use jarvis_tui::dialect::{DIALECTS, Decode, DecodeContext};
use jarvis_tui::event::Millis;
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use jarvis_tui::net::sse_lines::SseBlockParser;
use jarvis_tui::net::traffic::{RecordLine, TrafficRing};

const READS: [usize; 3] = [64, 4 << 10, 1 << 20];
/// Bytes of a stream, about.
const STREAM: usize = 2 << 20;
const BIG: usize = 50_000_000;
const TOKENS: [&str; 6] = ["The ", "quick", " brown", " fox,", " \\\"so\\\"", " ünt"];

fn main() {
    divan::main();
}

/// What a dialect's stream looks like: before the tokens, one token (`$`, and `#` for its number), after.
struct WireShape {
    name: &'static str,
    framing: Framing,
    head: &'static str,
    token: &'static str,
    tail: &'static str,
}

const CHAT: &str = "data: {\"id\":\"chatcmpl-AbC123\",\"object\":\"chat.completion.chunk\",\"created\":1795000000,\"model\":\"gpt-x\",\
     \"choices\":[{\"index\":0,\"delta\":{\"content\":\"$\"},\"finish_reason\":null}]}\n\n";

const SHAPES: &[WireShape] = &[
    WireShape {
        name: "openai-responses",
        framing: Framing::Sse,
        head: "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"object\":\
               \"response\",\"status\":\"in_progress\",\"model\":\"gpt-x\",\"output\":[]},\"sequence_number\":0}\n\n",
        token: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\
                \"output_index\":0,\"content_index\":0,\"delta\":\"$\",\"logprobs\":[],\"sequence_number\":#}\n\n",
        tail: "",
    },
    WireShape {
        name: "enclava",
        framing: Framing::Sse,
        head: "event: response.created\ndata: {\"id\": \"resp_1\", \"object\": \"response\", \"created_at\": 1795194201, \
               \"model\": \"opal-14b\", \"status\": \"in_progress\"}\n\n",
        token: "event: response.output_text.delta\ndata: {\"response_id\": \"resp_1795193000002_00abc002\", \"item_id\": \
                \"msg_0001795194201296_0\", \"delta\": \"$\", \"type\": \"output_text\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "native",
        framing: Framing::Sse,
        head: "id: 0\ndata: {\"seq\":0,\"at\":1,\"event\":{\"type\":\"turn_started\",\"turn\":\"t1\"}}\n\n",
        token: "id: #\ndata: {\"seq\":#,\"at\":1234,\"event\":{\"type\":\"text_delta\",\"message\":\"m2\",\"text\":\"$\"}}\n\n",
        tail: "",
    },
    WireShape {
        name: "poe",
        framing: Framing::Sse,
        head: "retry: 3000\ndata: {\"type\": \"init\", \"retry\": 3000}\n\n",
        token: "id: #\nevent: delta\ndata: {\"id\": \"chatcmpl-poe1\", \"object\": \"chat.completion.chunk\", \"created\": \
                1795193600, \"model\": \"Claude\", \"choices\": [{\"index\": 0, \"delta\": {\"content\": \"$\", \
                \"tool_calls\": null}, \"finish_reason\": null}]}\n\n",
        tail: "",
    },
    WireShape {
        name: "anthropic",
        framing: Framing::Sse,
        head: "event: message_start\ndata: {\"type\": \"message_start\", \"message\": {\"id\": \"msg_01\", \"role\": \
               \"assistant\", \"model\": \"claude-x\", \"content\": [], \"usage\": {\"input_tokens\": 25}}}\n\n\
               event: content_block_start\ndata: {\"type\": \"content_block_start\", \"index\": 0, \"content_block\": \
               {\"type\": \"text\", \"text\": \"\"}}\n\n",
        token: "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"index\": 0, \"delta\": {\"type\": \
                \"text_delta\", \"text\": \"$\"}}\n\n",
        tail: "",
    },
    WireShape {
        name: "ag-ui",
        framing: Framing::Sse,
        head: "data: {\"type\": \"RUN_STARTED\", \"threadId\": \"t1\", \"runId\": \"r1\"}\n\n\
               data: {\"type\": \"TEXT_MESSAGE_START\", \"messageId\": \"m3\", \"role\": \"assistant\"}\n\n",
        token: "data: {\"type\": \"TEXT_MESSAGE_CONTENT\", \"messageId\": \"m3\", \"delta\": \"$\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "ai-sdk",
        framing: Framing::Sse,
        head: "data: {\"type\":\"start\"}\n\ndata: {\"type\":\"start-step\"}\n\ndata: {\"type\":\"text-start\",\"id\":\"1\"}\n\n",
        token: "data: {\"type\":\"text-delta\",\"id\":\"1\",\"delta\":\"$\"}\n\n",
        tail: "data: [DONE]\n\n",
    },
    WireShape {
        name: "a2a",
        framing: Framing::Sse,
        head: "data: {\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {\"kind\": \"task\", \"id\": \"T\", \"contextId\": \"C\", \
               \"status\": {\"state\": \"submitted\"}}}\n\n\
               data: {\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {\"kind\": \"artifact-update\", \"taskId\": \"T\", \
               \"contextId\": \"C\", \"artifact\": {\"artifactId\": \"a\", \"parts\": [{\"kind\": \"text\", \"text\": \
               \"First \"}]}, \"append\": false, \"lastChunk\": false}}\n\n",
        token: "data: {\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {\"kind\": \"artifact-update\", \"taskId\": \"T\", \
                \"contextId\": \"C\", \"artifact\": {\"artifactId\": \"a\", \"name\": \"answer\", \"parts\": [{\"kind\": \
                \"text\", \"text\": \"$\"}]}, \"append\": true, \"lastChunk\": false}}\n\n",
        tail: "",
    },
    WireShape {
        name: "openjarvis",
        framing: Framing::Sse,
        head: "event: agent_turn_start\ndata: {\"agent\": \"orchestrator\", \"input\": \"What?\"}\n\n",
        token: CHAT,
        tail: "",
    },
    WireShape { name: "openai-chat", framing: Framing::Sse, head: "", token: CHAT, tail: "data: [DONE]\n\n" },
    WireShape {
        name: "ollama",
        framing: Framing::Ndjson,
        head: "",
        token: "{\"model\":\"q\",\"created_at\":\"2026-01-01T00:00:00.123456Z\",\"message\":{\"role\":\"assistant\",\
                \"content\":\"$\"},\"done\":false}\n",
        tail: "",
    },
    WireShape {
        name: "warp",
        framing: Framing::Ndjson,
        head: "",
        token: "{\"blocks\": [{\"type\": \"text\", \"text\": \"$\", \"streaming\": true}], \"streaming\": true}\n",
        tail: "",
    },
    WireShape {
        name: "langgraph",
        framing: Framing::Sse,
        head: "event: metadata\ndata: {\"run_id\":\"r\",\"attempt\":1}\n\n",
        token: "event: messages\ndata: [{\"content\":\"$\",\"additional_kwargs\":{},\"response_metadata\":{},\"type\":\
                \"AIMessageChunk\",\"name\":null,\"id\":\"lc_run--1\",\"tool_calls\":[],\"invalid_tool_calls\":[],\
                \"usage_metadata\":null,\"tool_call_chunks\":[],\"chunk_position\":null},{\"langgraph_step\":1,\
                \"langgraph_node\":\"model\",\"langgraph_checkpoint_ns\":\"model:1\"}]\n\n",
        tail: "event: end\ndata: null\n\n",
    },
    WireShape {
        name: "adk",
        framing: Framing::Sse,
        head: "",
        token: "data: {\"content\":{\"parts\":[{\"text\":\"$\"}],\"role\":\"model\"},\"partial\":true,\"invocationId\":\
                \"e-1\",\"author\":\"stub\",\"actions\":{\"stateDelta\":{},\"artifactDelta\":{}},\"id\":\"1\",\
                \"timestamp\":1795904243.6}\n\n",
        tail: "",
    },
    WireShape {
        name: "agno",
        framing: Framing::Sse,
        head: "event: RunStarted\ndata: {\"event\":\"RunStarted\",\"agent_id\":\"a\",\"run_id\":\"r\"}\n\n",
        token: "event: RunContent\ndata: {\"created_at\":1795904771,\"event\":\"RunContent\",\"agent_id\":\"a\",\"agent_name\":\
                \"a\",\"run_id\":\"r\",\"session_id\":\"s\",\"nested_depth\":0,\"content\":\"$\",\"content_type\":\"str\",\
                \"reasoning_content\":\"\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "mastra",
        framing: Framing::Sse,
        head: "data: {\"type\":\"start\",\"runId\":\"r\",\"from\":\"AGENT\",\"payload\":{\"id\":\"a\"}}\n\n",
        token: "data: {\"type\":\"text-delta\",\"runId\":\"r\",\"from\":\"AGENT\",\"payload\":{\"id\":\"txt-0\",\
                \"text\":\"$\"}}\n\n",
        tail: "data: [DONE]\n\n",
    },
    WireShape {
        name: "opencode",
        framing: Framing::Sse,
        head: "data: {\"id\":\"evt_1\",\"type\":\"server.connected\",\"properties\":{}}\n\ndata: {\"id\":\"evt_2\",\"type\":\
               \"message.updated\",\"properties\":{\"sessionID\":\"s1\",\"info\":{\"id\":\"a1\",\"role\":\"assistant\",\
               \"sessionID\":\"s1\"}}}\n\n",
        token: "data: {\"id\":\"evt_#\",\"type\":\"message.part.delta\",\"properties\":{\"sessionID\":\"s1\",\"messageID\":\
                \"a1\",\"partID\":\"p1\",\"field\":\"text\",\"delta\":\"$\"}}\n\n",
        tail: "",
    },
    WireShape {
        name: "gemini",
        framing: Framing::Sse,
        head: "",
        token: "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"$\"}],\"role\":\"model\"},\"index\":0}],\
                \"usageMetadata\":{\"promptTokenCount\":5,\"totalTokenCount\":5},\"modelVersion\":\"g\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "gemini-interactions",
        framing: Framing::Sse,
        head: "data: {\"event_type\":\"interaction.created\",\"interaction\":{\"id\":\"v1_a\",\"status\":\"in_progress\"},\
               \"event_id\":\"e\"}\n\ndata: {\"event_type\":\"step.start\",\"index\":0,\"step\":{\"type\":\"model_output\"},\
               \"event_id\":\"e\"}\n\n",
        token: "data: {\"event_type\":\"step.delta\",\"index\":0,\"delta\":{\"type\":\"text\",\"text\":\"$\"},\
                \"event_id\":\"evt_#\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "cohere",
        framing: Framing::Sse,
        head: "event: message-start\ndata: {\"id\":\"msg_1\",\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\
               \"assistant\"}}}\n\n",
        token: "event: content-delta\ndata: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":\
                {\"type\":\"text\",\"text\":\"$\"}}}}\n\n",
        tail: "",
    },
    WireShape {
        name: "mistral",
        framing: Framing::Sse,
        head: "event: conversation.response.started\ndata: {\"type\":\"conversation.response.started\",\"conversa\
               tion_id\":\"conv_1\"}\n\n",
        token: "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"output_index\":0,\"id\":\"\
                msg_1\",\"content_index\":0,\"role\":\"assistant\",\"content\":\"$\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "chatkit",
        framing: Framing::Sse,
        head: "data: {\"type\":\"stream_options\",\"stream_options\":{\"allow_cancel\":true}}\n\n",
        token: "data: {\"type\":\"thread.item.updated\",\"item_id\":\"message_7\",\"update\":{\"type\":\"assistant\
                _message.content_part.text_delta\",\"content_index\":0,\"delta\":\"$\"}}\n\n",
        tail: "",
    },
    WireShape {
        name: "gptme",
        framing: Framing::Sse,
        head: "data: {\"type\": \"connected\", \"session_id\": \"s\", \"generating\": false, \"pending_tools\": [\
               ]}\n\n",
        token: "data: {\"type\": \"generation_progress\", \"token\": \"$\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "bedrock",
        framing: Framing::Sse,
        head: "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n",
        token: "event: contentBlockDelta\ndata: {\"contentBlockIndex\":0,\"delta\":{\"text\":\"$\"}}\n\n",
        tail: "",
    },
    WireShape {
        name: "anthropic-sessions",
        framing: Framing::Sse,
        head: "data: {\"type\":\"session.status_running\",\"id\":\"s1\",\"processed_at\":\"t\"}\n\n",
        token: "data: {\"type\":\"event_delta\",\"event_id\":\"s2\",\"delta\":{\"type\":\"content_delta\",\"conten\
                t\":{\"type\":\"text\",\"text\":\"$\"}}}\n\n",
        tail: "",
    },
    WireShape {
        name: "openai-sessions",
        framing: Framing::Sse,
        head: "data: {\"type\":\"agent.session.turn.created\",\"event_id\":\"e\",\"session_id\":\"s\"}\n\n",
        token: "data: {\"type\":\"agent.session.turn.output_text.delta\",\"event_id\":\"e\",\"item_id\":\"m\",\"co\
                ntent_index\":0,\"delta\":\"$\"}\n\n",
        tail: "",
    },
    WireShape {
        name: "poe-bot",
        framing: Framing::Sse,
        head: "",
        token: "event: text\ndata: {\"text\": \"$\"}\n\n",
        tail: "event: done\ndata: {}\n\n",
    },
    WireShape {
        name: "acp",
        framing: Framing::Ndjson,
        head: "",
        token: "{\"jsonrpc\":\"2.0\",\"method\":\"session/update\",\"params\":{\"sessionId\":\"8e1012a0-\
                ca5f-41e1-902c-737a79f3e959\",\"update\":{\"sessionUpdate\":\"agent_message_chunk\",\"co\
                ntent\":{\"type\":\"text\",\"text\":\"$\"},\"messageId\":\"msg_1\"}}}\n",
        tail: "",
    },
    WireShape {
        name: "ahp",
        framing: Framing::Ndjson,
        head: "{\"jsonrpc\":\"2.0\",\"method\":\"action\",\"params\":{\"action\":{\"part\":{\"content\"\
               :\"\",\"id\":\"p1\",\"kind\":\"markdown\"},\"turnId\":\"c-1\",\"type\":\"chat/responsePa\
               rt\"},\"channel\":\"ahp-chat:/main\",\"serverSeq\":5}}\n",
        token: "{\"jsonrpc\":\"2.0\",\"method\":\"action\",\"params\":{\"action\":{\"content\":\"$\",\"p\
                artId\":\"p1\",\"turnId\":\"c-1\",\"type\":\"chat/delta\"},\"channel\":\"ahp-chat:/main\"\
                ,\"serverSeq\":#}}\n",
        tail: "",
    },
    WireShape {
        name: "claude-code",
        framing: Framing::Ndjson,
        head: "{\"type\":\"stream_event\",\"event\":{\"type\":\"message_start\",\"message\":{\"id\":\"m\
               sg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[]\
               ,\"usage\":{\"input_tokens\":150,\"output_tokens\":1}}},\"session_id\":\"b207\",\"parent\
               _tool_use_id\":null}\n{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_start\",\"index\":0,\"con\
               tent_block\":{\"type\":\"text\",\"text\":\"\"}},\"session_id\":\"b207\",\"parent_tool_us\
               e_id\":null}\n",
        token: "{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"index\":0,\"del\
                ta\":{\"type\":\"text_delta\",\"text\":\"$\"}},\"session_id\":\"b207fd30-04c9-416c-b502-\
                2b648e82ede5\",\"parent_tool_use_id\":null,\"uuid\":\"90b99ddf-b7e8-4c5c-8d50-51621d739a\
                35\"}\n",
        tail: "",
    },
    WireShape {
        name: "codex-app-server",
        framing: Framing::Ndjson,
        head: "",
        token: "{\"method\":\"item/agentMessage/delta\",\"params\":{\"threadId\":\"01a228f8-d0ff-7c92-83\
                95-84499b6e345b\",\"turnId\":\"01a228f8-dc0f-7163-95fe-6eb8c41d6034\",\"itemId\":\"msg-1\
                \",\"delta\":\"$\"},\"emittedAtMs\":1795983728039}\n",
        tail: "",
    },
    WireShape {
        name: "codex-exec",
        framing: Framing::Ndjson,
        head: "{\"type\":\"thread.started\",\"thread_id\":\"01a2246a\"}\n{\"type\":\"turn.started\"}\n",
        token: "{\"type\":\"item.completed\",\"item\":{\"id\":\"item_#\",\"type\":\"agent_message\",\"te\
                xt\":\"$\"}}\n",
        tail: "",
    },
    WireShape {
        name: "copilot-cli",
        framing: Framing::Ndjson,
        head: "{\"type\":\"assistant.turn_start\",\"data\":{\"turnId\":\"0\"},\"id\":\"e3\",\"parentId\"\
               :\"e2\"}\n",
        token: "{\"type\":\"assistant.message_delta\",\"data\":{\"messageId\":\"m1\",\"deltaContent\":\"\
                $\"},\"id\":\"e#\",\"timestamp\":\"2026-11-28T23:00:00.500Z\",\"parentId\":\"e3\",\"ephe\
                meral\":true}\n",
        tail: "",
    },
    WireShape {
        name: "gemini-cli",
        framing: Framing::Ndjson,
        head: "{\"type\":\"init\",\"timestamp\":\"2026-11-28T23:08:18.288Z\",\"session_id\":\"a044\",\"\
               model\":\"gemini-x\"}\n",
        token: "{\"type\":\"message\",\"timestamp\":\"2026-11-28T23:08:18.345Z\",\"role\":\"assistant\",\
                \"content\":\"$\",\"delta\":true}\n",
        tail: "",
    },
    WireShape {
        name: "grok",
        framing: Framing::Ndjson,
        head: "",
        token: "{\"type\":\"text\",\"data\":\"$\"}\n",
        tail: "",
    },
    WireShape {
        name: "opencode-run",
        framing: Framing::Ndjson,
        head: "{\"type\":\"step_start\",\"timestamp\":1795907566682,\"sessionID\":\"ses_1\",\"part\":{\"\
               id\":\"prt_1\",\"messageID\":\"msg_1\",\"sessionID\":\"ses_1\",\"type\":\"step-start\"}}\n",
        token: "{\"type\":\"text\",\"timestamp\":1795907566683,\"sessionID\":\"ses_1\",\"part\":{\"id\":\
                \"prt_#\",\"messageID\":\"msg_1\",\"sessionID\":\"ses_1\",\"type\":\"text\",\"text\":\"$\
                \",\"time\":{\"start\":1795907566328,\"end\":1795907566601}}}\n",
        tail: "",
    },
    WireShape {
        name: "pi",
        framing: Framing::Ndjson,
        head: "{\"type\":\"message_start\",\"message\":{\"role\":\"assistant\",\"content\":[]}}\n{\"type\":\"message_update\",\"assistantMessageEvent\":{\"type\":\"text_start\",\"conten\
               tIndex\":0}}\n",
        token: "{\"type\":\"message_update\",\"usage\":{\"input\":0,\"output\":0,\"cacheRead\":0,\"cache\
                Write\":0,\"totalTokens\":0,\"cost\":{\"input\":0,\"output\":0,\"total\":0}},\"assistant\
                MessageEvent\":{\"type\":\"text_delta\",\"contentIndex\":0,\"delta\":\"$\"}}\n",
        tail: "",
    },
    WireShape { name: "text", framing: Framing::Ndjson, head: "", token: "a line of # and $\n", tail: "" },
    WireShape {
        name: "plain",
        framing: Framing::Sse,
        head: "",
        token: "event: update\ndata: {\"step\": #, \"words\": \"$\", \"more\": [1, 2, {\"deep\": null}]}\n\n",
        tail: "",
    },
];

fn shape(name: &str) -> &'static WireShape {
    SHAPES.iter().find(|shape| shape.name == name).expect("every dialect has a stream here")
}

impl WireShape {
    fn stream(&self) -> String {
        let mut stream = self.head.to_owned();
        for number in 1_usize.. {
            let token = TOKENS.get(number % TOKENS.len()).unwrap();
            stream.push_str(&self.token.replace('$', token).replace('#', &number.to_string()));
            if stream.len() >= STREAM {
                break;
            }
        }
        stream + self.tail
    }

    fn decode(&self, stream: &str, read: usize, decode: &mut dyn Decode) -> usize {
        let (mut frames, mut batch, mut events) = (FrameSplitter::new(self.framing), Vec::new(), Vec::new());
        let mut count = 0;
        for chunk in stream.as_bytes().chunks(read) {
            frames.push(chunk, &mut batch).unwrap();
            for frame in batch.drain(..) {
                decode.decode_frame(&frame, &mut events);
            }
            count += events.len();
            events.clear();
        }
        frames.finish(&mut batch);
        decode.finish(&mut events);
        count + events.len()
    }
}

#[divan::bench(args = READS)]
fn guard(bencher: Bencher<'_, '_>, read: usize) {
    let stream = shape("openai-chat").stream();
    bencher.counter(BytesCount::of_str(&stream)).bench_local(|| {
        let (mut guard, mut blocks) = (SseBlockParser::default(), Vec::new());
        let mut count = 0;
        for chunk in stream.as_bytes().chunks(read) {
            guard.push(chunk, &mut blocks).unwrap();
            count += blocks.len();
            blocks.clear();
        }
        count
    });
}

#[divan::bench(args = READS)]
fn guard_and_parser(bencher: Bencher<'_, '_>, read: usize) {
    let stream = shape("openai-chat").stream();
    bencher.counter(BytesCount::of_str(&stream)).bench_local(|| {
        let (mut frames, mut batch) = (FrameSplitter::new(Framing::Sse), Vec::new());
        let mut count = 0;
        for chunk in stream.as_bytes().chunks(read) {
            frames.push(chunk, &mut batch).unwrap();
            count += batch.len();
            batch.clear();
        }
        count
    });
}

/// What it costs to keep the newest bytes for whoever may want to look at them: a piece a token.
#[divan::bench]
fn kept_to_be_looked_at(bencher: Bencher<'_, '_>) {
    let stream = shape("openai-chat").stream();
    let frames: Vec<&str> = stream.split_inclusive("\n\n").collect();
    let reel = TrafficRing::default();
    let answer = reel.begin_response();
    bencher.counter(BytesCount::of_str(&stream)).bench_local(|| {
        for frame in &frames {
            reel.push(answer, RecordLine::from_bytes(Millis(1), frame.as_bytes().to_vec()));
        }
    });
}

fn cases() -> impl Iterator<Item = String> {
    let names = DIALECTS.iter().map(|dialect| dialect.name).chain(["detected"]);
    names.flat_map(|name| READS.map(|read| format!("{name} {read}")))
}

#[divan::bench(args = cases())]
fn decoder(bencher: Bencher<'_, '_>, case: &str) {
    let (name, read) = case.split_once(' ').unwrap();
    let read: usize = read.parse().unwrap();
    let shape = shape(if name == "detected" { "openai-chat" } else { name });
    let stream = shape.stream();
    let dialect = DIALECTS.iter().find(|dialect| dialect.name == name);
    bencher.counter(BytesCount::of_str(&stream)).bench_local(|| {
        let context = DecodeContext::default();
        let mut decode: Box<dyn Decode> = match dialect {
            Some(dialect) => (dialect.decode)(&context),
            None => Box::new(Detector::new(context)),
        };
        let count = shape.decode(&stream, read, &mut *decode);
        assert!(count > 1000 || name == "plain", "{name} says only {count} events");
        count
    });
}

fn big_event() -> String {
    format!("data: {{\"text\":\"{}\"}}\n\n", "word ".repeat(BIG / 5))
}

#[divan::bench(args = [16 << 10, 1 << 20, BIG], sample_count = 10, sample_size = 1)]
fn event_of_50_mb_in_the_guard(bencher: Bencher<'_, '_>, read: usize) {
    let stream = big_event();
    bencher.counter(BytesCount::of_str(&stream)).bench_local(|| {
        let (mut guard, mut blocks) = (SseBlockParser::with_max_bytes(2 * BIG), Vec::new());
        for chunk in stream.as_bytes().chunks(read) {
            guard.push(chunk, &mut blocks).unwrap();
        }
        assert_eq!(blocks.len(), 1);
        blocks
    });
}

#[divan::bench(args = [16 << 10, 1 << 20, BIG], sample_count = 10, sample_size = 1)]
fn event_of_50_mb_with_the_parser(bencher: Bencher<'_, '_>, read: usize) {
    let stream = big_event();
    bencher.counter(BytesCount::of_str(&stream)).bench_local(|| {
        let (mut frames, mut batch) = (FrameSplitter::with_max_bytes(Framing::Sse, "", 2 * BIG), Vec::new());
        for chunk in stream.as_bytes().chunks(read) {
            frames.push(chunk, &mut batch).unwrap();
        }
        assert_eq!(batch.len(), 1);
        batch
    });
}
