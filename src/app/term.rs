//! The terminal's state around the chat: taken on entry, given back on every way out.
//!
//! Not here: what is painted (`screen.rs`). Invariant: whoever ends the program (quit, panic, signal, suspend, a closed
//! terminal) finds the terminal as it was; giving it back twice does no harm.

use std::cell::Cell;
use std::fs::File;
use std::future::{Future, pending, poll_fn};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic;
use std::pin::Pin;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use crossterm::terminal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgrp, getsid};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::notify::PROGRESS_OFF_SEQUENCE;
use super::screen::Screen;
use crate::runtime::redaction::redacted;
use crate::ui::theme::GroundColors;

/// Alternate screen; alternate-scroll saved and off, or a wheel would walk through the prompt history; bracketed
/// paste; focus events; kitty's flag 1, so that Shift+Enter is seen; the title put aside; the cursor hidden until a frame
/// places it. Nothing is asked: terminals ignore what they don't know.
const ENTER_SEQUENCE: &[u8] =
    b"\x1b[?1049h\x1b[?1007s\x1b[?1007l\x1b[?2004h\x1b[?1004h\x1b[>1u\x1b[22;2t\x1b[?25l\x1b[2J";
/// Buttons, the wheel, and moves while a button is down.
const MOUSE_ON_SEQUENCE: &[u8] = b"\x1b[?1002h\x1b[?1006h";
/// The same backwards. The mouse goes off whether it was on or not. Where there is no alternate screen (GNU screen as it
/// comes), the last frame would stay, with the shell's next line in the middle of it: it is wiped first.
const LEAVE_SEQUENCE: &[u8] =
    b"\x1b[?2026l\x1b[?1006l\x1b[?1002l\x1b[23;2t\x1b[<u\x1b[?1004l\x1b[?2004l\x1b[?1007r\x1b[0m\x1b[r\x1b[H\x1b[2J\x1b[?25h\x1b[?1049l";

/// Of a terminal that prints lines only pastes are told apart.
const ENTER_LINEAR_SEQUENCE: &[u8] = b"\x1b[?2004h";
const LEAVE_LINEAR_SEQUENCE: &[u8] = b"\x1b[?2004l";

/// As for the alternate screen, less what is only for it: bracketed paste, focus, keys, the title.
const ENTER_INLINE_SEQUENCE: &[u8] = b"\x1b[?2004h\x1b[?1004h\x1b[>1u\x1b[22;2t";
/// With lines that wrap and the cursor shown, as a frame that broke off may have left them, and out of the alternate screen
/// that a list may fill, without going back to where the cursor was then.
const LEAVE_INLINE_SEQUENCE: &[u8] =
    b"\x1b[?2026l\x1b[?1047l\x1b[?7h\x1b[23;2t\x1b[<u\x1b[?1004l\x1b[?2004l\x1b[0m\r\x1b[J\x1b[?25h";

/// Understood by every terminal.
const BELL_BYTES: &[u8] = b"\x07";

/// A taskbar shows progress that is taken back with the terminal.
static PROGRESS_SHOWN: AtomicBool = AtomicBool::new(false);
/// DECSCUSR: the terminal's own shape of the cursor.
pub(super) const CURSOR_DEFAULT_SEQUENCE: &[u8] = b"\x1b[0 q";
/// The cursor has a shape that is taken back with the terminal.
static CURSOR_SHAPED: AtomicBool = AtomicBool::new(false);
/// OSC 110 and 111: the terminal's own colours for text and for what is behind it.
const GROUND_DEFAULT_SEQUENCE: &[u8] = b"\x1b]110\x1b\\\x1b]111\x1b\\";
/// The terminal has other colours, which are taken back with it.
static GROUND_SET: AtomicBool = AtomicBool::new(false);
/// As what the terminal is ours at the moment; 0 if it is not.
static TERMINAL_TAKEN: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// This thread is running the chat itself, not some task beside it.
    static IN_CHAT: Cell<bool> = const { Cell::new(false) };
}

/// What is made of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermMode {
    /// The alternate screen is painted; with or without the mouse.
    Full { mouse: bool },
    /// Its own text goes on, with a live part below it.
    Inline,
    /// Lines are printed.
    Linear,
    /// Lines are printed on a terminal that would print control sequences as well.
    Dumb,
}

