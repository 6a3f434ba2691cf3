use super::*;

const TOKEN: &str = "12345";
const URL: &str = "https://example.com/voice/inbound?tenant=demo&x=1";
const FORM: [(&str, &str); 5] = [
    ("To", "+12025550100"),
    ("CallSid", "CA00000000000000000000000000000001"),
    ("Digits", "1234"),
    ("From", "+12025550123"),
    ("Caller", "+12025550123"),
];
const FORM_SIGNATURE: &str = "CtVBfVCJKdIUMO8LQAq5eSy5AVM=";
const STREAM: &str = "wss://media.example.com/stream";
const JSON: &[u8] = br#"{"property":"value","boolean":true}"#;
const JSON_HASH: &str = "d5729c000e5de6b3a10698fec78d482db85d744f1be820d1382b6bda1cfb7795";

fn verifier() -> Verifier {
    Verifier::new(&[TOKEN])
}

/// Computed with Twilio's own Python library under the token `12345`.
#[test]
fn signatures_are_those_that_twilios_library_makes() {
    assert_eq!(sign(TOKEN, URL, FORM), FORM_SIGNATURE);
    let with_port = "https://example.com:443/voice/inbound?tenant=demo&x=1";
    assert_eq!(sign(TOKEN, with_port, FORM), "X0aMTARQI4bU2SxATM63C/X7bZo=");
    assert_eq!(sign_with(Algorithm::HmacSha256, TOKEN, URL, FORM), "TPZNtXzya0cf0UhqRWRUjN/JM9cy90XKO+3YIBnQ9wQ=");
    let thrice = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "a")];
    assert_eq!(sign(TOKEN, URL, thrice), "Y46HDnwM1+ZHNB2ZjdVdr/tybRI=");
    assert_eq!(sign(TOKEN, URL, [("MediaUrl", "a")]), "NIGwP54hhN2d89EIXhGd/83HMxo=");
    assert_eq!(sign(TOKEN, STREAM, []), "XMARKxbk9IcgJi7Q+mR254vHqdY=");
    assert_eq!(sign(TOKEN, "wss://media.example.com/stream/", []), "2qp/u9q0UKHHcrcgpUjPA4GJzZQ=");
    assert_eq!(sign(TOKEN, "https://media.example.com/stream", []), "RPZyRotQKlfP00iDim6kzkvVlGg=");
    let json_url = with_body_hash("https://example.com/events", JSON);
    assert_eq!(json_url, format!("https://example.com/events?bodySHA256={JSON_HASH}"));
    assert_eq!(sign(TOKEN, &json_url, []), "c9pkQE69wTxTBx1TB6dLEpvf6H0=");
}

#[test]
fn a_form_passes_with_or_without_the_port_it_was_signed_with() {
    for signature in [FORM_SIGNATURE, "X0aMTARQI4bU2SxATM63C/X7bZo="] {
        for url in [URL, "https://example.com:443/voice/inbound?tenant=demo&x=1"] {
            let checked = verifier().verify_form(url, FORM, signature);
            // A URL that names the default port is tried as it is and stripped, which is both signed spellings.
            assert_eq!(checked, Ok(()), "{url}");
        }
    }
}

#[test]
fn the_fragment_is_not_signed() {
    let url = format!("{URL}#rc=5&rp=all");
    assert_eq!(sign(TOKEN, &url, FORM), FORM_SIGNATURE);
    assert_eq!(verifier().verify_form(&url, FORM, FORM_SIGNATURE), Ok(()));
}

#[test]
fn any_change_to_a_form_is_noticed() {
    let refused = Err(SignatureError::Mismatch);
    assert_eq!(verifier().verify_form(URL, FORM.into_iter().skip(1), FORM_SIGNATURE), refused);
    assert_eq!(verifier().verify_form(URL, FORM.into_iter().chain([("New", "")]), FORM_SIGNATURE), refused);
    assert_eq!(
        verifier().verify_form("https://example.com/voice/inbound?tenant=demo&x=2", FORM, FORM_SIGNATURE),
        refused
    );
    assert_eq!(
        verifier().verify_form("https://example.org/voice/inbound?tenant=demo&x=1", FORM, FORM_SIGNATURE),
        refused
    );
    assert_eq!(
        verifier().verify_form("http://example.com/voice/inbound?tenant=demo&x=1", FORM, FORM_SIGNATURE),
        refused
    );
    for signature in ["x", "CtVBfVCJKdIUMO8LQAq5eSy5AVM", "CtVBfVCJKdIUMO8LQAq5eSy5AVN=", "é"] {
        assert_eq!(verifier().verify_form(URL, FORM, signature), refused);
    }
}

