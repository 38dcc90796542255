//! Stopping a statement from another thread.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use segue_model::session::Cancel;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::CancelToken;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A request to cancel takes one round trip; longer than this nobody waits for it.
const LIMIT: Duration = Duration::from_secs(5);

/// Where a server was reached.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    /// By TCP.
    Tcp(SocketAddr),
    /// By a socket file.
    Unix(PathBuf),
}

/// How the statement of one session is cancelled: over a second, short connection to the same place.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) token: CancelToken,
    pub(super) endpoint: Endpoint,
    pub(super) tls: MakeRustlsConnect,
    pub(super) host: String,
}

impl Route {
    /// Asks the server, and waits until it has taken the request.
    pub(super) async fn send(&self) -> io::Result<()> {
        match &self.endpoint {
            Endpoint::Tcp(address) => self.send_over(TcpStream::connect(address).await?).await,
            Endpoint::Unix(path) => self.send_over(UnixStream::connect(path).await?).await,
        }
    }

    async fn send_over<S>(&self, stream: S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut tls = self.tls.clone();
        let tls = MakeTlsConnect::<UntilEof<S>>::make_tls_connect(&mut tls, &self.host).map_err(io::Error::other)?;
        self.token.cancel_query_raw(UntilEof(stream), tls).await.map_err(io::Error::other)
    }
}

/// [`Cancel`] for a session of ours.
pub(super) struct Canceller(pub(super) Arc<Route>);

impl Cancel for Canceller {
    /// A server that cannot be asked is seen by the statement's own deadline, so no failure is told here.
    fn cancel(&self) {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(async { tokio::time::timeout(LIMIT, self.0.send()).await.ok() });
        }
    }
}

/// A stream whose shutdown waits until the other side has closed, as libpq does.
///
/// Closing a cancel request without waiting makes some releases of `PgBouncer` fail as a whole.
struct UntilEof<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for UntilEof<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for UntilEof<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut room = [0; 64];
        loop {
            let mut buf = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                // Closed, or reset: either way the request has been taken.
                Ok(()) | Err(_) => return Poll::Ready(Ok(())),
            }
        }
    }
}
