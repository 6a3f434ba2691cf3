//! The simulated Twilio, judged over real sockets.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod rest;
mod server;
mod streams;
mod verbs;
mod webhooks;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use server::*;
use sim::phone::{Act, CallerScript, Cue, MarkEnd};
use sim::twilio::{
    CallbackFaults, Callee, Faults, Pickup, RequestAnswer, RequestKind, RestFault, StreamOutcome, Twilio, WebhookFaults,
};
use wire::twilio::form::{CallStatus, Form, StreamCallback, StreamEvent, VoiceRequest};
use wire::twilio::rest::{Answer, CallPage, CallResource, CreateCall, RestError};
use wire::twilio::sid::CallSid;
use wire::twilio::twiml::{Method as TwimlMethod, Webhook};
