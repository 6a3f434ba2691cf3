//! Twilio's REST interface: placing, changing and finding calls, and the numbers an account owns.
//!
//! Placing a call is not idempotent at Twilio (Twilio: voice/api/call-resource), so it is sent once and its outcome has
//! four kinds, one of which is that nobody knows ([`Placed::Unknown`]): the caller then looks for the call with
//! [`Twilio::list_calls`] before anything else. Everything else may be repeated and is.

use std::fmt;
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wire::twilio::rest::{
    API_VERSION, CallPage, CallResource, CreateCall, IncomingPhoneNumber, IncomingPhoneNumberPage, ListCalls,
    RestError, UpdateCall, UpdateIncomingPhoneNumber,
};
use wire::twilio::{AccountSid, CallSid, Form, PhoneNumberSid};

use crate::BaseUrl;
use crate::transport::{Answer, NoAnswer, SetupError, Transport};

/// The most pages of a list that are read: with Twilio's default of 50 to a page, 500 entries.
const PAGES_MAX: usize = 10;

/// Who we are to Twilio. Neither kind prints its secret.
#[derive(Clone)]
pub enum Credentials {
    /// The account's auth token.
    AuthToken(SecretString),
    /// An API key, which can be restricted and revoked by itself: the better choice.
    ApiKey {
        /// `SK…`.
        sid: String,
        /// Its secret.
        secret: SecretString,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthToken(_) => "AuthToken([redacted])",
            Self::ApiKey { .. } => "ApiKey([redacted])",
        })
    }
}

/// A client for one account.
#[derive(Clone, Debug)]
pub struct Twilio {
    transport: Transport,
    account: AccountSid,
    credentials: Credentials,
}

/// What became of a request to place a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// Twilio has taken it.
    Created(Box<CallResource>),
    /// Twilio will not dial. A redirect is a refusal too: nothing of Twilio's answers at the configured address.
    Refused(RestError),
    /// It was not sent: nothing has happened, and it may be tried again.
    NotSent(NoAnswer),
    /// It was sent, and may or may not have been done. It must not be sent again before the call has been looked for.
    Unknown(ClientError),
}

/// Why a request was not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Twilio answered with an error.
    #[error("Twilio refuses: {0}")]
    Refused(RestError),
    /// Nobody answered.
    #[error("Twilio does not answer: {0}")]
    NoAnswer(NoAnswer),
    /// Twilio answered with success, and with something else than it should.
    #[error("Twilio's answer (HTTP {status}) cannot be read")]
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
}

/// Entries of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// In Twilio's order: the newest first.
    pub entries: Vec<T>,
    /// Whether these are all. If not, that something is not among them proves nothing.
    pub complete: bool,
}

/// The account itself (Twilio: iam/api/account).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// Its id.
    pub sid: AccountSid,
    /// Its name, chosen by its owner.
    #[serde(default)]
    pub friendly_name: Option<String>,
    /// `active`, `suspended` or `closed`.
    #[serde(default)]
    pub status: Option<String>,
    /// `Full` or `Trial`. A trial account calls verified numbers only.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

impl Twilio {
    /// Where Twilio is, unless configured otherwise.
    pub const BASE_URL: &str = "https://api.twilio.com";

    /// A client for one account.
    ///
    /// # Errors
    ///
    /// The HTTP client cannot be made.
    pub fn new(base: BaseUrl, account: AccountSid, credentials: Credentials) -> Result<Self, SetupError> {
        Ok(Self { transport: Transport::new(base)?, account, credentials })
    }

