//! Where our number sends its calls, compared with where it should, and set right if asked to.

use clients::Twilio;
use functions::PublicUrl;
use wire::twilio::ConnectionOverrides;
use wire::twilio::rest::{IncomingPhoneNumber, UpdateIncomingPhoneNumber};
use wire::twilio::twiml::{Method, Webhook};

use crate::checks::Check;
use crate::terminal::short_number;

const FIX: &str = "cargo run -- doctor --fix";

/// Where a number's calls shall go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    voice: Webhook,
    fallback: Webhook,
    status: Webhook,
}

impl Wanted {
    fn at(public: &PublicUrl) -> Self {
        let post = |url| Webhook { url, method: Method::Post };
        Self {
            voice: post(ConnectionOverrides::for_twiml().apply(&public.join("/twilio/voice"))),
            fallback: post(ConnectionOverrides::for_twiml().apply(&public.join("/twilio/voice/fallback"))),
            status: post(ConnectionOverrides::for_callback().apply(&public.join("/twilio/status"))),
        }
    }

    fn change(&self) -> UpdateIncomingPhoneNumber {
        UpdateIncomingPhoneNumber {
            voice: Some(self.voice.clone()),
            voice_fallback: Some(self.fallback.clone()),
            status_callback: Some(self.status.clone()),
        }
    }

    fn compare(&self, number: &IncomingPhoneNumber) -> Vec<Check> {
        let compare = |what: &str, wanted: &Webhook, url: Option<&str>, method: Option<&str>| {
            let method = method.and_then(Method::parse).unwrap_or_default();
            let asks = wanted.url.split('#').next().unwrap_or_default();
            match url.filter(|url| !url.is_empty()) {
                Some(url) if url == wanted.url && method == wanted.method => Check::good(what, url.to_owned()),
                Some(url) if url.split('#').next() == Some(asks) && method == wanted.method => {
                    Check::doubtful(what, format!("{url}: leads here, but not with our time-outs and retries"), FIX)
                }
                Some(url) => Check::bad(what, format!("{url} ({})", method.as_str()), FIX),
                None => Check::bad(what, "is not set", FIX),
            }
        };
        vec![
            compare("Voice URL", &self.voice, number.voice_url.as_deref(), number.voice_method.as_deref()),
            compare(
                "Fallback URL",
                &self.fallback,
                number.voice_fallback_url.as_deref(),
                number.voice_fallback_method.as_deref(),
            ),
            compare(
                "Status callback",
                &self.status,
                number.status_callback.as_deref(),
                number.status_callback_method.as_deref(),
            ),
        ]
    }
}

/// Looks at the number; with `fix`, sets it right first. Without a public address only whether the number is ours.
pub(super) async fn check(client: &Twilio, our_number: &str, public: Option<&PublicUrl>, fix: bool) -> Vec<Check> {
    let what = format!("Number {}", short_number(our_number));
    let number = match client.list_numbers(Some(our_number)).await {
        Ok(listing) => listing.entries.into_iter().find(|number| *number.phone_number == our_number),
        Err(error) => {
            return vec![Check::doubtful(what, format!("could not be looked up: {error}"), "ask again later")];
        }
    };
    let Some(number) = number else {
        let remedy = "set TWILIO_PHONE_NUMBER to a number of this account, as Twilio's console shows it";
        return vec![Check::bad(what, "does not belong to this Twilio account", remedy)];
    };
    let mut found = vec![Check::good(what, "belongs to the account")];
    if number.voice_application_sid.as_deref().is_some_and(|sid| !sid.is_empty())
        || number.trunk_sid.as_deref().is_some_and(|sid| !sid.is_empty())
    {
        let remedy =
            "take it off the application or trunk in Twilio's console: its own webhooks count for nothing there";
        found.push(Check::bad("Routing", "the number belongs to a TwiML application or a SIP trunk", remedy));
    }
    let Some(public) = public else { return found };
    let wanted = Wanted::at(public);
    let before = wanted.compare(&number);
    if fix && before.iter().any(|check| check.remedy.is_some()) {
        match client.update_number(number.sid, &wanted.change()).await {
            Ok(changed) => found.extend(wanted.compare(&changed).into_iter().map(said_fixed)),
            Err(error) => {
                found.push(Check::bad("Webhooks", format!("could not be set: {error}"), "set them in Twilio's console"))
            }
        }
    } else {
        found.extend(before);
    }
    found
}

fn said_fixed(check: Check) -> Check {
    if check.remedy.is_none() { Check { found: format!("set to {}", check.found), ..check } } else { check }
}
