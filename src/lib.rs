//! jarvis-tui: a terminal chat client for AI agents. This page is the architecture; it changes with the code.
//!
//! # Data flows one way
//!
//! ```text
//!   Source (own agent | peer | remote | replay)        Command (prompt, decide, cancel, seek)
//!         │ AgentEvent                                             ▲
//!         ▼                                                        │
//!   bridge::session: merge, redact, number, seal, log, publish     │
//!         │ Envelope { seq, at, event }                            │
//!         ├──────────────► journal (JSONL, one line an event)      │
//!         ▼                                                        │
//!   bridge::hub (ring in front of the log; everyone pulls)         │
//!         │      ├─────────► headless printer                      │
//!         │      └─────────► serve: frames of a dialect ◄── HTTP ──┤
//!         ▼                                                        │
//!   Store::update(Msg) ──► Effect ──► app::effects ────────────────┘
//!         │ &Store
//!         ▼
//!   ui::draw ──► app::term ──► terminal
//! ```
//!
//! # Six ideas
//!
//! 1. **Events, commands, status.** An [`event::AgentEvent`] is numbered and logged. An [`event::Command`] asks for
//!    something and [`event::SessionStatus`] is how things are just now; neither is ever logged.
//! 2. **One number, three uses.** [`event::Envelope::seq`] is the line in the log, the id on a stream and the cursor of
//!    a replay: resume, dedupe and seek are one mechanism.
//! 3. **Two pure machines face each other.** [`agent::turn`] decides what to do next, [`store`] decides what is true on
//!    screen. Both take events and return effects as data; neither has a clock, IO or async.
//! 4. **A wire format is a decoder, and where we serve it an encoder.** Both live in [`dialect`], know no socket, and are
//!    tested by recorded bytes.
//! 5. **Engines describe a request; they don't send it.** Only [`net`] opens connections to models.
//! 6. **What depends on width or cells lives in [`ui`]; what a client without a screen would want lives in
//!    [`store`].**
//!
//! # Layers
//!
//! | layer | modules | may do |
//! | --- | --- | --- |
//! | base | [`event`], [`text`] | plain data, pure functions on strings |
//! | core | [`dialect`], [`store`], [`compare`] and every file marked PURE | decisions, no IO |
//! | io | [`private`], [`local_time`], [`config`], [`net`], [`engine`], [`sandbox`], [`tool`], [`mcp`], [`agent`], [`journal`], [`bridge`], [`telemetry`], [`serve`] | sockets, files, processes |
//! | ui | [`ui`] | lays out and draws into ratatui's buffer, no IO |
//! | app | [`runtime`], [`app`], [`headless`], [`export`], [`cli`], `main` | wiring |
//!
//! The io layer and the ui layer never meet. Which module may use which is a table in `tests/it/tidy.rs`, and that test
//! fails on the first wrong `use`; `tests/it/circles.rs` keeps modules from using each other.
//!
//! # Glossary
//!
//! | word | what it means here |
//! | --- | --- |
//! | envelope | an event with its number and its time: a line of the log |
//! | seq | the number of an event in its session, from 1 |
//! | branch | what of a session goes on after one place in it; [`event::branches`] tells what is on its path |
//! | seal | to close what a source left open (messages, calls, the turn), so that any prefix of a log is legal |
//! | store | of screens: the state in [`store`]. Of servers: where they keep logs together ([`bridge::shared_log`]) |
//! | hub | where a session publishes; a ring in front of the log, from which every reader pulls |
//! | journal | our module that writes and reads logs |
//! | mirror | a session of another jarvis-tui that is followed here, with the same numbers |
//! | reply | what answers one request; [`agent::assembler`] makes events of a turn of what it says |
//! | dialect | a wire format of agents or models |
//! | surface | a part of the HTTP interface that [`serve`] offers in one dialect |
//! | compaction | earlier turns that the model is no longer sent; their summary stands in their place |
//! | moment | what stands out on the timeline of a replay |
//! | MCP server | a program or an address with tools for the agent, in the Model Context Protocol |
//! | peer | an agent with which a conversation is held, a program or at an address: it acts itself, and asks here |
//! | engine | what answers: a model's API, a remote agent or the embedded one |
//! | cassette | what servers answered, recorded and played in their place ([`net::cassette`]) |
//! | burst | keys that came at once: a paste, where the terminal marks none |
//! | tab | a session that is open on the screen beside others; one of them is shown |
//! | supervisor | this program started again, which confines a command and ends what came of it ([`sandbox`]) |
//! | ask | a call that waits for a person's decision |
//! | sub-agent | who works for a call of the agent; it has a transcript of its own in [`store::sub_agents`] |
//!
//! # Invariants
//!
//! - An event is written to the log before anyone is shown it. A log cut anywhere opens, minus at most a torn last line.
//!   Where servers share it ([`bridge::shared_log`]) it is written there first, and the file here is a copy; a session has
//!   one writer, whom the store knows.
//! - Nothing of a log is taken back. To go back is an event as well, and whoever folds a session goes along one
//!   [`event::branches::BranchPath`]; totals of what was used count every branch.
//! - No consumer handles "the stream just stopped": [`agent::assembler`] closes what a reply left open, and
//!   [`event::grammar::Sealer`] what a session did.
//! - Nobody is pushed to: a slow reader of the hub stalls nobody and misses nothing.
//! - Text from outside stays raw in events and is cleaned by [`text::clean::clean`] on its way to a terminal. Where a
//!   person decides about it, [`text::visible::visible`] spells out what is hidden or looks like something else.
//! - What a project tells the agent (instructions, skills, settings) counts only where the person trusts it, and never what
//!   another user owns.
//! - A sub-agent is an agent under a call: its events are that call's, its asks are judged by the session's policy and go to
//!   the person, and it starts no others.
//! - What runs in the background belongs to the session that started it, and ends with it and with the program.
//! - Command lines are read by [`event::command_line`] and nowhere else; a rule allows a line only if every part of it is
//!   allowed, and what can't be read is asked about.
//! - Commands run inside a [`sandbox`] where the machine has one, and none of its processes outlives this one. It
//!   replaces no question, and to leave it is a question that no rule answers.
//! - Only `app/input` reads the terminal; it turns bytes into keys and pastes, and no text of a paste ever acts as a key.
//! - Addresses of servers are read by [`text::address`] and nowhere else, and shown as [`text::display_url`] says.
//! - What of a session is no event (drafts, queued prompts, grants) is kept beside the log by
//!   [`journal::StateStore`], and never read from a log, which may be somebody else's.
//! - What another program kept is read as finished history ([`dialect::saved`]): nothing of it is run, asked or trusted, and a
//!   log that was gone on with here is never replaced by a newer import.
//! - A file with a model is not trusted ([`engine::gguf`]): what it says of sizes is checked before memory is taken, its
//!   template runs with fuel and without files, and text of a conversation never becomes one of its marks.
//! - Lists of sessions come from an index that is only a cache of the logs (`journal/index`); what is opened or deleted
//!   is read from its log.
//! - A call of an MCP server's tool that was sent is never sent again: not when the server ends, not when a session is
//!   resumed. What a server says of its tools allows nothing.
//! - Secrets are `SecretString`s; they enter requests and nothing else. [`config::environment`] takes them out of the
//!   environment, and `net/redact` blanks them out of what comes back.
//! - What else looks like a secret ([`text::secrets`]) is replaced where events are numbered: log, hub, clients and
//!   recordings get the same redacted event. The running turn has the text as it is, and so has an ask on the screen.
//! - A frame draws the rows that changed and looks at those on screen, a token lays out the open block of its message;
//!   `tests/it/work.rs` counts.
//! - The terminal is sent what changed and no more; rows that moved it moves itself ([`app::screen`]).
//! - A request holds a call only with its result, whatever was summed up, left out or sent again (`agent/history`).
//! - What was said is in memory once, packed ([`store::chunks`]); the agent reads the turns of an earlier run back from
//!   the log when a request has room for them.
//! - What belongs to a session on the screen and what there is once are two structures; a session that is not shown is
//!   folded like any other and not drawn, and who opens one pays nothing for the others.
//! - Nothing ticks when nothing moves: an idle program sleeps.
//!
//! # Seven walks
//!
//! 1. *A token arrives.* Bytes → [`net`] splits frames → a decoder returns `TextDelta` → [`agent::turn`] has
//!    [`agent::assembler`] name its message → [`bridge::session`] numbers, logs and publishes it →
//!    [`store::Store::update`] appends it and raises the item's revision → [`app`] draws it where the last
//!    frame is 16 ms old, else with the next one → one block is laid out, one row drawn.
//! 2. *The person approves.* Key → [`store::overlay::approval`] selects; Enter, after a pause → `Effect::Send` → the turn machine →
//!    `ApprovalResolved` comes back as an event, and that changes the screen. What it grants comes back as status.
//! 3. *Esc.* Key → `Command::Cancel` → the response is dropped, tools are stopped and report →
//!    `TurnFinished(Cancelled)`.
//! 4. *A remote is attached.* One that is asked by POST is an engine ([`engine::remote`]) under the same agent; a stream
//!    that can be had by GET is watched by [`bridge::remote`], which resumes it, and so are a pipe, a file and a program
//!    that is started; [`dialect::detect`] finds out what each speaks and says why. An agent that keeps the conversation
//!    and asks back is neither, be its program started here or served: [`bridge::peer`] holds it as a source beside the
//!    agent here, a pure machine between a protocol's lines and the session's events, behind a link to a program, a
//!    WebSocket or messages over HTTP.
//! 5. *The connection goes quiet.* [`net`] reports `Silent` as status, the status line counts the seconds; past the limit
//!    the turn fails with a fault that says so, and the text so far stays.
//! 6. *A client asks over HTTP.* [`serve`] checks who it is → a one-shot surface makes a request of it, the runtime opens
//!    a session → events come from the hub like everyone's, an encoder ([`dialect::Encode`]) makes frames of them → a
//!    client that comes back gets the rest from the log. On the native surface commands go the other way, and of two
//!    answers to one approval the first counts. Where a client has to decide, an encoder may pause its stream: the turn
//!    waits, and the client's next request decides and gets the rest. An editor asks over standard streams instead,
//!    a WebSocket or messages by POST (`serve/acp`): there a pure machine stands between its messages and the sessions.
//!    So it does for an editor that keeps its agents elsewhere (`serve/ahp`), whose numbers a ledger maps to the log's.
//!    With `serve -- PROGRAM` the session's source is not our agent but that program: [`bridge::peer`] hosts it.
//!    A browser gets a page (`assets/page`), which is a client of the native surface like any other. Its timeline
//!    (`assets/page/timeline.js`) is that of exported pages too ([`export`]).
//! 7. *Seek back in a replay.* `Command::Seek` → [`bridge::replay`] rewinds the hub → the store forgets and folds the last
//!    turns before the new place → one frame; the turns before them follow behind it ([`app::history_loader`]).
//!
//! # Where to add things
//!
//! | to add | write | touch |
//! | --- | --- | --- |
//! | an engine | `engine/x.rs` with its [`engine::EngineSpec`] | [`engine::ENGINES`], `assets/config.toml` |
//! | a wire format | `dialect/x.rs`, recordings in `tests/golden/x` | a row in [`dialect::DIALECTS`] |
//! | a protocol of agent programs | `bridge/peer/x.rs`, what it says in `dialect/x.rs` | its row in `runtime/attach/known_agents.rs` |
//! | a format in which others keep sessions | `dialect/saved/x.rs`, files of it in `tests/golden/saved/x` | its row in [`dialect::saved::SAVED_FORMATS`] |
//! | a form for another agent | `dialect/saved/handoff/x.rs` | its row in [`dialect::saved::handoff::HANDOFF_FORMATS`] |
//! | a tool by which the agent works | `tool/x.rs` | the second table in [`tool`]; what needs the agent itself is in `agent/run` |
//! | a file or folder that instructs the agent | `config/instructions.rs`, `config/skills.rs` | `runtime/instructions.rs`, `assets/manual/instructions.md` |
//! | a tool that tells a plan | its name in `dialect/plan.rs` | nothing |
//! | a request for turns | `engine/remote/x.rs` | a row in [`engine::remote::REQUEST_KINDS`] |
//! | a file of the page for browsers | `assets/page/x` | the list in `serve/page.rs` |
//! | a number for monitoring | `serve/session_counts.rs`, `serve/metrics.rs` | nothing |
//! | an attribute of a trace | `telemetry/spans.rs` | nothing |
//! | a surface of the server | `serve/x.rs`, an encoder in `dialect` | the list in [`serve`] |
//! | a tool | `tool/x.rs` | the table in [`tool`], a form in `engine/offline/syntax`, lines in README and manual |
//! | a source of tools | `tool/x.rs` with a [`tool::ToolSource`] | the list in [`runtime`] |
//! | a key or slash command | a row in `store/action_table.rs` | `assets/keys/default.toml`, `assets/manual/commands.md` |
//! | a pane | `ui/panes/x.rs` | the list in `ui/panes/mod.rs`; if it takes keys, a row in `store/pane.rs` |
//! | an overlay | `store/overlay/x.rs`, `ui/panes/x.rs` | the lists in `store/overlay/mod.rs` and `ui/overlays.rs` |
//! | a command of the program | `cli/run/x.rs` | a variant of [`cli::CliCommand`], its arm in `cli/run.rs` |
//! | a format of exports | `export/x.rs` | a variant of [`event::ExportFormat`], its arm in [`export::export`] |
//! | a setting | its declaration in `config/mod.rs` | `assets/config.toml` |
//! | an event | a variant of [`event::AgentEvent`] | where the compiler points |
//! | an annotation | a variant of [`event::Annotation`] | who shows it |
//! | a notice | a row in `event/notice.rs` | who says it |
//! | a shape of keys | a row in `text/secrets/table.rs` | nothing |
//!
//! A release build lays the functions that run together in memory (`src/build.rs`); `.ci/functions` makes their list anew.

pub mod event;
pub mod local_time;
pub mod private;
pub mod text;

pub mod compare;
pub mod config;
pub mod dialect;
pub mod store;

pub mod agent;
pub mod bridge;
pub mod engine;
pub mod journal;
pub mod mcp;
pub mod net;
pub mod sandbox;
pub mod serve;
pub mod telemetry;
pub mod tool;

pub mod ui;

pub mod app;
pub mod cli;
pub mod export;
pub mod headless;
pub mod runtime;

/// As for the tests outside, with which `testkit` is shared.
#[cfg(test)]
extern crate self as jarvis_tui;

#[cfg(test)]
#[path = "../tests/testkit/mod.rs"]
#[allow(dead_code, reason = "shared with `tests/it`, which uses other parts")]
mod testkit;