    /// The same client, whose tries last at most so long instead of [`TIMEOUT`](crate::transport::TIMEOUT).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { transport: self.transport.with_timeout(timeout), ..self }
    }

    /// Asks Twilio to place a call. Sent once, whatever happens.
    pub async fn create_call(&self, call: &CreateCall) -> Placed {
        let request = self.form(self.transport.post(&self.path("Calls")), &call.to_form());
        let answer = match self.transport.send(request).await {
            Ok(answer) => answer,
            Err(reason) if reason.may_have_arrived() => return Placed::Unknown(ClientError::NoAnswer(reason)),
            Err(reason) => return Placed::NotSent(reason),
        };
        match read(&answer) {
            Ok(call) => Placed::Created(Box::new(call)),
            // A gateway's 5xx says nothing about what happened behind it, and neither does its 408.
            Err(ClientError::Refused(error)) if answer.status < 500 && answer.status != 408 => Placed::Refused(error),
            Err(error) => Placed::Unknown(error),
        }
    }

    /// Changes a call under way: other TwiML, cancel, or end it. A call that has ended already is refused with
    /// [`INVALID_CALL_STATE`](wire::twilio::rest::code::INVALID_CALL_STATE).
    ///
    /// # Errors
    ///
    /// Refused, not answered, or not readable.
    pub async fn update_call(&self, call: CallSid, change: &UpdateCall) -> Result<CallResource, ClientError> {
        self.post_form(&self.path(&format!("Calls/{call}")), &change.to_form()).await
    }

    /// Reads a call.
    ///
    /// # Errors
    ///
    /// Refused, not answered, or not readable.
    pub async fn fetch_call(&self, call: CallSid) -> Result<CallResource, ClientError> {
        self.get(&self.path(&format!("Calls/{call}"))).await
    }

    /// Finds calls.
    ///
    /// # Errors
    ///
    /// Refused, not answered, or not readable.
    pub async fn list_calls(&self, search: &ListCalls) -> Result<Listing<CallResource>, ClientError> {
        self.list("Calls", &search.to_query(), |page: CallPage| (page.calls, page.next_page_uri)).await
    }

    /// The account's numbers; with `number` (E.164), that one if the account owns it.
    ///
    /// # Errors
    ///
    /// Refused, not answered, or not readable.
    pub async fn list_numbers(&self, number: Option<&str>) -> Result<Listing<IncomingPhoneNumber>, ClientError> {
        let mut query = Form::new();
        query.push_some("PhoneNumber", number);
        self.list("IncomingPhoneNumbers", &query, |page: IncomingPhoneNumberPage| {
            (page.incoming_phone_numbers, page.next_page_uri)
        })
        .await
    }

    /// Changes where a number sends its calls.
    ///
    /// # Errors
    ///
    /// Refused, not answered, or not readable.
    pub async fn update_number(
        &self,
        number: PhoneNumberSid,
        change: &UpdateIncomingPhoneNumber,
    ) -> Result<IncomingPhoneNumber, ClientError> {
        self.post_form(&self.path(&format!("IncomingPhoneNumbers/{number}")), &change.to_form()).await
    }

    /// Reads the account: whether the credentials are good, and the account active.
    ///
    /// # Errors
    ///
    /// Refused, not answered, or not readable.
    pub async fn fetch_account(&self) -> Result<Account, ClientError> {
        self.get(&format!("/{API_VERSION}/Accounts/{}.json", self.account)).await
    }

    async fn list<P: DeserializeOwned, T>(
        &self,
        resource: &str,
        query: &Form,
        entries: impl Fn(P) -> (Vec<T>, Option<String>),
    ) -> Result<Listing<T>, ClientError> {
        let first = self.path(resource);
        let mut path = if query.is_empty() { first.clone() } else { format!("{first}?{}", query.encode()) };
        let mut listing = Listing { entries: Vec::new(), complete: false };
        for _ in 0..PAGES_MAX {
            let (page, next) = entries(self.get(&path).await?);
            listing.entries.extend(page);
            let Some(next) = next.filter(|next| !next.is_empty()) else {
                listing.complete = true;
                return Ok(listing);
            };
            // The next page is looked for at the same address, whatever host the answer may name: credentials go with it.
            let Some(query) = next.split_once('?').map(|(_, query)| query) else { return Ok(listing) };
            path = format!("{first}?{query}");
        }
        Ok(listing)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = |transport: &Transport| self.authorised(transport.get(path));
        read(&self.transport.send_repeatably(request).await.map_err(ClientError::NoAnswer)?)
    }

    async fn post_form<T: DeserializeOwned>(&self, path: &str, form: &Form) -> Result<T, ClientError> {
        let request = |transport: &Transport| self.form(transport.post(path), form);
        read(&self.transport.send_repeatably(request).await.map_err(ClientError::NoAnswer)?)
    }

    fn form(&self, request: RequestBuilder, form: &Form) -> RequestBuilder {
        self.authorised(request).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.encode())
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::AuthToken(token) => request.basic_auth(self.account.as_str(), Some(token.expose_secret())),
            Credentials::ApiKey { sid, secret } => request.basic_auth(sid, Some(secret.expose_secret())),
        }
    }

    fn path(&self, resource: &str) -> String {
        format!("/{API_VERSION}/Accounts/{}/{resource}.json", self.account)
    }
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, ClientError> {
    if !answer.is_success() {
        return Err(ClientError::Refused(RestError::from_answer(answer.status, &answer.body)));
    }
    serde_json::from_slice(&answer.body).map_err(|_| ClientError::Unreadable { status: answer.status })
}
