//! The node's live socket, from the listener's side: entries of the journal as they are written.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use call::CallId;
use call::journal::Entry;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wire::signed::Secrets;
use wire::token::LiveToken;

/// A socket that follows every call of a node.
pub(crate) struct Live {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// An entry, and whose it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Written {
    pub(crate) call: CallId,
    pub(crate) entry: Entry,
}

impl Live {
    /// Follows all calls of the node at this address (`http://…`).
    pub(crate) async fn follow(node_url: &str, secrets: &Secrets) -> anyhow::Result<Self> {
        let url = format!("{}/live", node_url.replacen("http", "ws", 1));
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.context("failed to open the live socket")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let token = LiveToken::new("this-machine", "viewer", now).mint(secrets);
        for text in [token, r#"{"subscribe":"all"}"#.to_owned()] {
            socket.send(Message::text(text)).await.context("failed to ask for the journal")?;
        }
        Ok(Self { socket })
    }

    /// The next entry; none when the socket is gone.
    pub(crate) async fn next(&mut self) -> Option<Written> {
        loop {
            match self.socket.next().await? {
                Ok(Message::Text(text)) => match serde_json::from_str(text.as_str()) {
                    Ok(written) => return Some(written),
                    Err(error) => tracing::debug!(%error, "something else than an entry came over the live socket"),
                },
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_)) => {}
                Ok(Message::Close(_)) | Err(_) => return None,
            }
        }
    }
}
