//! Opening links to engines: addresses, credentials, and what a failure is called.
//!
//! The call says where it wants to go and never sees a key; here the base URL and the key are added. A refused handshake
//! becomes a [`LinkCause`], which is all that the call needs to decide whether to come back.

use std::sync::Arc;
use std::time::Duration;

use call::LinkRequest;
use call::agent::EngineKind;
use call::journal::LinkCause;
use call::limits::ENGINE_MESSAGE_BYTES_MAX;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio_tungstenite::Connector;
use tokio_tungstenite::tungstenite;
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Request;
use tungstenite::protocol::WebSocketConfig;

use crate::request::{self, Answer, Answered, Post, Rejection};
use crate::socket::{Dialled, READ_BUFFER_BYTES, WRITE_BUFFER_BYTES_MAX};

/// Opening a socket is given up after this, whoever waits for it. The call itself gives up earlier.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// One address of several gets so long before the next is tried.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// The engines that can be dialled.
#[derive(Clone, Debug, Default)]
pub struct Engines {
    /// Hume EVI, if there is a key.
    pub hume: Option<HumeAccess>,
    /// OpenAI Realtime, if there is a key.
    pub openai: Option<OpenAiAccess>,
    /// The cascade, if there is a key for each of its three vendors.
    pub cascade: Option<CascadeAccess>,
}

/// How EVI is reached.
#[derive(Clone, Debug)]
pub struct HumeAccess {
    /// Goes into a header.
    pub api_key: SecretString,
    /// The configuration of calls whose agent names none.
    pub config_id: Option<String>,
    /// `https://api.hume.ai`, or whatever speaks EVI.
    pub base_url: String,
}

/// How OpenAI Realtime is reached.
#[derive(Clone, Debug)]
pub struct OpenAiAccess {
    /// Goes into a header.
    pub api_key: SecretString,
    /// The model of all sessions.
    pub model: String,
    /// `https://api.openai.com/v1`, or whatever speaks Realtime.
    pub base_url: String,
}

/// How the cascade is reached.
#[derive(Clone, Debug)]
pub struct CascadeAccess {
    /// Who hears.
    pub deepgram: VendorAccess,
    /// Who answers.
    pub groq: VendorAccess,
    /// Who speaks.
    pub cartesia: VendorAccess,
}

/// How one vendor of several is reached.
#[derive(Clone, Debug)]
pub struct VendorAccess {
    /// Goes into a header.
    pub api_key: SecretString,
    /// The vendor's own, or whatever speaks its dialect.
    pub base_url: String,
}

impl Engines {
    /// The engines that there are credentials for.
    pub fn credentialed(&self) -> impl Iterator<Item = EngineKind> + '_ {
        EngineKind::ALL.into_iter().filter(|engine| match engine {
            EngineKind::Hume => self.hume.is_some(),
            EngineKind::OpenAi => self.openai.is_some(),
            EngineKind::Cascade => self.cascade.is_some(),
        })
    }

    /// What is asked of whom; a link that was never possible is unreachable.
    fn request(&self, link: &LinkRequest) -> Result<Asked, LinkCause> {
        let cascade = || self.cascade.as_ref().ok_or(LinkCause::Unreachable);
        match link {
            LinkRequest::Hume(connect) => {
                let access = self.hume.as_ref().ok_or(LinkCause::Unreachable)?;
                let mut connect = connect.clone();
                connect.config_id = connect.config_id.or_else(|| access.config_id.clone());
                let url = connect.url(&access.base_url).map_err(|_| LinkCause::Unreachable)?;
                let name = HeaderName::from_bytes(wire::hume::API_KEY_HEADER.as_bytes());
                let value = HeaderValue::from_str(access.api_key.expose_secret());
                socket(url, name.map_err(|_| LinkCause::Unreachable)?, value.ok())
            }
            LinkRequest::OpenAi => {
                let access = self.openai.as_ref().ok_or(LinkCause::Unreachable)?;
                let url = wire::openai::connect::socket_url(&access.base_url, &access.model);
                let bearer = format!("Bearer {}", access.api_key.expose_secret());
                let url = url.map_err(|_| LinkCause::Unreachable)?;
                socket(url, AUTHORIZATION, HeaderValue::from_str(&bearer).ok())
            }
            LinkRequest::Deepgram(listen) => {
                let access = &cascade()?.deepgram;
                let url = listen.url(&access.base_url).map_err(|_| LinkCause::Unreachable)?;
                let key = wire::deepgram::connect::authorization(access.api_key.expose_secret());
                socket(url, HeaderName::from_static(key.name), HeaderValue::from_str(key.value()).ok())
            }
            LinkRequest::Cartesia => {
                let access = &cascade()?.cartesia;
                let url = wire::cartesia::connect::socket_url(&access.base_url).map_err(|_| LinkCause::Unreachable)?;
                let key = wire::cartesia::connect::authorization(access.api_key.expose_secret());
                let key_value = HeaderValue::from_str(key.value()).ok();
                let Asked::Socket(mut request) = socket(url, HeaderName::from_static(key.name), key_value)? else {
                    return Err(LinkCause::Unreachable);
                };
                request.headers_mut().insert(
                    HeaderName::from_static(wire::cartesia::connect::VERSION_HEADER),
                    HeaderValue::from_static(wire::cartesia::connect::VERSION),
                );
                Ok(Asked::Socket(request))
            }
            LinkRequest::Groq(body) => {
                let access = &cascade()?.groq;
                let url = wire::groq::connect::chat_url(&access.base_url).map_err(|_| LinkCause::Unreachable)?;
                let key = wire::groq::connect::authorization(access.api_key.expose_secret());
                let mut value = HeaderValue::from_str(key.value()).map_err(|_| LinkCause::Unreachable)?;
                value.set_sensitive(true);
                Ok(Asked::Answer(Post { url, key: (HeaderName::from_static(key.name), value), body: body.clone() }))
            }
        }
    }
}

