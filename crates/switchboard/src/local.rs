//! What only one machine has: choosing who is on the phone while Twilio is simulated.
//!
//! `PUT /local/callees/{number}` says who takes calls to a number, `POST /local/inbound` has somebody call us. Both ask
//! for a token that may place calls, and exist only when Twilio is simulated.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::routing::{post, put};
use axum::{Json, Router};
use functions::Problem;
use functions::door::{People, Role};
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use sim::twilio::Twilio;

use crate::plan::SIMULATED_NUMBER;
use crate::scenario::Scenario;

/// The simulated telephone network, and who may use it.
#[derive(Clone)]
pub struct Phones {
    twilio: Arc<Twilio>,
    people: Arc<People>,
}

/// Who takes calls to a number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalleeIs {
    /// How they behave.
    pub scenario: Scenario,
}

/// Somebody calls us.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbound {
    /// Who.
    pub from: String,
    /// Which of our numbers; without it the one that the simulated account always has.
    #[serde(default)]
    pub to: Option<String>,
    /// How they behave.
    pub scenario: Scenario,
}

/// They are calling.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Calling {
    /// Twilio's id of the call.
    pub twilio_sid: String,
}

/// The routes.
pub fn router(twilio: Arc<Twilio>, people: People) -> Router {
    Router::new()
        .route("/local/callees/{number}", put(callee))
        .route("/local/inbound", post(inbound))
        .with_state(Phones { twilio, people: Arc::new(people) })
}

/// Somebody who may place calls.
struct Operator(Phones);

impl FromRequestParts<Phones> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, phones: &Phones) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let person = header.strip_prefix("Bearer ").and_then(|token| phones.people.by_token(token.trim()));
        match person {
            Some(person) if person.role >= Role::Operator => Ok(Self(phones.clone())),
            Some(_) => Err(Problem::forbidden("role", "Your role does not allow this", "this needs the role operator")),
            None => {
                let detail = "send Authorization: Bearer <token>, with the token of the data directory";
                Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorised", "Who is it?", detail))
            }
        }
    }
}

async fn callee(Operator(phones): Operator, Path(number): Path<String>, Json(callee): Json<CalleeIs>) -> StatusCode {
    phones.twilio.set_callee(&number, callee.scenario.callee());
    StatusCode::NO_CONTENT
}

async fn inbound(Operator(phones): Operator, Json(inbound): Json<Inbound>) -> Result<Json<Calling>, Problem> {
    let to = inbound.to.as_deref().unwrap_or(SIMULATED_NUMBER);
    // Who does not take calls does not make any: a plain booking instead.
    let scenario = match inbound.scenario {
        Scenario::Busy | Scenario::NoAnswer => Scenario::Booking,
        scenario @ (Scenario::Interrupting
        | Scenario::Booking
        | Scenario::Curious
        | Scenario::WrongNumber
        | Scenario::HangsUp
        | Scenario::Silent) => scenario,
    };
    match phones.twilio.place_inbound(&inbound.from, to, scenario.script()) {
        Ok(sid) => Ok(Json(Calling { twilio_sid: sid.to_string() })),
        Err(_) => {
            Err(Problem::invalid("to", format!("the simulated account does not own it; it owns {SIMULATED_NUMBER}")))
        }
    }
}