impl TermMode {
    fn enter_sequence(self) -> Vec<u8> {
        match self {
            Self::Full { mouse: true } => [ENTER_SEQUENCE, MOUSE_ON_SEQUENCE].concat(),
            Self::Full { mouse: false } => ENTER_SEQUENCE.to_vec(),
            Self::Inline => ENTER_INLINE_SEQUENCE.to_vec(),
            Self::Linear => ENTER_LINEAR_SEQUENCE.to_vec(),
            Self::Dumb => Vec::new(),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Full { .. } => 1,
            Self::Linear => 2,
            Self::Dumb => 3,
            Self::Inline => 4,
        }
    }

    /// Returns what gives a terminal back that was taken under this number.
    fn leave_sequence(number: u8) -> &'static [u8] {
        match number {
            2 => LEAVE_LINEAR_SEQUENCE,
            3 => b"",
            4 => LEAVE_INLINE_SEQUENCE,
            _ => LEAVE_SEQUENCE,
        }
    }
}

/// The terminal while it is ours. Dropping gives it back.
pub struct Term {
    pub screen: Screen<File>,
    mode: TermMode,
    /// The colours that it was told.
    ground: Option<GroundColors>,
}

impl Term {
    /// Takes the terminal. Fails when stdout is none.
    pub fn enter(mode: TermMode) -> io::Result<Self> {
        restore_on_panic();
        let size = terminal::size();
        // What prints lines may have none.
        let (columns, rows) = if let TermMode::Full { .. } = mode { size? } else { size.unwrap_or((80, 24)) };
        // Not `Stdout`, whose line buffer would cut a frame in two writes.
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let term = Self { screen: Screen::new(out, columns, rows), mode, ground: None };
        term.acquire()?;
        Ok(term)
    }

    fn acquire(&self) -> io::Result<()> {
        terminal::enable_raw_mode()?;
        TERMINAL_TAKEN.store(self.mode.number(), Ordering::SeqCst);
        io::stdout().write_all(&self.mode.enter_sequence())?;
        io::stdout().flush()
    }

    /// Writes what is no text: a call, a title, a clipboard. A terminal that would print it gets at most its bell.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.mode == TermMode::Dumb && bytes != BELL_BYTES {
            return Ok(());
        }
        self.screen.write_raw(bytes)
    }

    /// Tells it the colours of the whole screen (OSC 10 and 11); none are its own. Where its own text goes on, or lines
    /// are printed, it keeps those.
    pub fn show_ground(&mut self, ground: Option<GroundColors>) -> io::Result<()> {
        if self.ground == ground || !matches!(self.mode, TermMode::Full { .. }) {
            return Ok(());
        }
        self.ground = ground;
        GROUND_SET.store(ground.is_some(), Ordering::SeqCst);
        self.screen.write_raw(&ground.map_or_else(|| GROUND_DEFAULT_SEQUENCE.to_vec(), ground_sequence))
    }

    /// Gives the terminal back, runs `stop`, takes it again and has all redrawn.
    pub fn suspend(&mut self, stop: impl FnOnce()) -> io::Result<()> {
        self.release();
        stop();
        self.retake()
    }

    /// Gives the terminal to another program; [`Term::retake`] follows.
    pub fn release(&self) {
        restore_terminal();
    }

    /// Takes the terminal again and has all redrawn.
    pub fn retake(&mut self) -> io::Result<()> {
        self.acquire()?;
        self.ground = None;
        // The window may have changed meanwhile; the signal went nowhere.
        if let Ok((columns, rows)) = terminal::size() {
            self.screen.resize(columns, rows);
        }
        self.screen.invalidate();
        Ok(())
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        restore_terminal();
    }
}

fn ground_sequence(ground: GroundColors) -> Vec<u8> {
    let color = |(r, g, b): (u8, u8, u8)| format!("rgb:{r:02x}/{g:02x}/{b:02x}");
    format!("\x1b]10;{}\x1b\\\x1b]11;{}\x1b\\", color(ground.ink), color(ground.back)).into_bytes()
}

/// Tells whether there is progress to take back.
pub(super) fn set_progress_shown(is_shown: bool) {
    PROGRESS_SHOWN.store(is_shown, Ordering::SeqCst);
}

/// Tells whether the cursor has another shape than the terminal's own.
pub(super) fn set_cursor_shaped(is_shaped: bool) {
    CURSOR_SHAPED.store(is_shaped, Ordering::SeqCst);
}