/// A request before it is sent: for a socket, or for a streamed answer.
enum Asked {
    Socket(Request),
    Answer(Post),
}

/// An opened link: what its request was answered with.
pub(crate) enum Way {
    /// A socket.
    Socket(Box<Dialled>),
    /// An answer that is coming.
    Answering(Answer),
    /// A refusal with a body.
    Rejected(Rejection),
}

fn socket(url: String, name: HeaderName, value: Option<HeaderValue>) -> Result<Asked, LinkCause> {
    let mut request = url.into_client_request().map_err(|_| LinkCause::Unreachable)?;
    let mut value = value.ok_or(LinkCause::Unreachable)?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(Asked::Socket(request))
}

/// Opens sockets. Certificates are read once.
#[derive(Clone, Debug)]
pub(crate) struct Dialler {
    engines: Engines,
    tls: Arc<rustls::ClientConfig>,
    /// For streamed requests: connections are kept from one to the next.
    http: reqwest::Client,
}

/// The machine has no usable root certificates, so no engine could be trusted.
#[derive(Debug, thiserror::Error)]
#[error("find root certificates on this machine; install the package `ca-certificates`")]
pub struct NoRoots;

impl Dialler {
    /// Reads the machine's root certificates.
    pub(crate) fn new(engines: Engines) -> Result<Self, NoRoots> {
        let mut roots = rustls::RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if added == 0 {
            return Err(NoRoots);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(|_| NoRoots)?;
        let tls = builder.with_root_certificates(roots).with_no_client_auth();
        let http = request::client().map_err(|_| NoRoots)?;
        Ok(Self { engines, tls: Arc::new(tls), http })
    }

    /// Opens a link, within [`DIAL_WITHIN`].
    pub(crate) async fn open(&self, link: &LinkRequest) -> Result<Way, LinkCause> {
        match self.engines.request(link)? {
            Asked::Socket(request) => {
                self.open_request(request, ENGINE_MESSAGE_BYTES_MAX).await.map(|socket| Way::Socket(Box::new(socket)))
            }
            Asked::Answer(post) => {
                let answered = tokio::time::timeout(DIAL_WITHIN, request::post(&self.http, post));
                answered.await.unwrap_or(Err(LinkCause::Timeout)).map(|answered| match answered {
                    Answered::Opened(answer) => Way::Answering(answer),
                    Answered::Rejected(rejection) => Way::Rejected(rejection),
                })
            }
        }
    }

    /// Opens any socket, taking messages of up to so many bytes.
    pub(crate) async fn open_request(&self, request: Request, message_bytes_max: usize) -> Result<Dialled, LinkCause> {
        let opening = async {
            let stream = connect(request.uri()).await?;
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BUFFER_BYTES)
                .write_buffer_size(0)
                .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX.max(message_bytes_max))
                .max_message_size(Some(message_bytes_max))
                .max_frame_size(Some(message_bytes_max));
            let tls = Some(Connector::Rustls(Arc::clone(&self.tls)));
            let opened = tokio_tungstenite::client_async_tls_with_config(request, stream, Some(config), tls).await;
            opened.map(|(socket, _)| socket).map_err(|error| cause(&error))
        };
        tokio::time::timeout(DIAL_WITHIN, opening).await.unwrap_or(Err(LinkCause::Timeout))
    }
}

async fn connect(uri: &http::Uri) -> Result<TcpStream, LinkCause> {
    let host = uri.host().ok_or(LinkCause::Unreachable)?.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("wss") { 443 } else { 80 });
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| LinkCause::Dns)?;
    let mut why = LinkCause::Dns;
    for address in addresses {
        why = match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(address)).await {
            // A frame is small and must not wait for the next one.
            Ok(Ok(stream)) if stream.set_nodelay(true).is_ok() => return Ok(stream),
            Ok(_) => LinkCause::Unreachable,
            Err(_) => LinkCause::Timeout,
        };
    }
    Err(why)
}

