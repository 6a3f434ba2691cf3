"""Twilio's package drives the simulated REST interface, checks our signatures, and signs for our verifier."""

import datetime
import json
import os
import time
import urllib.parse
import urllib.request

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

import judge

ACCOUNT_SID = os.environ["ACCOUNT_SID"]
AUTH_TOKEN = os.environ["AUTH_TOKEN"]
HOOKS = os.environ["HOOKS_URL"]
OURS, THEIRS = "+12025550100", "+12025550123"


class Pairs:
    """A form with its duplicates, as web frameworks hand it to Twilio's validator."""

    def __init__(self, pairs):
        self.pairs = [tuple(pair) for pair in pairs]

    def __iter__(self):
        return iter(name for name, _ in self.pairs)

    def __len__(self):
        return len(self.pairs)

    def getlist(self, name):
        return [value for key, value in self.pairs if key == name]


# --- the REST interface -------------------------------------------------------------------------------------------


class Strict(TwilioHttpClient):
    """Keeps the last answer's text, to compare it with what the package made of it."""

    last = None

    def request(self, *arguments, **keywords):
        keywords["timeout"] = 10
        answer = super().request(*arguments, **keywords)
        self.last = answer.text
        return answer


def client(token=AUTH_TOKEN):
    made = Client(ACCOUNT_SID, token, http_client=Strict())
    made.api.base_url = os.environ["TWILIO_URL"]
    return made


def understood(rest, instance):
    """Every key of the answer is one that the package's class has a field for."""
    known = {name.strip("_") for name in vars(instance)}
    unknown = set(json.loads(rest.http_client.last)) - known
    assert not unknown, unknown
    return instance


def place(rest, **more):
    settings = {"to": THEIRS, "from_": OURS, "url": HOOKS + "voice?placed=1", **more}
    return understood(rest, rest.calls.create(**settings))


def wait_for(rest, sid, status):
    until = time.monotonic() + 15
    while time.monotonic() < until:
        call = understood(rest, rest.calls(sid).fetch())
        if call.status == status:
            return call
        time.sleep(0.02)
    pytest.fail(f"the call is {call.status}, not {status}")


def test_a_call_is_placed_and_read_until_it_is_over():
    rest = client()
    events = ["initiated", "ringing", "answered", "completed"]
    call = place(rest, status_callback=HOOKS + "status?call=1", status_callback_event=events, timeout=20)
    assert (call.status, call.direction, call.to, call._from) == ("queued", "outbound-api", THEIRS, OURS)
    assert isinstance(call.date_created, datetime.datetime) and call.account_sid == ACCOUNT_SID
    over = wait_for(rest, call.sid, "completed")
    assert isinstance(over.start_time, datetime.datetime) and isinstance(over.end_time, datetime.datetime)
    assert int(over.duration) >= 0 and over.uri.endswith(f"/Calls/{call.sid}.json")
    assert "notifications" in over.subresource_uris


def test_a_live_call_is_redirected_and_then_ended():
    rest = client()
    call = place(rest, url=HOOKS + "wait", method="GET")
    wait_for(rest, call.sid, "in-progress")
    moved = understood(rest, rest.calls(call.sid).update(twiml='<Response><Pause length="20"/></Response>'))
    assert moved.status == "in-progress"
    ended = understood(rest, rest.calls(call.sid).update(status="completed"))
    assert ended.status == "completed"
    with pytest.raises(TwilioRestException) as refused:
        rest.calls(call.sid).update(status="completed")
    assert (refused.value.status, refused.value.code) == (400, 21220)


def test_calls_are_listed_in_pages_and_by_filter():
    rest = client()
    away = [place(rest, to="+12025550144", twiml="<Response><Hangup/></Response>", url=None).sid for _ in range(5)]
    for sid in away:
        wait_for(rest, sid, "completed")
    assert [call.sid for call in rest.calls.list(to="+12025550144", page_size=2)] == away[::-1], "the newest first, over three pages"
    assert [call.sid for call in rest.calls.list(to="+12025550144", limit=3, page_size=2)] == away[:1:-1]
    page = rest.calls.page(to="+12025550144", page_size=2)
    first = [call.sid for call in page]
    page = page.next_page()
    assert [call.sid for call in page] == away[2:0:-1]
    assert [call.sid for call in page.previous_page()] == first
    assert rest.calls.list(to="+12025550144", status="busy") == []
    assert {call._from for call in rest.calls.list(from_=OURS)} == {OURS}
    assert {call.direction for call in rest.calls.list(to=OURS)} == {"inbound"}
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    assert len(rest.calls.list(to="+12025550144", start_time_after=now - day, start_time_before=now + day)) == 5
    assert rest.calls.list(to="+12025550144", start_time_after=now + day + day) == []
    assert rest.calls.list(to="+12025550144", start_time_before=(now - day - day).date()) == []


