//! Stand-ins for the services that nobody has credentials for, each behind a real socket on this machine.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sim::cartesia::CartesiaConfig;
use sim::deepgram::DeepgramConfig;
use sim::evi::EviConfig;
use sim::evi::fault::Faults;
use sim::groq::GroqConfig;
use sim::openai::OpenAiConfig;
use sim::twilio::{OwnedNumber, Twilio, TwilioConfig};
use sim::{cartesia, deepgram, evi, groq, line, openai};
use wire::twilio::AccountSid;
use wire::twilio::sid::PhoneNumberSid;
use wire::twilio::twiml::{Method, Webhook};

use crate::plan::{Plan, SIMULATED_NUMBER, Service};
use crate::scenario::Scenario;
use crate::secrets::random_text;

/// The simulators that run.
pub struct Simulators {
    /// Twilio, with who is on the phone.
    pub twilio: Option<Arc<Twilio>>,
    evi: Option<evi::server::Handle>,
    openai: Option<openai::server::Handle>,
    cascade: Option<Cascade>,
}

/// The cascade's three vendors.
struct Cascade {
    deepgram: line::server::Handle<deepgram::Deepgram>,
    groq: groq::server::Handle,
    cartesia: line::server::Handle<cartesia::Cartesia>,
}

impl std::fmt::Debug for Simulators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulators")
            .field("twilio", &self.twilio.is_some())
            .field("evi", &self.evi.is_some())
            .field("openai", &self.openai.is_some())
            .field("cascade", &self.cascade.is_some())
            .finish()
    }
}

impl Simulators {
    /// Starts what the plan says, and fills the ways there into it. The plan's own address must be filled in already:
    /// the simulated Twilio calls us there. It owns `numbers` beside its own.
    ///
    /// # Errors
    ///
    /// This machine has no port or no randomness left.
    pub async fn start(plan: &mut Plan, numbers: &[String]) -> std::io::Result<Self> {
        let twilio = match plan.twilio {
            Service::Simulated => Some(start_twilio(plan, numbers).await?),
            Service::Real | Service::LeftOut => None,
        };
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let evi = match plan.hume {
            Service::Simulated => {
                let starts_at_unix_ms = i64::try_from(unix.as_millis()).unwrap_or_default();
                let config = EviConfig { keep_audio: false, starts_at_unix_ms, ..lively() };
                let handle = evi::server::start(config, Faults::none(), seed()?).await?;
                plan.fill_engine("HUME", &handle.url);
                Some(handle)
            }
            Service::Real | Service::LeftOut => None,
        };
        let openai = match plan.openai {
            Service::Simulated => {
                let config =
                    OpenAiConfig { keep_audio: false, starts_at_unix_s: unix.as_secs(), ..OpenAiConfig::default() };
                let handle = openai::server::start(config, Faults::none(), seed()?).await?;
                plan.fill_engine("OPENAI", &handle.url);
                Some(handle)
            }
            Service::Real | Service::LeftOut => None,
        };
        let cascade = match plan.cascade {
            Service::Simulated => {
                let cascade = Cascade::start(unix.as_secs()).await?;
                plan.fill_engine("DEEPGRAM", &cascade.deepgram.url);
                plan.fill_engine("GROQ", &cascade.groq.url);
                plan.fill_engine("CARTESIA", &cascade.cartesia.url);
                Some(cascade)
            }
            Service::Real | Service::LeftOut => None,
        };
        Ok(Self { twilio, evi, openai, cascade })
    }
}

impl Cascade {
    async fn start(created_unix_s: u64) -> std::io::Result<Self> {
        let groq = GroqConfig { created_unix_s, ..GroqConfig::default() };
        Ok(Self {
            deepgram: deepgram::start(DeepgramConfig::default(), Faults::none(), seed()?).await?,
            groq: groq::server::start(groq, Faults::none(), seed()?).await?,
            cartesia: cartesia::start(CartesiaConfig::default(), Faults::none(), seed()?).await?,
        })
    }
}

/// An account whose turn-taking is quick, all within what EVI's configuration allows: a caller who cuts in is heard
/// before the agent's short sentences are through.
fn lively() -> EviConfig {
    EviConfig {
        end_of_turn_silence: Duration::from_millis(600),
        min_interruption: Duration::from_millis(300),
        speed: 2,
        chunks_per_sentence: 4,
        ..EviConfig::default()
    }
}

async fn start_twilio(plan: &mut Plan, numbers: &[String]) -> std::io::Result<Arc<Twilio>> {
    let base = plan.environment.get("PUBLIC_BASE_URL").unwrap_or_default().trim_end_matches('/').to_owned();
    let webhook = |path: &str| Some(Webhook { url: format!("{base}{path}"), method: Method::Post });
    // Ids repeat with the seed, and the store outlives this run.
    let account_sid = AccountSid::from_number(1);
    let mut config = TwilioConfig::new(account_sid, random_text(16)?, seed()?);
    let mut owned = vec![SIMULATED_NUMBER.to_owned()];
    owned.extend(numbers.iter().filter(|number| *number != SIMULATED_NUMBER).cloned());
    config.numbers = (1..)
        .zip(owned)
        .map(|(n, phone_number)| OwnedNumber {
            sid: PhoneNumberSid::from_number(n),
            phone_number,
            voice: webhook("/twilio/voice"),
            voice_fallback: webhook("/twilio/voice/fallback"),
            status_callback: webhook("/twilio/status"),
        })
        .collect();
    config.default_callee = Scenario::default().callee();
    let (account, token) = (account_sid.to_string(), config.auth_token.clone());
    let twilio = Twilio::start(config).await?;
    plan.fill_twilio(&account, &token, &twilio.base_url().unwrap_or_default());
    Ok(Arc::new(twilio))
}

fn seed() -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(u64::from_le_bytes(bytes))
}
