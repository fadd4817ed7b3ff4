//! What the terminal sends: bytes are read here, on the loop's own thread, and become events.
//!
//! ```text
//! terminal ──bytes──► Reader ──► Parser (brackets of a paste, times) ──► decode (one key) ──► Event
//! ```
//!
//! The events are crossterm's, but not its reader: that one waits for the end of a paste for ever, with no way out.
//! Not here: what an event means (`ui/keymap.rs`). Invariant: nothing that was read is lost when a wait is dropped.

mod decode;
mod parser;

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use crossterm::event::Event;
use crossterm::terminal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{self, SignalKind};

use self::parser::InputParser;
use super::wait_futures::sleep_until_or_forever;

/// Bytes taken at once; a flood goes on after a frame.
const MAX_READ_BYTES: usize = 64 << 10;

/// Opens the terminal that keys come from: standard input, or the one that controls us where that is data.
pub(super) fn open_keyboard() -> io::Result<OwnedFd> {
    if io::stdin().is_terminal() {
        return io::stdin().as_fd().try_clone_to_owned();
    }
    Ok(File::open("/dev/tty")?.into())
}

/// Reads the keys of the terminal.
pub(super) struct InputReader {
    terminal: AsyncFd<OwnedFd>,
    resized: unix::Signal,
    parser: InputParser,
    bytes: Vec<u8>,
    is_closed: bool,
}

impl InputReader {
    /// Fails where there is no terminal. Needs a runtime.
    pub(super) fn new() -> io::Result<Self> {
        let terminal = open_keyboard()?;
        #[expect(deprecated, reason = "it is for descriptors that may be closed meanwhile; an owned one can't be")]
        let terminal = AsyncFd::with_interest(terminal, Interest::READABLE)?;
        Ok(Self {
            terminal,
            resized: unix::signal(SignalKind::window_change())?,
            parser: InputParser::default(),
            bytes: vec![0; MAX_READ_BYTES],
            is_closed: false,
        })
    }

    /// Returns whether a paste broke off since the last call: its end did not come.
    pub(super) fn take_broken_paste(&mut self) -> bool {
        self.parser.take_broken_paste()
    }

    /// Takes all events that wait, at least one; false once the terminal is gone. Cancel-safe.
    pub(super) async fn next(&mut self, out: &mut Vec<Event>) -> bool {
        while out.is_empty() && !self.is_closed {
            tokio::select! {
                biased;
                Some(()) = self.resized.recv() => {
                    if let Ok((columns, rows)) = terminal::size() {
                        out.push(Event::Resize(columns, rows));
                    }
                }
                ready = self.terminal.readable() => {
                    let Ok(mut ready) = ready else { return false };
                    let (count, more) = read_available(self.terminal.get_ref(), &mut self.bytes);
                    match more {
                        ReadRemainder::Closed => self.is_closed = true,
                        ReadRemainder::Nothing => ready.clear_ready(),
                        ReadRemainder::Something => {}
                    }
                    self.parser.feed(&self.bytes[..count], Instant::now(), out);
                }
                () = sleep_until_or_forever(self.parser.deadline()) => self.parser.on_timeout(Instant::now(), out),
            }
        }
        !self.is_closed
    }
}

/// What waits behind the bytes that were taken.
enum ReadRemainder {
    Something,
    Nothing,
    Closed,
}

/// Reads what is there and no more: the descriptor blocks, for its flags are shared with whoever writes to it and with
/// the shell that comes after.
fn read_available(terminal: &OwnedFd, bytes: &mut [u8]) -> (usize, ReadRemainder) {
    let mut count = 0;
    while count < bytes.len() {
        let mut watched = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::ZERO) {
            Ok(0) => return (count, ReadRemainder::Nothing),
            Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return (count, ReadRemainder::Closed),
        }
        match read(terminal, &mut bytes[count..]) {
            Ok(0) => return (count, ReadRemainder::Closed),
            Ok(taken) => count += taken,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return (count, ReadRemainder::Nothing),
            Err(_) => return (count, ReadRemainder::Closed),
        }
    }
    (count, ReadRemainder::Something)
}
