//! What passes on one connection, in both directions.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::PoisonError;
use std::thread;

use super::wire::{Backend, Frontend, Part};
use super::{Moment, Shared};

/// How a request is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Through,
    /// It is the script's, which acts before or after it is sent.
    Acts(Moment),
}

impl Shared {
    /// Passes on what a client sends.
    pub(super) fn forth(&self, number: usize, mut from: TcpStream) {
        let mut frontend = Frontend::default();
        let mut bytes = [0; 8192];
        while let Some(length) = from.read(&mut bytes).ok().filter(|length| *length > 0) {
            for part in frontend.take(&bytes[..length]) {
                if !self.passes_forth(number, part) {
                    return;
                }
            }
        }
        // The client is gone, or was cut: the server sees the same.
        drop(self.state().links[number].server.shutdown(Shutdown::Both));
    }

    /// Passes on what the server sends.
    pub(super) fn back(&self, number: usize, mut from: TcpStream) {
        let mut backend = Backend::default();
        let mut bytes = [0; 8192];
        while let Some(length) = from.read(&mut bytes).ok().filter(|length| *length > 0) {
            let bare = {
                let link = &mut self.state().links[number];
                let bare = link.bare.min(length);
                link.bare -= bare;
                bare
            };
            for (piece, ready) in backend.take(&bytes[..length], bare) {
                self.passes_back(number, &piece, ready);
            }
        }
        drop(self.state().links[number].client.shutdown(Shutdown::Both));
    }

    /// Returns whether more may follow.
    fn passes_forth(&self, number: usize, part: Part) -> bool {
        let (bytes, way) = match part {
            Part::Encryption(bytes) => {
                self.state().links[number].bare += 1;
                (bytes, Way::Through)
            }
            Part::Startup(bytes, name) => {
                self.state().links[number].seen.application = name;
                (bytes, Way::Through)
            }
            Part::Other(bytes) => (bytes, Way::Through),
            Part::Request(bytes) => {
                self.wait_until_acted(number);
                let way = self.counted_as(number);
                (bytes, way)
            }
        };
        if way == Way::Acts(Moment::BeforeSending) {
            self.act(number);
            // Silent, it stays open; else both ends see that it is over.
            return self.is_open(number);
        }
        let passed = self.write(number, &bytes, |link| &link.server);
        if way == Way::Acts(Moment::Unanswered) {
            self.act(number);
        }
        passed
    }

    /// Counts a request.
    fn counted_as(&self, number: usize) -> Way {
        let mut state = self.state();
        state.links[number].seen.requests += 1;
        let Some(script) = state.script.clone() else { return Way::Through };
        if state.fired || !state.links[number].seen.application.contains(script.on) {
            return Way::Through;
        }
        state.counted += 1;
        if state.counted != script.at {
            return Way::Through;
        }
        let link = &mut state.links[number];
        match script.moment {
            Moment::BeforeSending => {}
            Moment::Unanswered => link.unanswered = true,
            Moment::Answered => link.due = Some(link.seen.requests),
        }
        Way::Acts(script.moment)
    }

    fn passes_back(&self, number: usize, piece: &[u8], ready: bool) {
        let (passes, due) = {
            let mut state = self.state();
            let link = &mut state.links[number];
            // The first time that it is ready answers the startup.
            let first = link.seen.requests == 0;
            link.seen.answers += u64::from(ready && !first);
            (!link.unanswered, ready && link.due == Some(link.seen.answers))
        };
        if passes {
            self.write(number, piece, |link| &link.client);
        }
        if due {
            self.act(number);
            self.state().links[number].due = None;
            self.changed.notify_all();
        }
    }

    /// Keeps back what a client sends on an answer after which something is to be done: that comes first.
    fn wait_until_acted(&self, number: usize) {
        let mut state = self.state();
        while state.links[number].due.is_some() && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes to one end; waits while the connection is silent. Returns whether it is still there.
    fn write(&self, number: usize, bytes: &[u8], end: impl Fn(&super::Link) -> &TcpStream) -> bool {
        if !self.is_open(number) {
            return false;
        }
        let (to, delay) = {
            let state = self.state();
            (end(&state.links[number]).try_clone(), state.delay)
        };
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let _passing = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        to.and_then(|mut to| to.write_all(bytes)).is_ok()
    }

    /// Waits while the connection is silent; returns whether the proxy is still there.
    fn is_open(&self, number: usize) -> bool {
        let mut state = self.state();
        while state.links[number].silent && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.ended
    }
}
