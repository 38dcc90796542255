//! What goes wrong while a command runs.

use std::process::Child;
use std::time::Duration;

use segue_testkit::process::signal;

use crate::ground::{Ground, Product};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fault {
    Nothing,
    /// SIGKILL.
    Kill,
    /// SIGTERM or Ctrl-C.
    Interrupt,
    /// Its connections are ended by the server.
    Cut,
    /// The server goes down at once and comes up again.
    Restart,
    /// It stands still for a while.
    Stop,
    /// Somebody holds locks on the table for a while.
    Lock,
    /// It is paused and resumed from another terminal.
    Pause,
    /// It is taken back, and started again.
    Back,
}

/// How long locks are held, a process stands still, a pause lasts.
const A_WHILE: Duration = Duration::from_millis(700);

impl Fault {
    /// Returns the faults that can be made on this product.
    pub(crate) fn all(product: Product) -> &'static [Self] {
        use Fault::{Back, Cut, Interrupt, Kill, Lock, Nothing, Pause, Restart, Stop};
        match product {
            Product::Server => &[Nothing, Kill, Interrupt, Cut, Restart, Stop, Lock, Pause, Back],
            Product::File => &[Nothing, Kill, Interrupt, Stop, Lock, Pause, Back],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Kill => "kill -9",
            Self::Interrupt => "interrupt",
            Self::Cut => "cut",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Lock => "lock",
            Self::Pause => "pause",
            Self::Back => "back",
        }
    }

    /// Makes it happen to a running command.
    ///
    /// # Errors
    /// Why it could not be made: then the round has shown nothing about it.
    pub(crate) fn strike(self, child: &mut Child, ground: &Ground, other_way: bool) -> Result<(), String> {
        let pid = child.id();
        match self {
            Self::Nothing | Self::Back => {}
            Self::Kill => child.kill().map_err(|error| error.to_string())?,
            Self::Interrupt => {
                signal(pid, if other_way { "TERM" } else { "INT" });
            }
            Self::Cut => ground.cut(),
            Self::Restart => ground.restart(),
            Self::Stop => {
                signal(pid, "STOP");
                std::thread::sleep(A_WHILE);
                signal(pid, "CONT");
            }
            Self::Lock => ground.hold_locks(A_WHILE),
            Self::Pause => {
                let paused = ground.segue().run(&["pause"]);
                if paused.code != 0 {
                    return Err(format!("pause ended with {}: {}", paused.code, paused.stderr));
                }
                std::thread::sleep(A_WHILE);
                // The command may have come to its end meanwhile: then there is nothing to resume.
                ground.segue().run(&["resume"]);
            }
        }
        Ok(())
    }
}
