//! Which numbers may be called. With how many and how fast ([`store::Allowance`]), it is what keeps a stolen token from
//! becoming a telephone bill.
//!
//! Toll fraud calls numbers that earn from being called: premium and shared-cost services, satellite and international
//! networks, far countries. So only countries that are named are called, and none of those kinds even there.

use std::collections::BTreeSet;

use phonenumber::country::Id;
use phonenumber::metadata::DATABASE;
use phonenumber::{PhoneNumber, Type};

/// Country codes that belong to no country: freephone and shared-cost across borders, satellites, ships, networks
/// (ITU-T E.164).
const INTERNATIONAL: [u16; 10] = [800, 808, 870, 878, 881, 882, 883, 888, 979, 991];

/// Which numbers may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    countries: BTreeSet<String>,
}

/// A list of countries cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountryError {
    /// Not a country.
    #[error("has {0:?}, which is no two-letter country code")]
    Unknown(String),
    /// Nobody could be called.
    #[error("names no country")]
    None,
}

/// Why a number is not called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not E.164.
    #[error(
        "it is not a telephone number in E.164: a plus sign, the country code and the number, without spaces, such as \
         +12025550123{}", .suggestion.as_deref().map(|number| format!("; did you mean {number}?")).unwrap_or_default()
    )]
    Shape {
        /// What may have been meant.
        suggestion: Option<String>,
    },
    /// E.164, and no possible number of its country.
    #[error("no such number is possible in its country; a good one looks like +12025550123")]
    Impossible,
    /// A kind that costs or earns extra.
    #[error("{0} numbers are not called, because calls to them cost extra")]
    Costly(&'static str),
    /// Another country.
    #[error("calls to {country} are not allowed; allowed are {allowed} (ALLOWED_COUNTRIES)")]
    Country {
        /// The number's country.
        country: String,
        /// Those that are allowed.
        allowed: String,
    },
}

impl NumberError {
    /// Whether the number is good and only the guard is against it.
    #[must_use]
    pub const fn is_policy(&self) -> bool {
        match self {
            Self::Costly(_) | Self::Country { .. } => true,
            Self::Shape { .. } | Self::Impossible => false,
        }
    }
}

impl Guard {
    /// Numbers of these countries, by two-letter codes in capitals.
    ///
    /// # Errors
    ///
    /// One of them is none, or there is none.
    pub fn new(countries: impl IntoIterator<Item = String>) -> Result<Self, CountryError> {
        let countries: BTreeSet<String> = countries.into_iter().collect();
        if let Some(unknown) = countries.iter().find(|code| code.parse::<Id>().is_err()) {
            return Err(CountryError::Unknown(unknown.clone()));
        }
        if countries.is_empty() { Err(CountryError::None) } else { Ok(Self { countries }) }
    }

    /// The countries whose numbers are called, by two-letter codes.
    pub(crate) fn countries(&self) -> impl Iterator<Item = &str> {
        self.countries.iter().map(String::as_str)
    }

    /// Whether a number may be called.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, number: &str) -> Result<(), NumberError> {
        if !has_e164_shape(number) {
            return Err(NumberError::Shape { suggestion: self.suggestion(number) });
        }
        let parsed = phonenumber::parse(None, number).map_err(|_| NumberError::Impossible)?;
        if INTERNATIONAL.contains(&parsed.code().value()) {
            return Err(NumberError::Costly("satellite and international network"));
        }
        if let Some(kind) = costly(&parsed) {
            return Err(NumberError::Costly(kind));
        }
        let country = country_of(number).ok_or(NumberError::Impossible)?;
        if !self.countries.contains(&country) {
            let allowed = self.countries.iter().cloned().collect::<Vec<_>>().join(", ");
            return Err(NumberError::Country { country, allowed });
        }
        Ok(())
    }

    /// The same number in E.164, if it is one as people write it.
    fn suggestion(&self, text: &str) -> Option<String> {
        if text.len() > 40 {
            return None;
        }
        let home: Option<Id> = self.countries.iter().next()?.parse().ok();
        let parsed = phonenumber::parse(home, text).ok()?;
        let number = parsed.format().mode(phonenumber::Mode::E164).to_string();
        (parsed.is_valid() && has_e164_shape(&number)).then_some(number)
    }
}

