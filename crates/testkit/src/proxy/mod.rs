//! A proxy in front of a PostgreSQL server that fails on request: at a counted statement it kills the process that sent it,
//! cuts the connection, or falls silent.

mod pump;
mod wire;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::signal;
use crate::segue::{Output, Segue, finished};

/// Stands between clients and one server. Every connection ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

/// When something is done, and what.
#[derive(Debug, Clone)]
pub struct Script {
    /// Only requests of sessions whose `application_name` contains this are counted; empty: all.
    pub on: &'static str,
    /// The number of the request, from 1, over all these sessions. A request is a simple query, or a group up to its Sync.
    pub at: u64,
    /// The moment of that request.
    pub moment: Moment,
    /// What is done.
    pub act: Act,
}

/// A moment of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The server never gets it.
    BeforeSending,
    /// The server gets it, the client gets no answer.
    Unanswered,
    /// The client gets the answer.
    Answered,
}

impl Moment {
    /// Every moment, in order.
    pub const ALL: [Self; 3] = [Self::BeforeSending, Self::Unanswered, Self::Answered];
}

/// What is done at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL to the process that [`Proxy::aim`] named.
    Kill,
    /// SIGSTOP to that process: it sleeps until somebody sends it SIGCONT.
    Stop,
    /// The connection is cut.
    Cut,
    /// Every connection is cut.
    CutAll,
    /// Nothing is passed on any more on this connection; it stays open.
    Silence,
    /// Nothing: the test waits for it with [`Proxy::wait_until_fired`] and does something itself.
    Watch,
}

/// A connection, as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The `application_name` that it began with.
    pub application: String,
    /// Requests of the client.
    pub requests: u64,
    /// Times that the server was ready after one.
    pub answers: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Somebody may look at the state anew.
    changed: Condvar,
    /// Held for reading while something is passed on, for writing while something is done: nothing slips through meanwhile.
    gate: RwLock<()>,
}

#[derive(Debug, Default)]
struct State {
    server: u16,
    script: Option<Script>,
    /// Requests that the script counted.
    counted: u64,
    fired: bool,
    target: Option<u32>,
    links: Vec<Link>,
    refuses: bool,
    delay: Duration,
    ended: bool,
}

#[derive(Debug)]
struct Link {
    seen: Seen,
    client: TcpStream,
    server: TcpStream,
    /// Bytes that the server answers before its first message.
    bare: usize,
    /// Nothing is passed on.
    silent: bool,
    /// Nothing of the server's is passed on.
    unanswered: bool,
    /// The script's turn comes with this answer.
    due: Option<u64>,
}

impl Proxy {
    /// Listens on a free port and leads to the server on `port`.
    ///
    /// # Panics
    /// When no port is to be had.
    #[track_caller]
    pub fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback can be had");
        let own = listener.local_addr().expect("a bound socket knows its port").port();
        let state = Mutex::new(State { server: port, ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), gate: RwLock::new(()) });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { port: own, shared }
    }

    /// Returns the URL of the same database by way of this proxy.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map(|(user, _)| format!("{user}@")).unwrap_or_default();
        format!("{scheme}://{user}127.0.0.1:{}/{path}", self.port)
    }

    /// Leads connections that are made from now on to another server, as an address does that moves with the primary.
    pub fn lead_to(&self, port: u16) {
        self.shared.state().server = port;
    }

    /// Counts from 0 and does what the script says when it comes to its request, once.
    pub fn arm(&self, script: Script) {
        let mut state = self.shared.state();
        (state.script, state.counted, state.fired) = (Some(script), 0, false);
    }

    /// Names the process that a script kills.
    pub fn aim(&self, child: &Child) {
        self.shared.state().target = Some(child.id());
        self.shared.changed.notify_all();
    }

    /// Runs a command whose database is behind this proxy to its end, and kills it where the script says so.
    #[track_caller]
    pub fn run(&self, segue: &Segue, arguments: &[&str]) -> Output {
        self.shared.state().target = None;
        let child = segue.spawn(arguments);
        self.aim(&child);
        finished(child)
    }

    /// Returns whether the script's moment came.
    pub fn fired(&self) -> bool {
        self.shared.state().fired
    }

    /// Waits until the script's moment came; returns whether it came within `limit`.
    pub fn wait_until_fired(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while !self.fired() && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
        self.fired()
    }

    /// Returns how many requests were counted since the script was armed.
    pub fn counted(&self) -> u64 {
        self.shared.state().counted
    }

    /// Returns every connection there was, in the order in which they were made.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state().links.iter().map(|link| link.seen.clone()).collect()
    }

    /// Cuts every connection; with `refuses`, new ones are cut as well until this is called without.
    pub fn cut(&self, refuses: bool) {
        let mut state = self.shared.state();
        state.refuses = refuses;
        state.links.iter_mut().for_each(Link::cut);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Holds everything that is passed on back for so long.
    pub fn delay(&self, by: Duration) {
        self.shared.state().delay = by;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.cut(true);
        // The listener waits in `accept`: a connection wakes it, and it sees that it is over.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            let (ended, refuses, port) = {
                let state = self.state();
                (state.ended, state.refuses, state.server)
            };
            if ended {
                return;
            }
            // A server that is down is seen by the client as a connection that ends at once.
            let Some(server) = TcpStream::connect(("127.0.0.1", port)).ok().filter(|_| !refuses) else { continue };
            // Cut meanwhile: then nothing is left to pass on.
            drop(self.pass_on(client, server));
        }
    }

    fn pass_on(self: &Arc<Self>, client: TcpStream, server: TcpStream) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, from_server) = (client.try_clone()?, server.try_clone()?);
        let seen = Seen { application: String::new(), requests: 0, answers: 0 };
        let link = Link { seen, client, server, bare: 0, silent: false, unanswered: false, due: None };
        let number = {
            let mut state = self.state();
            state.links.push(link);
            state.links.len() - 1
        };
        let (forth, back) = (Arc::clone(self), Arc::clone(self));
        thread::spawn(move || forth.forth(number, from_client));
        thread::spawn(move || back.back(number, from_server));
        Ok(())
    }

    /// Does what the script says, on a connection.
    fn act(&self, number: usize) {
        let _nothing_passes = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        let Some(act) = state.script.as_ref().map(|script| script.act) else { return };
        match act {
            Act::Kill => state = self.signalled(state, "KILL"),
            Act::Stop => state = self.signalled(state, "STOP"),
            Act::Cut => state.links[number].cut(),
            Act::CutAll => state.links.iter_mut().for_each(Link::cut),
            Act::Silence => state.links[number].silent = true,
            Act::Watch => {}
        }
        state.fired = true;
    }

    /// Sends a signal to the process that is aimed at, as soon as it is known which.
    fn signalled<'s>(&self, mut state: MutexGuard<'s, State>, name: &str) -> MutexGuard<'s, State> {
        while state.target.is_none() && !state.ended {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // A process that has ended by itself just now needs no signal.
        let _ended_before = state.target.is_some_and(|pid| !signal(pid, name));
        state
    }
}

impl Link {
    /// A connection that has ended already stays ended.
    fn cut(&mut self) {
        self.silent = false;
        drop(self.client.shutdown(Shutdown::Both));
        drop(self.server.shutdown(Shutdown::Both));
    }
}
