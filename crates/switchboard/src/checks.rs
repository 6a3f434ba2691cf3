//! Asking the real services whether they take our credentials: at the start with little patience, for the doctor with
//! more.

use std::time::Duration;

use clients::{BaseUrl, ClientError, Gemini, GeminiError, Hume, HumeAccess};
use functions::judge::Judge;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::plan::{Plan, Service, Settings};
use crate::problem::Problem;

/// A service that has not answered by then is not waited for: the machine may be offline, and much works without it.
const PATIENCE: Duration = Duration::from_secs(4);

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, or nobody knows, and a person should look at it.
    Doubtful,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// In words.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl Check {
    /// It is as it should be.
    #[must_use]
    pub fn good(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Good, found: found.into(), remedy: None }
    }

    /// A person should look at it.
    #[must_use]
    pub fn doubtful(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Doubtful, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// It does not work.
    #[must_use]
    pub fn bad(what: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Bad, found: found.into(), remedy: Some(remedy.into()) }
    }

    /// What keeps the program from starting; none for what only deserves a look.
    #[must_use]
    pub fn as_problem(&self) -> Option<Problem> {
        let remedy = self.remedy.clone().unwrap_or_default();
        (self.verdict == Verdict::Bad).then(|| Problem::new(&self.what, format!("do not work: {}", self.found), remedy))
    }
}

/// Asks every real service, all at once.
pub async fn credentials(plan: &Plan, settings: &Settings) -> Vec<Check> {
    let environment = &plan.environment;
    let key = |name: &str| environment.get(name).map(|text| SecretString::from(text.to_owned()));
    let url = |name: &str, default: &str| environment.get(name).unwrap_or(default).to_owned();
    let twilio = async {
        match plan.twilio {
            Service::Real => Some(twilio(settings).await),
            Service::Simulated | Service::LeftOut => None,
        }
    };
    let hume = async {
        match (plan.hume, key("HUME_API_KEY")) {
            (Service::Real, Some(key)) => Some(hume(&url("HUME_BASE_URL", Hume::BASE_URL), key).await),
            (Service::Real | Service::Simulated | Service::LeftOut, _) => None,
        }
    };
    let openai = async {
        match (plan.openai, key("OPENAI_API_KEY")) {
            (Service::Real, Some(key)) => {
                let base = url("OPENAI_BASE_URL", wire::openai::connect::DEFAULT_BASE_URL);
                Some(models(&OPENAI, &format!("{}/models", base.trim_end_matches('/')), &key).await)
            }
            (Service::Real | Service::Simulated | Service::LeftOut, _) => None,
        }
    };
    // Of the cascade's vendors only Groq can be asked without speaking.
    let groq = async {
        match (plan.cascade, key("GROQ_API_KEY")) {
            (Service::Real, Some(key)) => {
                let base = url("GROQ_BASE_URL", wire::groq::connect::DEFAULT_BASE_URL);
                let url = format!("{}{}", base.trim_end_matches('/'), wire::groq::connect::MODELS_PATH);
                Some(models(&GROQ, &url, &key).await)
            }
            (Service::Real | Service::Simulated | Service::LeftOut, _) => None,
        }
    };
    let gemini = async {
        match &settings.judge {
            Judge::Gemini(client) => Some(gemini(client).await),
            Judge::LocalRule => None,
        }
    };
    let (twilio, hume, openai, groq, gemini) = tokio::join!(twilio, hume, openai, groq, gemini);
    [twilio, hume, openai, groq, gemini].into_iter().flatten().collect()
}

async fn twilio(settings: &Settings) -> Check {
    const WHAT: &str = "Twilio's credentials";
    const OFFLINE: &str = "check this machine's network; TWILIO_BASE_URL, if it is set, must be reachable too";
    let Ok(client) = settings.twilio.clone().client() else {
        return Check::doubtful(WHAT, "could not be checked: no HTTP client", "look at this machine's certificates");
    };
    let asked = tokio::time::timeout(PATIENCE, client.with_timeout(PATIENCE).fetch_account()).await;
    match asked {
        Ok(Ok(account)) => match account.status.as_deref() {
            Some("active") | None => {
                let trial = if account.kind.as_deref() == Some("Trial") {
                    "; a trial account calls verified numbers only"
                } else {
                    ""
                };
                Check::good(WHAT, format!("accepted{trial}"))
            }
            Some(status) => {
                Check::bad(WHAT, format!("the account is {status}"), "look at the account in Twilio's console")
            }
        },
        Ok(Err(ClientError::Refused(error))) if matches!(error.status, 401 | 403 | 404) => Check::bad(
            WHAT,
            format!("Twilio does not accept them (HTTP {})", error.status),
            "compare TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or the API key and its secret) with Twilio's console",
        ),
        Ok(Err(error)) => Check::doubtful(WHAT, format!("could not be checked: {error}"), OFFLINE),
        Err(_) => Check::doubtful(WHAT, "could not be checked: no answer in time", OFFLINE),
    }
}

