//! A link that signs one browser in, once: for the person who has just started the program on their own machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use store::Moment;
use subtle::ConstantTimeEq as _;

use super::people::Person;

/// How long a link waits to be opened.
const VALID: Duration = Duration::from_secs(3_600);

/// Random bytes in a key.
const KEY_BYTES: usize = 24;

/// The key that was given out last, if nobody has used it yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Once(Arc<Mutex<Option<Waiting>>>);

#[derive(Debug)]
struct Waiting {
    sha256: [u8; 32],
    person: Person,
    until: Moment,
}

impl Once {
    /// A key that signs this person in, once, within the hour. One given out before is worth nothing from now on.
    ///
    /// # Errors
    ///
    /// This machine has no randomness.
    pub(crate) fn give(&self, person: Person, now: Moment) -> Result<String, getrandom::Error> {
        let mut random = [0; KEY_BYTES];
        getrandom::fill(&mut random)?;
        let key = URL_SAFE_NO_PAD.encode(random);
        let waiting = Waiting { sha256: Sha256::digest(&key).into(), person, until: now.after(VALID) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
        Ok(key)
    }

    /// Whom a key signs in. It is used up by that.
    pub(crate) fn take(&self, key: &str, now: Moment) -> Option<Person> {
        let sha256: [u8; 32] = Sha256::digest(key).into();
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_right = waiting.as_ref().is_some_and(|waiting| bool::from(waiting.sha256.ct_eq(&sha256)));
        // A wrong key leaves the right one good: guessing must not shut its owner out.
        if is_right { waiting.take().filter(|waiting| now < waiting.until).map(|waiting| waiting.person) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::Role;

    #[test]
    fn a_key_is_good_once_and_for_an_hour() {
        let (once, now) = (Once::default(), Moment::from_ms(1_000));
        let ada = Person { name: "ada".into(), role: Role::Admin };
        assert_eq!(once.take("", now), None);
        let key = once.give(ada.clone(), now).unwrap();
        assert_eq!(once.take("guessed", now), None);
        assert_eq!(once.take(&key, now), Some(ada.clone()));
        assert_eq!(once.take(&key, now), None);
        let (late, later) = (once.give(ada.clone(), now).unwrap(), now.after(VALID));
        assert_eq!(once.take(&late, later), None);
        let (old, new) = (once.give(ada.clone(), now).unwrap(), once.give(ada.clone(), now).unwrap());
        assert_eq!((once.take(&old, now), once.take(&new, now)), (None, Some(ada)));
    }
}
