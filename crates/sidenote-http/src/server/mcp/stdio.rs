//! The protocol with one client, over a pair of streams: a message a line.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use rmcp::{serve_server, service::ServerInitializeError, transport::async_rw::AsyncRwTransport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{super::Server, Handler};

/// Most bytes of a message; a longer one is passed over, with a line in the log. More than a question may have, so that one that is too
/// long is told so.
const MAX_LINE_BYTES: usize = 4 << 20;

impl Server {
    /// Speaks the Model Context Protocol with the client at the other end of two streams, until it leaves or `stop` is done; either
    /// stops its questions.
    ///
    /// # Errors
    /// When the client begins with what is no request of the protocol.
    pub async fn serve_mcp(
        &self,
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut stop = pin!(stop);
        let reader = Leaving { reader, server: self.clone() };
        let transport = AsyncRwTransport::new_server(reader, writer).with_max_line_length(MAX_LINE_BYTES);
        let begun = tokio::select! {
            begun = serve_server(Handler { server: self.clone() }, transport) => begun,
            () = &mut stop => return Ok(()),
        };
        let serving = match begun {
            Ok(serving) => serving,
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            // What the client sent may be words of a question, and is not passed on.
            Err(_) => return Err(io::Error::other("the client did not begin as the protocol has it")),
        };
        let cancel = serving.cancellation_token();
        let mut ended = pin!(serving.waiting());
        tokio::select! {
            _ = &mut ended => {}
            () = &mut stop => {
                self.inner.questions.stop();
                cancel.cancel();
                let _ = ended.await;
            }
        }
        Ok(())
    }
}

/// A client's stream, whose end stops the questions at once: rmcp would let them come to their end for some seconds.
struct Leaving<R> {
    reader: R,
    server: Server,
}

impl<R: AsyncRead + Unpin> AsyncRead for Leaving<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.reader).poll_read(context, buffer));
        if read.is_err() || buffer.filled().len() == before {
            self.server.inner.questions.stop();
        }
        Poll::Ready(read)
    }
}