/// What a failed handshake is called.
fn cause(error: &tungstenite::Error) -> LinkCause {
    if let tungstenite::Error::Http(answer) = error {
        return LinkCause::Status { status: answer.status().as_u16() };
    }
    let is_tls = if let tungstenite::Error::Io(error) = error {
        error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
    } else {
        matches!(error, tungstenite::Error::Tls(_))
    };
    if is_tls { LinkCause::Tls } else { LinkCause::Unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines() -> Engines {
        Engines {
            hume: Some(HumeAccess {
                api_key: "the-hume-key".into(),
                config_id: Some("c-1".into()),
                base_url: "https://api.hume.ai".into(),
            }),
            openai: Some(OpenAiAccess {
                api_key: "the-openai-key".into(),
                model: "a b".into(),
                base_url: "https://api.openai.com/v1".into(),
            }),
            cascade: Some(CascadeAccess {
                deepgram: vendor("the-deepgram-key", "https://api.deepgram.com"),
                groq: vendor("the-groq-key", "https://api.groq.com"),
                cartesia: vendor("the-cartesia-key", "https://api.cartesia.ai"),
            }),
        }
    }

    fn vendor(api_key: &str, base_url: &str) -> VendorAccess {
        VendorAccess { api_key: api_key.into(), base_url: base_url.into() }
    }

    fn asked(link: &LinkRequest) -> Request {
        match engines().request(link).unwrap() {
            Asked::Socket(request) => request,
            Asked::Answer(_) => panic!("{link:?} is a socket"),
        }
    }

    #[test]
    fn keys_travel_in_headers_and_never_in_addresses() {
        let hume = asked(&LinkRequest::Hume(Box::default()));
        assert_eq!(hume.uri(), "wss://api.hume.ai/v0/evi/chat?config_id=c-1");
        assert_eq!(hume.headers()["x-hume-api-key"], "the-hume-key");
        let openai = asked(&LinkRequest::OpenAi);
        assert_eq!(openai.uri(), "wss://api.openai.com/v1/realtime?model=a%20b");
        assert_eq!(openai.headers()["authorization"], "Bearer the-openai-key");
        let listen = wire::deepgram::connect::Listen::telephone(wire::deepgram::connect::Model::English);
        let deepgram = asked(&LinkRequest::Deepgram(Box::new(listen)));
        let wanted = "wss://api.deepgram.com/v2/listen?model=flux-general-en&encoding=mulaw&sample_rate=8000";
        assert_eq!(deepgram.uri(), wanted);
        assert_eq!(deepgram.headers()["authorization"], "Token the-deepgram-key");
        let cartesia = asked(&LinkRequest::Cartesia);
        assert_eq!(cartesia.uri(), "wss://api.cartesia.ai/tts/websocket");
        assert_eq!(cartesia.headers()["authorization"], "Bearer the-cartesia-key");
        assert_eq!(cartesia.headers()["cartesia-version"], wire::cartesia::connect::VERSION);
        let Asked::Answer(groq) = engines().request(&LinkRequest::Groq("{}".into())).unwrap() else {
            panic!("Groq is asked by a request")
        };
        assert_eq!(groq.url, "https://api.groq.com/openai/v1/chat/completions");
        assert_eq!(groq.key.1, "Bearer the-groq-key");
        let printed = format!("{hume:?} {openai:?} {deepgram:?} {cartesia:?} {:?} {:?}", groq.key, engines());
        for vendor in ["hume", "openai", "deepgram", "groq", "cartesia"] {
            assert!(!printed.contains(&format!("the-{vendor}-key")), "{printed}");
        }
    }

    #[test]
    fn an_agents_own_configuration_goes_first() {
        let connect = wire::hume::connect::Connect { config_id: Some("c-2".into()), ..Default::default() };
        let request = asked(&LinkRequest::Hume(Box::new(connect)));
        assert_eq!(request.uri(), "wss://api.hume.ai/v0/evi/chat?config_id=c-2");
    }

    #[tokio::test]
    async fn a_failure_is_called_what_it_is() {
        let dialler = Dialler::new(Engines::default()).unwrap();
        let open =
            async |url: &str| dialler.open_request(url.into_client_request().unwrap(), 1 << 16).await.unwrap_err();
        assert_eq!(open("ws://no-such-host.invalid/").await, LinkCause::Dns);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            for answer in ["HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", "not TLS at all"] {
                let (stream, _) = listener.accept().await.unwrap();
                stream.readable().await.unwrap();
                stream.try_read(&mut [0; 4096]).unwrap();
                stream.try_write(answer.as_bytes()).unwrap();
            }
        });
        assert_eq!(open(&format!("ws://{address}/")).await, LinkCause::Status { status: 410 });
        assert_eq!(open(&format!("wss://{address}/")).await, LinkCause::Tls);
        server.await.unwrap();
        assert_eq!(open(&format!("ws://{address}/")).await, LinkCause::Unreachable);
        assert_eq!(dialler.open(&LinkRequest::OpenAi).await.err().unwrap(), LinkCause::Unreachable);
    }
}