async fn hume(base: &str, key: SecretString) -> Check {
    const WHAT: &str = "Hume's credentials";
    let client = base.parse::<BaseUrl>().ok().and_then(|base| Hume::new(base, key).ok());
    let Some(client) = client else {
        return Check::doubtful(WHAT, "could not be checked", "HUME_BASE_URL must be an https:// address");
    };
    match tokio::time::timeout(PATIENCE, client.check()).await {
        Ok(HumeAccess::Granted) => Check::good(WHAT, "accepted"),
        Ok(access @ (HumeAccess::BadKey | HumeAccess::Forbidden)) => {
            Check::bad(WHAT, access.to_string(), "compare HUME_API_KEY with Hume's portal, or leave it out")
        }
        Ok(access @ HumeAccess::Gone) => {
            // EVI itself may be gone for good: calls then begin with the next engine.
            Check::doubtful(
                WHAT,
                access.to_string(),
                "calls go to the agent's next engine; or set HUME_BASE_URL to something that speaks EVI",
            )
        }
        Ok(access) => Check::doubtful(WHAT, access.to_string(), "calls go to the agent's next engine meanwhile"),
        Err(_) => Check::doubtful(
            WHAT,
            "no answer in time",
            "check this machine's network; calls go to the agent's next engine meanwhile",
        ),
    }
}

/// Who judges calls. Calls go on without, so only a key that is wrong for sure is in the way.
async fn gemini(client: &Gemini) -> Check {
    const WHAT: &str = "Gemini's credentials";
    const LATER: &str = "check this machine's network and GEMINI_BASE_URL; a call is judged when Gemini answers";
    let model = client.model();
    match client.clone().with_timeout(PATIENCE).check().await {
        Ok(()) => Check::good(WHAT, format!("accepted; {model} judges calls")),
        Err(GeminiError::Refused(error))
            if matches!(error.code, 401 | 403) || error.reason() == Some("API_KEY_INVALID") =>
        {
            Check::bad(
                WHAT,
                format!("Gemini does not accept the key (HTTP {})", error.code),
                "compare GEMINI_API_KEY with Google AI Studio, or leave it out: the local rule judges then",
            )
        }
        Err(GeminiError::Refused(error)) if error.status == "NOT_FOUND" => Check::doubtful(
            WHAT,
            format!("there is no model {model}: every call will be unclear"),
            format!("set GEMINI_MODEL to one that there is, or leave it out for {}", Gemini::MODEL),
        ),
        Err(error @ GeminiError::BadKey) => Check::bad(WHAT, error.to_string(), "look at GEMINI_API_KEY"),
        Err(
            error @ (GeminiError::Refused(_)
            | GeminiError::Timeout
            | GeminiError::NoAnswer(_)
            | GeminiError::Unreadable),
        ) => Check::doubtful(WHAT, format!("could not be checked: {error}"), LATER),
    }
}

/// A vendor whose list of models needs its key and costs nothing.
struct Lister {
    name: &'static str,
    what: &'static str,
    prefix: &'static str,
    page: &'static str,
}

const OPENAI: Lister =
    Lister { name: "OpenAI", what: "OpenAI's credentials", prefix: "OPENAI", page: "OpenAI's platform page" };

const GROQ: Lister = Lister { name: "Groq", what: "Groq's credentials", prefix: "GROQ", page: "Groq's console" };

async fn models(vendor: &Lister, url: &str, key: &SecretString) -> Check {
    let Lister { name, what, prefix, page } = *vendor;
    let asked = async {
        let client =
            reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        client.get(url).bearer_auth(key.expose_secret()).send().await.map(|response| response.status().as_u16())
    };
    match asked.await {
        Ok(200..=299) => Check::good(what, "accepted"),
        Ok(status @ (401 | 403)) => Check::bad(
            what,
            format!("{name} does not accept them (HTTP {status})"),
            format!("compare {prefix}_API_KEY with {page}, or leave it out"),
        ),
        Ok(status) => {
            Check::doubtful(what, format!("could not be checked (HTTP {status})"), "calls are tried all the same")
        }
        // The error may name the whole address, and no more is known of it than this.
        Err(_) => Check::doubtful(
            what,
            "no answer",
            format!("check this machine's network and {prefix}_BASE_URL; calls are tried all the same"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_for_sure_keeps_the_program_from_starting() {
        assert!(Check::good("a", "b").as_problem().is_none());
        assert!(Check::doubtful("a", "b", "c").as_problem().is_none());
        let problem = Check::bad("Twilio's credentials", "HTTP 401", "compare them").as_problem().unwrap();
        assert_eq!((problem.name.as_str(), problem.remedy.as_str()), ("Twilio's credentials", "compare them"));
    }
}
