//! jarvis-tui: a terminal chat client for AI agents. This page is the architecture; it changes with the code.
//!
//! # Data flows one way
//!
//! ```text
//!   Source (in-process agent | remote | replay)      Command (prompt, decide, cancel, seek)
//!         │ AgentEvent                                             ▲
//!         ▼                                                        │
//!   bridge::session: merge, number, time, seal, log, publish       │
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
//! 1. **Facts, wishes, weather.** [`event::AgentEvent`] is a fact: numbered and logged. [`event::Command`] is a wish
//!    and [`event::SessionStatus`] is how things are just now; neither is ever logged.
//! 2. **One number, three uses.** [`event::Envelope::seq`] is the line in the log, the id on a stream and the cursor of
//!    a replay: resume, dedupe and seek are one mechanism.
//! 3. **Two pure machines face each other.** [`agent::turn`] decides what to do next, [`store`] decides what is true on
//!    screen. Both take events and return effects as data; neither has a clock, IO or async.
//! 4. **A wire format is one file.** A decoder in [`dialect`] serves the engine that speaks it and is tested by bytes.
//! 5. **Engines describe a call; they don't make it.** Only [`net`] opens connections to models.
//! 6. **What depends on width or cells lives in [`ui`]; what a client without a screen would want lives in
//!    [`store`].**
//!
//! # Floors
//!
//! | floor | rooms | may do |
//! | --- | --- | --- |
//! | words | [`event`], [`text`] | plain data, pure functions on strings |
//! | mind | [`dialect`], [`store`], [`config`] and every file marked PURE | decisions, no IO |
//! | hands | [`net`], [`engine`], [`tool`], [`agent`], [`journal`], [`bridge`], [`serve`] | sockets, files, processes |
//! | face | [`ui`] | ratatui, nothing else |
//! | house | [`runtime`], [`app`], [`headless`], [`cli`], `main` | wiring |
//!
//! Hands and face never meet. Which room may use which is a table in `tests/it/tidy.rs`, and that test fails on the
//! first wrong `use`.
//!
//! # Invariants
//!
//! - An event is written to the log before anyone is shown it. A log cut anywhere opens, minus at most a torn last line.
//! - No consumer handles "the stream just stopped": [`event::grammar::Sealer`] closes what a source left open.
//! - Nobody is pushed to: a slow reader of the hub stalls nobody and misses nothing.
//! - Text from outside stays raw in events and is cleaned by [`text::clean::clean`] on its way to a terminal. Where a
//!   person decides about it, [`text::visible::visible`] spells out what is hidden or looks like something else.
//! - Only `app/input` reads the terminal; it makes keys and pastes of bytes, and no text of a paste ever acts as a key.
//! - Addresses of servers are read by [`text::address`] and nowhere else.
//! - What of a session is no fact (drafts, prompts that wait, grants) is kept beside the log by
//!   [`journal::StateStore`], and never read from a log, which may be somebody else's.
//! - Secrets are `SecretString`s; they enter requests and nothing else. [`config::environment`] takes them out of the
//!   environment, and `net/redact` blanks them out of what comes back.
//! - A frame touches the rows on screen, a token the open block of its message; `tests/it/work.rs` counts.
//! - The terminal is sent what changed and no more; rows that moved it moves itself ([`app::screen`]).
//! - Nothing ticks when nothing moves: an idle program sleeps.
//!
//! # Seven walks
//!
//! 1. *A token arrives.* Bytes → [`net`] cuts frames → a decoder says `TextDelta` → [`agent::turn`] passes it on →
//!    [`bridge::session`] numbers, logs and publishes → [`store::Store::update`] appends and raises the item's revision
//!    → [`app`] draws within 16 ms → one block is laid out.
//! 2. *The person approves.* Key → [`store::approval`] selects; Enter, after a pause → `Effect::Send` → the turn machine →
//!    `ApprovalResolved` comes back as a fact, and that changes the screen. What it grants comes back as weather.
//! 3. *Esc.* Key → `Command::Cancel` → the reply is dropped, tools are stopped and report → `TurnFinished(Cancelled)`.
//! 4. *A remote is attached.* One that is asked by POST is an engine ([`engine::remote`]) under the same agent; a stream
//!    that can be had by GET is watched by [`bridge::remote`], which resumes it; [`dialect::detect`] finds out what
//!    either speaks and says why.
//! 5. *The line goes quiet.* [`net`] says `Silent` as weather, the status line counts the seconds; past the limit the
//!    turn fails with a fault that says so, and the text so far stays.
//! 6. *A client asks over HTTP.* [`serve`] checks who it is → a one-shot surface makes a `OneShotRequest`, the house
//!    opens a session for it → facts come from the hub like everyone's, an encoder ([`dialect::Encode`]) makes frames of them →
//!    a client that comes back gets them again from the log, without those it has. On the native surface wishes go the
//!    other way, and of two answers to one ask the first counts.
//! 7. *Seek back in a replay.* `Command::Seek` → [`bridge::replay`] resets the hub → the store forgets and folds forward
//!    → one frame.
//!
//! # Where to add things
//!
//! | to add | write | touch |
//! | --- | --- | --- |
//! | an engine | `engine/x.rs` | [`runtime`] |
//! | a wire format | `dialect/x.rs`, recordings in `tests/golden/x` | `dialect::DIALECTS`, `dialect::detect` |
//! | a surface of the server | `serve/x.rs`, an encoder in `dialect` | the list in [`serve`] |
//! | a tool | `tool/x.rs` | the table in [`tool`] |
//! | a key or command | a row in `store/action.rs` | `assets/keymap.toml` |
//! | a setting | a field in [`config::Config`] | `assets/config.toml` |
//! | an event | a variant of [`event::AgentEvent`] | where the compiler points |
//!
//! A release build lays the functions that run together in memory (`src/build.rs`); `.ci/functions` makes their list anew.

pub mod event;
pub mod text;

pub mod config;
pub mod dialect;
pub mod store;

pub mod agent;
pub mod bridge;
pub mod engine;
pub mod journal;
pub mod net;
pub mod serve;
pub mod tool;

pub mod ui;

pub mod app;
pub mod cli;
pub mod headless;
pub mod runtime;
