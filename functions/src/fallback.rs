//! `/twilio/voice/fallback`: everything else failed.
//!
//! A function of its own, without a table and without a node, so that what took the others down does not reach it. The
//! caller hears one honest sentence while Twilio is sent back once; if that failed too, another one, and the call ends.
//! That it is the second time is told by the URL that failed, which Twilio names: nothing needs to be remembered.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use wire::twilio::ConnectionOverrides;
use wire::twilio::form::VoiceRequest;
use wire::twilio::twiml::{Response, Verb, Webhook};

use crate::connect::{AFTER_DIAL, AGAIN, Twiml};
use crate::door::{Signed, finish};
use crate::sentence::{Ear, Sentence};
use crate::state::FallbackState;

/// The route that needs nothing.
pub fn router(state: FallbackState) -> Router {
    finish(routes(state))
}

pub(crate) fn routes(state: FallbackState) -> Router {
    Router::new().route("/twilio/voice/fallback", get(fallback).post(fallback)).with_state(state)
}

async fn fallback(State(state): State<FallbackState>, signed: Signed<VoiceRequest>) -> Twiml {
    let Signed { callback: request, mention, .. } = signed;
    let failed_url = request.error_url.as_deref().unwrap_or_default();
    let code = request.error_code.unwrap_or_default();
    tracing::error!(call.sid = %request.call_sid, code, "Twilio could not get or understand an answer of ours");
    let ear = Ear::of(&request);
    // What comes after somebody was dialled must never dial them again, so nobody is sent back from there.
    if failed_url.contains(AGAIN) || failed_url.contains(AFTER_DIAL) {
        return Twiml(Sentence::Unavailable.and_goodbye("en", ear));
    }
    let call = mention.call.map(|call| format!("call={call}&")).unwrap_or_default();
    let url = state.webhooks.public.join(&format!("/twilio/voice?{call}{AGAIN}"));
    let back = Webhook::post(ConnectionOverrides::for_twiml().apply(&url));
    Twiml(Response::from([Sentence::Moment.say("en", ear), Verb::Redirect(back), Verb::Hangup]))
}
