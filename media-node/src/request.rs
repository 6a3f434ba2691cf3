//! A streamed HTTP request as a call's loop uses it: opened, then read piece by piece.
//!
//! The pieces are handed on as the network cut them: what they mean is the engine's business. Dropping the answer drops
//! the connection, which is how a vendor learns that nobody wants the rest. Connections that came to their end are kept
//! for the next request: most answers then begin one round trip earlier.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use call::journal::LinkCause;
use call::limits::REJECTION_BYTES_MAX;
use futures_util::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};

/// One address of several gets so long before the next is tried.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Reading what a refused request was answered takes no longer.
const REJECTION_WITHIN: Duration = Duration::from_millis(500);

/// A connection without a request is kept for so long; the vendor's own side closes it some time after a minute.
const KEPT_IDLE: Duration = Duration::from_secs(55);

/// The longest pause that a `retry-after` may ask for and be told; longer is as good as none.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// A request, with its credentials.
pub(crate) struct Post {
    /// The whole address.
    pub(crate) url: String,
    /// The header that carries the key.
    pub(crate) key: (HeaderName, HeaderValue),
    /// JSON.
    pub(crate) body: String,
}

/// How a request was answered.
pub(crate) enum Answered {
    /// With success; the rest follows.
    Opened(Answer),
    /// With something else.
    Rejected(Rejection),
}

/// A request that was refused.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// The HTTP status.
    pub(crate) status: u16,
    /// When it may be tried again, if the answer says so.
    pub(crate) retry_after: Option<Duration>,
    /// What it says, cut to [`REJECTION_BYTES_MAX`].
    pub(crate) body: Vec<u8>,
}

/// An answer that is still coming.
pub(crate) struct Answer(Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>);

/// The next of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// More of it.
    Bytes(Bytes),
    /// All of it has come.
    End,
    /// It broke off.
    Broken,
}

impl Answer {
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        self.0.as_mut().poll_next(cx).map(|next| match next {
            Some(Ok(bytes)) => Piece::Bytes(bytes),
            Some(Err(_)) => Piece::Broken,
            None => Piece::End,
        })
    }
}

/// A client for all requests of the node.
pub(crate) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("switchboard/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .pool_idle_timeout(KEPT_IDLE)
        .tcp_nodelay(true)
        .redirect(reqwest::redirect::Policy::none())
        // Whether to ask again is the call's decision.
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
}

/// Sends a request, and waits for the head of its answer.
pub(crate) async fn post(client: &reqwest::Client, post: Post) -> Result<Answered, LinkCause> {
    let Post { url, key: (name, value), body } = post;
    let request = client.post(url).header(name, value).header(CONTENT_TYPE, "application/json").body(body);
    let response = request.send().await.map_err(|error| cause(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(Answered::Opened(Answer(Box::pin(response.bytes_stream()))));
    }
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    let reading = async {
        while let Some(Ok(piece)) = pieces.next().await {
            let room = REJECTION_BYTES_MAX - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if body.len() == REJECTION_BYTES_MAX {
                break;
            }
        }
    };
    // What came in time says enough.
    drop(tokio::time::timeout(REJECTION_WITHIN, reading).await);
    Ok(Answered::Rejected(Rejection { status: status.as_u16(), retry_after, body }))
}

/// Seconds, perhaps with a fraction (RFC 9110, 10.2.3, and vendors more generous than it).
fn retry_after(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= RETRY_AFTER_MAX)
}

fn cause(error: &reqwest::Error) -> LinkCause {
    if error.is_timeout() {
        return LinkCause::Timeout;
    }
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = inner {
        if error.is::<rustls::Error>() {
            return LinkCause::Tls;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
        {
            return LinkCause::Tls;
        }
        // The resolver's error is of no type that can be named.
        if error.to_string().contains("dns error") {
            return LinkCause::Dns;
        }
        inner = error.source();
    }
    LinkCause::Unreachable
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one request with these pieces, and says what it was asked.
    async fn serving(pieces: &'static [&'static str]) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/chat", listener.local_addr().unwrap());
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let mut length = 0;
            while !asked[..length].ends_with(b"{}") {
                length += stream.read(&mut asked[length..]).await.unwrap();
            }
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        (url, asked)
    }

    fn request(url: String) -> Post {
        let mut value = HeaderValue::from_static("Bearer the-key");
        value.set_sensitive(true);
        Post { url, key: (http::header::AUTHORIZATION, value), body: "{}".to_owned() }
    }

    #[tokio::test]
    async fn an_answer_comes_in_pieces_to_its_end() {
        let chunks = &[
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            "6\r\ndata: \r\n",
            "2\r\n1\n\r\n",
            "0\r\n\r\n",
        ];
        let (url, asked) = serving(chunks).await;
        let answered = post(&client().unwrap(), request(url)).await.unwrap();
        let Answered::Opened(mut answer) = answered else { panic!("it was accepted") };
        let mut body = Vec::new();
        loop {
            match std::future::poll_fn(|cx| answer.poll_next(cx)).await {
                Piece::Bytes(bytes) => body.extend_from_slice(&bytes),
                Piece::End => break,
                Piece::Broken => panic!("it ends well"),
            }
        }
        assert_eq!(body, b"data: 1\n");
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("POST /chat") && asked.contains("authorization: Bearer the-key"), "{asked}");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_does_not_end() {
        let (url, _asked) = serving(&["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", "data: "]).await;
        let Answered::Opened(mut answer) = post(&client().unwrap(), request(url)).await.unwrap() else {
            panic!("it was accepted")
        };
        let broken = loop {
            match std::future::poll_fn(|cx| answer.poll_next(cx)).await {
                Piece::Bytes(_) => {}
                Piece::End => break false,
                Piece::Broken => break true,
            }
        };
        assert!(broken);
    }

    #[tokio::test]
    async fn a_refusal_says_why_and_when_to_come_back() {
        let refusal = &["HTTP/1.1 429 Too Many\r\nretry-after: 1.5\r\ncontent-length: 4\r\n\r\nbusy"];
        let (url, _asked) = serving(refusal).await;
        let Answered::Rejected(rejection) = post(&client().unwrap(), request(url)).await.unwrap() else {
            panic!("it was refused")
        };
        assert_eq!((rejection.status, rejection.retry_after), (429, Some(Duration::from_millis(1_500))));
        assert_eq!(rejection.body, b"busy");
    }

    #[tokio::test]
    async fn a_way_that_is_closed_is_called_what_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/chat", listener.local_addr().unwrap());
        drop(listener);
        let client = client().unwrap();
        let why = async |url: &str| match post(&client, request(url.to_owned())).await {
            Ok(_) => panic!("nobody answers"),
            Err(why) => why,
        };
        assert_eq!(why(&url).await, LinkCause::Unreachable);
        assert_eq!(why("http://no-such-host.invalid/").await, LinkCause::Dns);
    }
}