/// Gives the terminal back if it is ours. Whatever fails is beyond repair: the terminal is gone.
fn restore_terminal() {
    let taken = TERMINAL_TAKEN.swap(0, Ordering::SeqCst);
    if taken != 0 {
        if PROGRESS_SHOWN.swap(false, Ordering::SeqCst) {
            _ = io::stdout().write_all(PROGRESS_OFF_SEQUENCE.as_bytes());
        }
        if GROUND_SET.swap(false, Ordering::SeqCst) {
            _ = io::stdout().write_all(GROUND_DEFAULT_SEQUENCE);
        }
        if CURSOR_SHAPED.swap(false, Ordering::SeqCst) {
            _ = io::stdout().write_all(CURSOR_DEFAULT_SEQUENCE);
        }
        _ = io::stdout().write_all(TermMode::leave_sequence(taken)).and_then(|()| io::stdout().flush());
        _ = terminal::disable_raw_mode();
    }
}

/// A panic of the chat gives the terminal back before it is told. One of a task beside it is caught by the task's
/// owner, so it goes to the log and not across the screen.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IN_CHAT.get() {
                restore_terminal();
            }
            if TERMINAL_TAKEN.load(Ordering::SeqCst) != 0 {
                let info = redacted(info.to_string());
                tracing::error!(%info, "a task panicked");
            } else {
                tell(info);
            }
        }));
    });
}

/// Marks, while it is polled, that the thread runs the chat: on one thread with many tasks the hook must know whose
/// panic it sees.
pub struct ChatPanicScope<F>(pub Pin<Box<F>>);

impl<F: Future> Future for ChatPanicScope<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let before = IN_CHAT.replace(true);
        let poll = self.0.as_mut().poll(cx);
        IN_CHAT.set(before);
        poll
    }
}

/// What the system can tell a terminal program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalEvent {
    /// Leave with this exit code.
    Quit(u8),
    Suspend,
}

/// The signals that end a program unless it catches them, and can be caught: those of errors in the program itself
/// (SIGSEGV and its like) can't be survived.
const TERMINATION_SIGNALS: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGABRT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Signal::SIGIO,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Signal::SIGPWR,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    Signal::SIGSTKFLT,
];

/// The signals that concern the terminal.
pub struct Signals {
    receiver: mpsc::Receiver<SignalEvent>,
    /// Waits for all of them: who asks at every token asks one channel, not each signal.
    _waiting: JoinSet<()>,
    /// Our own request to the process group comes back to us once.
    ignores_next_stop: bool,
}

impl Signals {
    pub fn new() -> io::Result<Self> {
        let ending = TERMINATION_SIGNALS.iter().map(|signal| {
            let number = *signal as i32;
            // What a shell says of a program that a signal ended.
            let code = 128 + number as u8;
            Ok((unix::signal(SignalKind::from_raw(number))?, code))
        });
        let mut ending = ending.collect::<io::Result<Vec<_>>>()?;
        let mut stop = unix::signal(SignalKind::from_raw(Signal::SIGTSTP as i32))?;
        // Signals that come while one waits to be taken are kept as the system keeps them: once each.
        let (tell, told) = mpsc::channel(1);
        let mut waiting = JoinSet::new();
        waiting.spawn(async move {
            loop {
                let one = tokio::select! {
                    biased;
                    code = wait_for_termination(&mut ending) => SignalEvent::Quit(code),
                    Some(()) = stop.recv() => SignalEvent::Suspend,
                };
                if tell.send(one).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { receiver: told, _waiting: waiting, ignores_next_stop: false })
    }

    /// Waits for the next one. Cancel-safe.
    pub async fn next(&mut self) -> SignalEvent {
        loop {
            match self.receiver.recv().await {
                Some(SignalEvent::Suspend) if std::mem::take(&mut self.ignores_next_stop) => {}
                Some(told) => return told,
                None => return pending().await,
            }
        }
    }

    /// Stops the whole job, as Ctrl+Z does where keys are not raw: a `cargo run` around us must stop too.
    pub fn stop_job(&mut self) {
        self.ignores_next_stop = kill(Pid::from_raw(0), Signal::SIGTSTP).is_ok();
        stop_self();
    }
}

/// Waits for the first of these signals and returns its exit code.
async fn wait_for_termination(signals: &mut [(unix::Signal, u8)]) -> u8 {
    poll_fn(|cx| {
        for (signal, code) in signals.iter_mut() {
            if signal.poll_recv(cx).is_ready() {
                return Poll::Ready(*code);
            }
        }
        Poll::Pending
    })
    .await
}

/// Stops this process; returns when it is continued.
pub fn stop_self() {
    _ = kill(Pid::this(), Signal::SIGSTOP);
}

/// Returns whether a shell with job control could bring us back. A session of our own has none.
pub fn can_suspend() -> bool {
    getsid(None).is_ok_and(|session| session != getpgrp())
}