def test_what_is_refused_is_refused_with_twilios_numbers():
    rest = client()

    def refusal(what):
        with pytest.raises(TwilioRestException) as refused:
            what()
        assert refused.value.msg
        return refused.value.status, refused.value.code

    assert refusal(lambda: client(token="another").calls("CA" + "f" * 32).fetch()) == (401, 20003)
    assert refusal(lambda: client(token="another").api.accounts(ACCOUNT_SID).fetch()) == (401, 20003)
    assert refusal(lambda: rest.calls("CA" + "f" * 32).fetch()) == (404, 20404)
    assert refusal(lambda: rest.incoming_phone_numbers("PN" + "f" * 32).fetch()) == (404, 20404)
    assert refusal(lambda: place(rest, to="12025550123")) == (400, 21211)
    assert refusal(lambda: place(rest, from_="+12025550199")) == (400, 21210)
    assert refusal(lambda: place(rest, url="nowhere")) == (400, 21205)
    assert understood(rest, rest.api.accounts(ACCOUNT_SID).fetch()).status == "active"


def test_owned_numbers_are_listed_read_and_pointed_elsewhere():
    rest = client()
    assert len(rest.incoming_phone_numbers.list(page_size=2)) == 5
    (number,) = rest.incoming_phone_numbers.list(phone_number="+12025550104")
    assert number.capabilities["voice"] is True and number.voice_method == "POST"
    number = understood(rest, rest.incoming_phone_numbers(number.sid).fetch())
    changed = number.update(
        voice_url=HOOKS + "elsewhere", voice_method="GET", voice_fallback_url=HOOKS + "fallback", status_callback=HOOKS + "ended"
    )
    understood(rest, changed)
    assert (changed.voice_url, changed.voice_method) == (HOOKS + "elsewhere", "GET")
    again = rest.incoming_phone_numbers(number.sid).fetch()
    assert (again.voice_fallback_url, again.status_callback) == (HOOKS + "fallback", HOOKS + "ended")
    assert isinstance(again.date_created, datetime.datetime)


# --- signatures ---------------------------------------------------------------------------------------------------


def test_every_request_of_the_simulated_twilio_is_signed_as_the_package_wants():
    validator, stranger = RequestValidator(AUTH_TOKEN), RequestValidator("another")
    requests = []
    until = time.monotonic() + 5
    # The calls of the tests above may still be reporting.
    while time.monotonic() < until:
        with urllib.request.urlopen(HOOKS + "requests", timeout=5) as answer:
            requests = json.load(answer)
        if {"voice", "stream", "streamed", "next", "ended", "status", "wait"} <= {hook(request) for request in requests}:
            break
        time.sleep(0.05)
    assert {request["method"] for request in requests} == {"GET", "POST", "UPGRADE"}
    assert {"voice", "stream", "streamed", "next", "ended", "status", "wait", "media"} <= {hook(request) for request in requests}
    froms = set()
    for request in requests:
        form = Pairs([])
        if request["method"] == "POST":
            assert request["content_type"].startswith("application/x-www-form-urlencoded")
            form = Pairs(urllib.parse.parse_qsl(request["body"], keep_blank_values=True, strict_parsing=True))
            assert form.getlist("AccountSid") == [ACCOUNT_SID]
            froms |= set(form.getlist("From"))
        assert validator.validate(request["url"], form, request["signature"]), request
        assert not stranger.validate(request["url"], form, request["signature"])
        assert not validator.validate(request["url"], Pairs([*form.pairs, ("Extra", "1")]), request["signature"])
        assert not validator.validate(request["url"] + "x", form, request["signature"])
    assert {"anonymous", "", "client:Zoë Ünïcode 東京", "sip:a&b=c@example.com;x=1", "+1 202%2B555", "a\U0001F600b"} <= froms


def hook(request):
    return urllib.parse.urlsplit(request["url"]).path.rsplit("/", 1)[1]


def test_whatever_we_sign_the_package_would_sign_alike():
    validator = RequestValidator(AUTH_TOKEN)
    signed = judge.lines("OUR_SIGNATURES")
    assert len(signed) >= 7
    for line in signed:
        content = line["body"] if "body" in line else Pairs(line["pairs"])
        assert validator.validate(line["url"], content, line["signature"], line["algorithm"]), line
        if "body" in line:
            assert not validator.validate(line["url"], content + " ", line["signature"], line["algorithm"])


ROW_1 = "https://example.com/voice/inbound?tenant=demo&x=1"
FORM = [
    ("CallSid", "CA00000000000000000000000000000001"),
    ("Caller", "+12025550123"),
    ("Digits", "1234"),
    ("From", "+12025550123"),
    ("To", "+12025550100"),
]
JSON_BODY = '{"property":"value","boolean":true}'
JSON_URL = "https://example.com/events?bodySHA256=d5729c000e5de6b3a10698fec78d482db85d744f1be820d1382b6bda1cfb7795"

