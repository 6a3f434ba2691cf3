//! The API's routes in one list, and everything mounted together for one machine.

use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method};

use crate::door::finish;
use crate::state::{ApiState, FallbackState, StatusState, VoiceState};
use crate::{
    analytics, calls, catalog, dashboard, export, fallback, held, latency, live, openapi, outcome, parts, place,
    services, session, status, steer, voice,
};

/// What the program for one machine mounts.
#[derive(Clone, Debug)]
pub struct All {
    /// `/twilio/voice`, `/twilio/voice/next`.
    pub voice: VoiceState,
    /// `/twilio/voice/fallback`.
    pub fallback: FallbackState,
    /// `/twilio/status`, `/twilio/stream`, `/hume/webhook`.
    pub status: StatusState,
    /// `/v1`, `/openapi.json`.
    pub api: ApiState,
}

/// Every route of the control plane. To put more beside them (the node's), merge this into a router
/// that has no fallback of its own.
pub fn all(state: All) -> Router {
    let routes = voice::routes(state.voice).merge(fallback::routes(state.fallback));
    let routes = routes.merge(status::routes(state.status)).merge(api_routes(state.api));
    finish(routes)
}

/// The API alone.
pub fn router(state: ApiState) -> Router {
    finish(api_routes(state))
}

fn api_routes(state: ApiState) -> Router {
    let routes = Routes::all().router.layer(axum::middleware::map_response(private));
    routes.merge(dashboard::routes()).with_state(state)
}

/// What a call says is nobody's to keep or to guess at.
async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    response
}

/// Routes that know their own names, so that the API's description can be compared with them.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<ApiState>,
    pub(crate) names: Vec<(Method, &'static str)>,
}

impl Routes {
    pub(crate) fn all() -> Self {
        Self::default()
            .on(Method::GET, "/openapi.json", description)
            .on(Method::GET, "/v1/session", session::show)
            .on(Method::POST, "/v1/session", session::sign_in)
            .on(Method::DELETE, "/v1/session", session::sign_out)
            .on(Method::POST, "/v1/live", live::open)
            .on(Method::GET, "/v1/calls", calls::list)
            .on(Method::POST, "/v1/calls", place::place)
            .on(Method::GET, "/v1/calls/{id}", calls::show)
            .on(Method::DELETE, "/v1/calls/{id}", calls::erase)
            .on(Method::GET, "/v1/calls/{id}/transcript", parts::transcript)
            .on(Method::GET, "/v1/calls/{id}/journal", parts::journal)
            .on(Method::GET, "/v1/calls/{id}/recording", parts::recording)
            .on(Method::HEAD, "/v1/calls/{id}/recording", parts::recording_head)
            .on(Method::GET, "/v1/calls/{id}/waveform", parts::waveform)
            .on(Method::POST, "/v1/calls/{id}/hangup", steer::hang_up)
            .on(Method::POST, "/v1/calls/{id}/transfer", steer::transfer)
            .on(Method::POST, "/v1/calls/{id}/say", steer::say)
            .on(Method::POST, "/v1/calls/{id}/instructions", steer::instruct)
            .on(Method::PUT, "/v1/calls/{id}/outcome", outcome::correct)
            .on(Method::POST, "/v1/calls/{id}/analyze", outcome::analyze)
            .on(Method::GET, "/v1/calls/{id}/access", held::access)
            .on(Method::GET, "/v1/access", held::sweeps)
            .on(Method::GET, "/v1/numbers/{number}", held::export)
            .on(Method::DELETE, "/v1/numbers/{number}", held::erase)
            .on(Method::GET, "/v1/calls/{id}/latency", latency::of_call)
            .on(Method::GET, "/v1/latency", latency::of_days)
            .on(Method::GET, "/v1/latency/bottlenecks", latency::bottlenecks)
            .on(Method::GET, "/v1/export", export::export)
            .on(Method::GET, "/v1/analytics", analytics::analytics)
            .on(Method::GET, "/v1/agents", catalog::agents)
            .on(Method::GET, "/v1/agents/{name}", catalog::agent)
            .on(Method::GET, "/v1/agents/{name}/versions/{version}", catalog::agent_version)
            .on(Method::PUT, "/v1/agents/{name}", catalog::save)
            .on(Method::POST, "/v1/agents/validate", catalog::validate)
            .on(Method::GET, "/v1/engines", catalog::engines)
            .on(Method::GET, "/v1/services", services::show)
            .on(Method::GET, "/v1/nodes", catalog::nodes)
            .on(Method::GET, "/v1/work", catalog::work)
            .on(Method::POST, "/v1/work/{id}/retry", catalog::retry)
    }

    fn on<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, ApiState>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("invariant: methods here are standard ones");
        self.router = self.router.route(path, on(filter, handler));
        self.names.push((method, path));
        self
    }
}

async fn description() -> impl IntoResponse {
    Json(openapi::description())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_route_and_no_other() {
        let routes: BTreeSet<String> =
            Routes::all().names.iter().map(|(method, path)| format!("{method} {path}")).collect();
        let mut described = BTreeSet::new();
        let description = openapi::description();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        assert_eq!(routes, described);
    }
}