#[test]
fn no_signature_is_not_a_signature() {
    for headers in [Headers::default(), Headers::from("")] {
        assert_eq!(verifier().verify_form(URL, FORM, headers), Err(SignatureError::Missing));
        assert_eq!(verifier().verify_get(URL, headers), Err(SignatureError::Missing));
        assert_eq!(verifier().verify_upgrade(STREAM, headers), Err(SignatureError::Missing));
    }
}

#[test]
fn empty_values_are_signed_by_their_name() {
    let signature = sign(TOKEN, URL, [("FromCity", ""), ("A", "1")]);
    assert_eq!(verifier().verify_form(URL, [("A", "1"), ("FromCity", "")], &*signature), Ok(()));
    assert_eq!(verifier().verify_form(URL, [("A", "1")], &*signature), Err(SignatureError::Mismatch));
}

#[test]
fn a_get_is_signed_by_its_url_alone() {
    let signature = sign(TOKEN, URL, []);
    assert_eq!(verifier().verify_get(URL, &*signature), Ok(()));
    assert_eq!(verifier().verify_get(URL, FORM_SIGNATURE), Err(SignatureError::Mismatch));
}

#[test]
fn both_tokens_pass_while_they_rotate_and_only_then() {
    let rotating = Verifier::new(&["another", TOKEN]);
    assert_eq!(rotating.verify_form(URL, FORM, FORM_SIGNATURE), Ok(()));
    assert_eq!(rotating.verify_form(URL, FORM, &*sign("another", URL, FORM)), Ok(()));
    let rotated = Verifier::new(&["another"]);
    assert_eq!(rotated.verify_form(URL, FORM, FORM_SIGNATURE), Err(SignatureError::Mismatch));
}

#[test]
fn without_a_token_nothing_passes() {
    let forged = sign("", URL, FORM);
    for verifier in [Verifier::new(&[""]), Verifier::new::<&str>(&[])] {
        assert_eq!(verifier.verify_form(URL, FORM, &*forged), Err(SignatureError::Mismatch));
    }
}

#[test]
fn a_json_body_passes_with_its_signature_and_its_hash() {
    let url = format!("https://example.com/events?{BODY_HASH_KEY}={JSON_HASH}");
    let signature = "c9pkQE69wTxTBx1TB6dLEpvf6H0=";
    assert_eq!(verifier().verify_json(&url, JSON, signature), Ok(()));
    assert_eq!(verifier().verify_json(&url, b"{}", signature), Err(SignatureError::BodyHashMismatch));
    let unhashed = "https://example.com/events";
    assert_eq!(verifier().verify_json(unhashed, JSON, signature), Err(SignatureError::Mismatch));
    assert_eq!(
        verifier().verify_json(unhashed, JSON, &*sign(TOKEN, unhashed, [])),
        Err(SignatureError::BodyHashMissing)
    );
}

#[test]
fn an_upgrade_passes_in_every_spelling_seen_in_the_field() {
    for signature in ["XMARKxbk9IcgJi7Q+mR254vHqdY=", "2qp/u9q0UKHHcrcgpUjPA4GJzZQ=", "RPZyRotQKlfP00iDim6kzkvVlGg="] {
        for configured in [STREAM, "wss://media.example.com/stream/", "wss://media.example.com/stream?dropped=1"] {
            assert_eq!(verifier().verify_upgrade(configured, signature), Ok(()), "{configured}");
        }
    }
    for other in ["wss://media.example.com/stream/node-a", "wss://media.example.org/stream", "wss://media.example.com/"]
    {
        let checked = verifier().verify_upgrade(other, "XMARKxbk9IcgJi7Q+mR254vHqdY=");
        assert_eq!(checked, Err(SignatureError::Mismatch), "{other}");
    }
}

#[test]
fn shared_keys_are_refused_for_their_own_reason() {
    let check = |settings| {
        let headers = Headers { signature: Some(FORM_SIGNATURE), settings };
        verifier().verify_form(URL, FORM, headers)
    };
    assert_eq!(check(None), Ok(()));
    assert_eq!(check(Some("")), Ok(()));
    assert_eq!(check(Some("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1")), Err(SignatureError::SharedKey));
    assert_eq!(check(Some("key=webhooks_sharedkey_1,algorithm=ROT13")), Err(SignatureError::UnknownAlgorithm));
    assert_eq!(check(Some("nonsense")), Err(SignatureError::BadSettings));
}

#[test]
fn a_verifier_does_not_print_its_tokens() {
    assert_eq!(format!("{:?}", verifier()), "Verifier { tokens: 1 }");
}
