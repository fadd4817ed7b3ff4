//! A program that was started, with all that it starts: dropping it ends them.

use std::io;
use std::process::Command;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessSession};

use super::END_NOW;

/// A running program in a session of its own, so that it has no terminal and one signal reaches what it started.
#[derive(Debug)]
pub struct ConfinedChild {
    pub child: Box<dyn ChildWrapper>,
    /// A supervisor ends the processes; it must not be killed before.
    is_supervised: bool,
}

impl ConfinedChild {
    /// Starts a command; `is_supervised` if its program is a supervisor.
    ///
    /// # Errors
    ///
    /// Fails if it can't be started.
    pub fn start(command: Command, is_supervised: bool) -> io::Result<Self> {
        let mut command = CommandWrap::from(tokio::process::Command::from(command));
        command.wrap(ProcessSession);
        if !is_supervised {
            command.wrap(KillOnDrop);
        }
        Ok(Self { child: command.spawn()?, is_supervised })
    }

    /// Ends every process at once; harmless if none is left.
    pub fn end_now(&mut self) {
        let _ = if self.is_supervised { self.child.signal(END_NOW) } else { self.child.start_kill() };
    }
}

impl Drop for ConfinedChild {
    fn drop(&mut self) {
        self.end_now();
    }
}
