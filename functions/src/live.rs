//! `POST /v1/live`: where a dashboard follows calls as they happen.
//!
//! The journal of a live call is at its node, so a dashboard listens to each node. A token is good for a minute, long
//! enough to open the sockets; it travels as a socket's first message, never in a URL.

use axum::Json;
use serde::Serialize;
use store::Moment;
use wire::token::{LIFETIME_S, LiveToken};

use crate::door::{Api, Viewer};
use crate::problem::Problem;
use crate::public_url::PublicUrl;

#[derive(Debug, Serialize)]
pub(crate) struct Live {
    nodes: Vec<LiveNode>,
    token: String,
    expires_at: Moment,
}

#[derive(Debug, Serialize)]
struct LiveNode {
    node: String,
    url: String,
}

pub(crate) async fn open(api: Api<Viewer>) -> Result<Json<Live>, Problem> {
    let now = api.store.now();
    let nodes = api.nodes.living().await?.into_iter();
    let nodes = nodes.map(|node| LiveNode { url: live_url(&api.media, &node.name), node: node.name });
    let token = LiveToken::new(&api.person.name, api.person.role.as_str(), now.as_ms() / 1_000);
    Ok(Json(Live {
        nodes: nodes.collect(),
        token: token.mint(&api.secrets),
        expires_at: Moment::from_ms((now.as_ms() / 1_000 + LIFETIME_S) * 1_000),
    }))
}

/// Beside the media streams: `…/media-stream` becomes `…/live`. Which node is meant stands in the query.
fn live_url(media: &PublicUrl, node: &str) -> String {
    let media = media.to_string();
    let base = media.strip_suffix("/media-stream").unwrap_or(&media);
    format!("{base}/live?node={node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_socket_is_beside_the_media_streams() {
        let media: PublicUrl = "wss://media.example.com/media-stream".parse().unwrap();
        assert_eq!(live_url(&media, "node-a"), "wss://media.example.com/live?node=node-a");
    }
}