fn costly(number: &PhoneNumber) -> Option<&'static str> {
    match number.number_type(&DATABASE) {
        Type::PremiumRate => Some("premium-rate"),
        Type::SharedCost => Some("shared-cost"),
        Type::PersonalNumber => Some("personal (follow-me)"),
        Type::Pager => Some("pager"),
        Type::Voicemail => Some("voicemail access"),
        Type::ShortCode => Some("short-code"),
        Type::Emergency => Some("emergency"),
        Type::FixedLine
        | Type::Mobile
        | Type::FixedLineOrMobile
        | Type::TollFree
        | Type::Voip
        | Type::Uan
        | Type::StandardRate
        | Type::Carrier
        | Type::NoInternational
        | Type::Unknown => None,
    }
}

/// Whether a text is written as E.164 says: a plus sign, and 7 to 15 digits of which the first is not zero.
#[must_use]
pub fn has_e164_shape(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The two-letter code of a number's country.
#[must_use]
pub fn country_of(number: &str) -> Option<String> {
    let parsed = has_e164_shape(number).then(|| phonenumber::parse(None, number).ok())??;
    let is_itself = parsed.format().mode(phonenumber::Mode::E164).to_string() == number;
    if let Some(country) = parsed.country().id().filter(|_| is_itself && parsed.is_valid()) {
        return Some(country.as_ref().to_owned());
    }
    // Some countries, Italy first, dial a zero that belongs to the number; the library drops it. The digits as they
    // are written decide.
    let code = parsed.code().value();
    let written = number.strip_prefix('+')?.strip_prefix(&code.to_string())?;
    let countries = DATABASE.by_code(&code).filter(|_| written.starts_with('0'))?;
    let fits = |country: &&phonenumber::Metadata| {
        country.descriptors().fixed_line().is_some_and(|line| line.is_match(written))
    };
    countries.into_iter().find(fits).map(|country| country.id().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(countries: &[&str]) -> Guard {
        Guard::new(countries.iter().map(|code| (*code).to_owned())).unwrap()
    }

    #[test]
    fn numbers_of_allowed_countries_are_called() {
        let guard = guard(&["US", "GB", "DE", "IT"]);
        for number in
            ["+12025550123", "+18005550100", "+442079460123", "+447400123456", "+493023125123", "+390612345678"]
        {
            assert_eq!(guard.check(number), Ok(()), "{number}");
        }
    }

    #[test]
    fn a_neighbour_under_the_same_code_is_another_country() {
        let guard = guard(&["US"]);
        for (number, expected) in [("+18765550123", "JM"), ("+18095550123", "DO"), ("+16475550123", "CA")] {
            match guard.check(number) {
                Err(NumberError::Country { country, allowed }) => {
                    assert_eq!((country.as_str(), allowed.as_str()), (expected, "US"));
                }
                other => panic!("{number}: {other:?}"),
            }
        }
        assert!(matches!(guard.check("+442079460123"), Err(NumberError::Country { .. })));
    }

    #[test]
    fn what_costs_extra_is_refused_even_at_home() {
        let guard = guard(&["US", "GB", "DE"]);
        for number in [
            "+19005550123",
            "+449012345678",
            "+448431234567",
            "+447012345678",
            "+499001234567",
            "+88161234567",
            "+870773111632",
            "+882161234567",
            "+979123456789",
            "+80012345678",
        ] {
            let error = guard.check(number).unwrap_err();
            assert!(matches!(error, NumberError::Costly(_)), "{number}: {error:?}");
            assert!(error.is_policy());
        }
    }

    #[test]
    fn a_zero_that_belongs_to_the_number_stays() {
        assert_eq!(country_of("+390612345678").as_deref(), Some("IT"));
        assert_eq!(country_of("+4902012345678"), None);
        assert_eq!(country_of("+12025550123").as_deref(), Some("US"));
    }

    #[test]
    fn what_is_no_number_hears_what_a_good_one_looks_like() {
        let guard = guard(&["US"]);
        for number in [
            "",
            "911",
            "+1911",
            "2025550123",
            "+1 202 555 0123",
            "+12025550123x",
            "+0123456789",
            "tel:+1",
            "+1202555012",
        ] {
            let error = guard.check(number).unwrap_err();
            assert!(error.to_string().contains("+12025550123"), "{number}: {error}");
            assert!(!error.is_policy());
        }
        let meant = guard.check("(202) 555-0100").unwrap_err();
        assert!(meant.to_string().ends_with("did you mean +12025550100?"), "{meant}");
    }

    #[test]
    fn a_list_of_countries_is_checked() {
        assert_eq!(Guard::new(["XX".to_owned()]), Err(CountryError::Unknown("XX".to_owned())));
        assert_eq!(Guard::new([]), Err(CountryError::None));
        assert_eq!(country_of("+442079460123").as_deref(), Some("GB"));
        assert_eq!(country_of("anonymous"), None);
    }
}
