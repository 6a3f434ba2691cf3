//! `<Gather>`: keys, until there are enough of them, one says so, or none comes any more (Twilio: voice/twiml/gather).
//!
//! Keys pressed before it are not its own. Whether the key that ends it counts as input when it is the only one is not
//! documented: here it does not, and the next verb follows as if nothing had been pressed.

use std::time::Duration;

use wire::twilio::twiml::Verb;
use wire::twilio::twiml::read::Gather;

use super::document::{Flow, absolute, begin_to_play, begin_to_say, interrupted};
use super::live::{Live, Source};

/// Keys that are kept at most: nobody presses more, and nothing here may grow without end.
const DIGITS_MAX: usize = 1_000;

pub(super) async fn perform(live: &mut Live, gather: Gather) -> Option<Flow> {
    let Some(action) = absolute(live, &gather.action) else {
        return Some(Flow::Unserved);
    };
    live.exchange.event(live.sid, "twiml   <Gather>".to_owned());
    if gather.speech {
        live.exchange.event(live.sid, "twiml   <Gather> does not understand speech in this simulation".to_owned());
    }
    live.caller.forget_keys();
    let digits = match keys(live, &gather).await {
        Ok(digits) => digits,
        Err(flow) => return Some(flow),
    };
    if digits.is_empty() && !gather.action_on_empty {
        return None;
    }
    Some(Flow::Next(Source::Action(action, vec![("Digits".to_owned(), digits)])))
}

async fn keys(live: &mut Live, gather: &Gather) -> Result<String, Flow> {
    let mut digits = String::new();
    let mut next = prompt(live, gather).await?;
    if next.is_none() {
        next = key(live, gather, gather.timeout).await?;
    }
    while let Some(pressed) = next {
        if gather.finish_on == Some(pressed) {
            break;
        }
        digits.push(pressed);
        if digits.len() >= gather.digits_max.unwrap_or(DIGITS_MAX) {
            break;
        }
        next = key(live, gather, gather.timeout).await?;
    }
    Ok(digits)
}

/// Says what is to be said, until a key is pressed.
async fn prompt(live: &mut Live, gather: &Gather) -> Result<Option<char>, Flow> {
    for prompt in &gather.prompts {
        let length = match prompt {
            Verb::Say(say) => begin_to_say(live, say.clone()),
            Verb::Play { url } => begin_to_play(live, url).await?,
            Verb::Pause { length } => *length,
            Verb::Connect(_) | Verb::Redirect(_) | Verb::Dial(_) | Verb::Hangup | Verb::Reject(_) => Duration::ZERO,
        };
        if let Some(pressed) = key(live, gather, length).await? {
            return Ok(Some(pressed));
        }
    }
    Ok(None)
}

/// The next key; none while only words are listened for.
async fn key(live: &mut Live, gather: &Gather, within: Duration) -> Result<Option<char>, Flow> {
    if !gather.keys {
        return live.pause(within).await.map_or(Ok(None), |interrupt| Err(interrupted(interrupt)));
    }
    live.key_within(within).await.map_err(interrupted)
}