# Known signatures under the token 12345, so that a change of the package itself would be noticed.
VECTORS = [
    ("form", ROW_1, FORM, "CtVBfVCJKdIUMO8LQAq5eSy5AVM="),
    ("form", ROW_1.replace("example.com", "example.com:443"), FORM, "X0aMTARQI4bU2SxATM63C/X7bZo="),
    ("form", ROW_1, [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "a")], "Y46HDnwM1+ZHNB2ZjdVdr/tybRI="),
    ("form", ROW_1, [("MediaUrl", "a")], "NIGwP54hhN2d89EIXhGd/83HMxo="),
    ("upgrade", "wss://media.example.com/stream", [], "XMARKxbk9IcgJi7Q+mR254vHqdY="),
    ("upgrade", "wss://media.example.com/stream/", [], "2qp/u9q0UKHHcrcgpUjPA4GJzZQ="),
    ("upgrade", "https://media.example.com/stream", [], "RPZyRotQKlfP00iDim6kzkvVlGg="),
    ("json", JSON_URL, JSON_BODY, "c9pkQE69wTxTBx1TB6dLEpvf6H0="),
]

HOSTILE_FORMS = [
    [],
    [("FromCity", ""), ("ToCity", "")],
    [("From", "client:Zoë Ünïcode 東京"), ("To", "\U0001F600")],
    [("a", "2"), ("a", "10"), ("a", "1"), ("a", "")],
    [("é", "1"), ("z", "2"), ("Z", "3"), ("\U00010400", "4"), ("\uff5e", "5")],
    [("SpeechResult", "line one\nline two\ttabbed\r\n")],
    [("Digits", "#*1"), ("digits", "2"), ("DIGITS", "3")],
    [("a&b", "c=d"), ("x+y", "100%"), (" padded ", "  ")],
    [("Body", "x" * 20_000)],
]

HOSTILE_URLS = [
    "https://example.com/voice",
    "https://example.com/voice/",
    "https://example.com:443/voice?x=1",
    "https://example.com:8443/voice?x=1",
    "http://example.com:80/voice",
    "http://127.0.0.1:8080/voice?call=call_1&epoch=2",
    "https://example.com/voice?q=caf%C3%A9+%2B&empty=&a=2&a=1",
    "https://example.com/a%20b/c?d=%zz&&=&e",
    "https://example.com?x=1",
]


def test_the_package_signs_for_our_verifier():
    validator = RequestValidator("12345")
    entries = []

    def add(kind, url, content, signature, genuine, token="12345"):
        entry = {"kind": kind, "token": token, "url": url, "signature": signature, "genuine": genuine}
        entry["body" if kind == "json" else "pairs"] = content
        entries.append(entry)

    for kind, url, content, expected in VECTORS:
        signature = validator.compute_signature(url, {} if kind == "json" else Pairs(content))
        assert signature == expected, url
        add(kind, url, content, signature, True)
        add(kind, url, content, signature, False, token="another")
    sha256 = validator.compute_signature(ROW_1, Pairs(FORM), "HMAC_SHA256")
    assert sha256 == "TPZNtXzya0cf0UhqRWRUjN/JM9cy90XKO+3YIBnQ9wQ="
    add("form", ROW_1, FORM, sha256, False)  # Signed with a shared key, says its header; without one it is a stranger's.
    add("json", JSON_URL, JSON_BODY + " ", VECTORS[-1][3], False)
    for number, form in enumerate(HOSTILE_FORMS):
        url = HOSTILE_URLS[number % len(HOSTILE_URLS)]
        signature = validator.compute_signature(url, Pairs(form))
        assert validator.validate(url, Pairs(form), signature)
        add("form", url, form, signature, True)
        add("form", url, [*form[::-1]], signature, True)
        add("form", url, [*form, ("Extra", "1")], signature, False)
        if form:
            add("form", url, form[1:], signature, False)
    for url in HOSTILE_URLS:
        signature = validator.compute_signature(url, {})
        add("get", url, [], signature, True)
        add("get", url + "x", [], signature, False)
    # The proxy in front of us may have added or removed the port that Twilio signed.
    for signed, seen in [
        ("https://example.com/voice?x=1", "https://example.com:443/voice?x=1"),
        ("https://example.com:443/voice?x=1", "https://example.com/voice?x=1"),
        ("https://example.com/voice?x=1", "https://example.com:8443/voice?x=1"),
    ]:
        signature = validator.compute_signature(signed, Pairs(FORM))
        assert validator.validate(seen, Pairs(FORM), signature)
        add("form", seen, FORM, signature, True)
    for url in ["wss://media.example.com/media-stream/node-a", "wss://media.example.com:8443/media-stream/node-a"]:
        signature = validator.compute_signature(url, {})
        add("upgrade", url, [], signature, True)
        add("upgrade", url + "b", [], signature, False)
    judge.write("SIGNATURES_OUT", entries)
