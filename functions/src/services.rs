//! `GET /v1/services`: what this installation works with, and what of it is real.

use axum::Json;
use call::agent::{EngineKind, Installation};
use serde::Serialize;

use crate::door::{Api, Viewer};
use crate::problem::Problem;

/// Something that calls need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Its name, as a person knows it.
    pub name: String,
    /// Whether it is real.
    pub state: ServiceState,
    /// How we know, or what to do to change it. No secret.
    pub detail: String,
}

/// Whether a service is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// The vendor's own.
    Real,
    /// For lack of credentials.
    Simulated,
    /// In this process.
    Embedded,
    /// A rule instead of a model.
    LocalRule,
    /// Not used, for lack of credentials.
    LeftOut,
    /// Others hold its credentials and do not tell.
    Unknown,
}

/// What is known where nothing is simulated: the nodes hold the engines' credentials.
pub(crate) fn services(installation: &Installation) -> Vec<Service> {
    let service = |name: &str, state, detail: &str| Service { name: name.into(), state, detail: detail.into() };
    let engine = |engine: EngineKind| {
        let name = match engine {
            EngineKind::Hume => "Hume EVI",
            EngineKind::OpenAi => "OpenAI Realtime",
            EngineKind::Cascade => "Deepgram, Groq, Cartesia",
        };
        match &installation.engines {
            None => service(name, ServiceState::Unknown, "the media nodes hold the credentials; name those in ENGINES"),
            Some(engines) if engines.contains(&engine) => {
                service(name, ServiceState::Real, "named in ENGINES; the media nodes hold the credentials")
            }
            Some(_) => service(name, ServiceState::LeftOut, "not named in ENGINES"),
        }
    };
    let mut services = vec![service("Twilio", ServiceState::Real, "the account of TWILIO_ACCOUNT_SID")];
    services.extend(EngineKind::ALL.map(engine));
    services.push(service("Gemini", ServiceState::Unknown, "the worker holds the key; verdicts name who judged"));
    services.push(service("Store", ServiceState::Real, "DynamoDB and S3"));
    services
}

#[derive(Debug, Serialize)]
pub(crate) struct ServicesShown {
    services: Vec<Service>,
}

pub(crate) async fn show(api: Api<Viewer>) -> Result<Json<ServicesShown>, Problem> {
    Ok(Json(ServicesShown { services: api.services.clone() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_told_us_is_not_called_real() {
        let state = |installation: &Installation, name: &str| {
            services(installation).into_iter().find(|service| service.name == name).unwrap().state
        };
        assert_eq!(state(&Installation::default(), "Hume EVI"), ServiceState::Unknown);
        let told = Installation { engines: Some(vec![EngineKind::OpenAi]), ..Installation::default() };
        assert_eq!(state(&told, "Hume EVI"), ServiceState::LeftOut);
        assert_eq!(state(&told, "OpenAI Realtime"), ServiceState::Real);
    }
}
