"""Twilio's package writes the documents that we write, and media streams carry what is documented."""

import base64
import json
import xml.etree.ElementTree

import pytest
from twilio.twiml.voice_response import Connect, Dial, VoiceResponse

import judge

# --- documents ----------------------------------------------------------------------------------------------------

HOSTILE = "Zoë & \"Max\" <Hangup/> ]]> 'ok'\n東京 \U0001F600"
TWIML_OVERRIDES = "#ct=2000&rt=5000&rc=2&rp=ct,rt,5xx"
CALLBACK_OVERRIDES = "#rc=5&rp=all"


def response(*steps):
    made = VoiceResponse()
    for step in steps:
        step(made)
    return made


def stream(**parameters):
    connect = Connect(action=f"https://example.com/twilio/voice/next?call=call_1&epoch=1{TWIML_OVERRIDES}")
    callback = f"https://example.com/twilio/stream?call=call_1{CALLBACK_OVERRIDES}"
    made = connect.stream(url="wss://media.example.com/media-stream/node-a", status_callback=callback)
    for name, value in parameters.items():
        made.parameter(name=name, value=value)
    return response(lambda r: r.append(connect))


def transfer(**more):
    action = f"https://example.com/twilio/voice/next?call=call_1&epoch=1&after=dial{TWIML_OVERRIDES}"
    dial = Dial(action=action, timeout=30, time_limit=1200, **more)
    dial.number("+12025550177")
    return response(lambda r: r.append(dial))


def hang_up(r):
    r.hangup()


def documents():
    sorry = "Es tut mir leid, die Verbindung bricht immer wieder ab. Auf Wiederhören."
    again = f"https://example.com/twilio/voice?call=call_1&again=1{TWIML_OVERRIDES}"
    return {
        "nothing": response(),
        "stream": stream(call="call_1", token="v1.a-b_c.="),
        "stream with hostile parameters": stream(call=HOSTILE, empty=""),
        "hang up": response(hang_up),
        "apology": response(lambda r: r.say(sorry, language="de-DE"), hang_up),
        "hostile apology": response(lambda r: r.say(HOSTILE), hang_up),
        "transfer": transfer(),
        "transfer of a placed call": transfer(caller_id="+12025550100"),
        "reject": response(lambda r: r.reject()),
        "reject as busy": response(lambda r: r.reject(reason="busy")),
        "fallback": response(
            lambda r: r.say("I'm sorry, one moment please.", language="en-US"), lambda r: r.redirect(again), hang_up
        ),
        "the rest": response(
            lambda r: r.pause(length=2),
            lambda r: r.play("https://example.com/a.wav?b=1&c=2"),
            lambda r: r.redirect("https://example.com/again?b=1&c=2", method="GET"),
        ),
    }


def shape(element):
    """What a document says, however it is spelled: names, attributes in any order, text, and what is inside."""
    return element.tag, dict(element.attrib), element.text or "", element.tail or "", [shape(inner) for inner in element]


def test_our_documents_are_those_that_the_package_writes():
    ours = {line["name"]: line["xml"] for line in judge.lines("OUR_DOCUMENTS")}
    theirs = {name: made.to_xml() for name, made in documents().items()}
    assert ours.keys() == theirs.keys()
    for name, document in theirs.items():
        assert ours[name].startswith('<?xml version="1.0" encoding="UTF-8"?>')
        expected = shape(xml.etree.ElementTree.fromstring(document.encode()))
        assert shape(xml.etree.ElementTree.fromstring(ours[name].encode())) == expected, name
    judge.write("DOCUMENTS_OUT", [{"name": name, "xml": document} for name, document in theirs.items()])


# --- media streams ------------------------------------------------------------------------------------------------

# The package has no models of these messages; the documented fields stand here once more, written by another hand than
# our own types (Twilio: voice/media-streams/websocket-messages). A text stands for itself, a type for any of its values.
TO_TWILIO = {
    "media": {"event": "media", "streamSid": str, "media": {"payload": str}},
    "mark": {"event": "mark", "streamSid": str, "mark": {"name": str}},
    "clear": {"event": "clear", "streamSid": str},
}
FROM_TWILIO = {
    "connected": {"event": "connected", "protocol": "Call", "version": "1.0.0"},
    "start": {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": str,
        "start": {
            "streamSid": str,
            "accountSid": str,
            "callSid": str,
            "tracks": list,
            "customParameters": dict,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    },
    "media": {
        "event": "media",
        "sequenceNumber": str,
        "streamSid": str,
        "media": {"track": "inbound", "chunk": str, "timestamp": str, "payload": str},
    },
    "dtmf": {"event": "dtmf", "sequenceNumber": str, "streamSid": str, "dtmf": {"track": "inbound_track", "digit": str}},
    "mark": {"event": "mark", "sequenceNumber": str, "streamSid": str, "mark": {"name": str}},
    "stop": {"event": "stop", "sequenceNumber": str, "streamSid": str, "stop": {"accountSid": str, "callSid": str}},
}


def fits(message, pattern):
    if isinstance(pattern, dict):
        return isinstance(message, dict) and message.keys() == pattern.keys() and all(fits(message[key], pattern[key]) for key in pattern)
    return type(message) is pattern if isinstance(pattern, type) else judge.same(message, pattern)


@pytest.mark.parametrize(("wire", "patterns"), [("to_phone", TO_TWILIO), ("from_phone", FROM_TWILIO)])
def test_phone_and_call_say_exactly_what_is_documented(wire, patterns):
    seen = {}
    for line in judge.on(wire, judge.overheard()):
        message = json.loads(line["text"])
        event = message["event"]
        assert event in patterns and fits(message, patterns[event]), line["text"][:400]
        if event == "media":
            sound = base64.b64decode(message["media"]["payload"], validate=True)
            assert len(sound) == 160 and len(message["media"]["payload"]) == 216
        assert message.get("sequenceNumber", "0").isdecimal()
        seen[event] = seen.get(event, 0) + 1
    assert seen.keys() == patterns.keys(), "every event happened"
    assert seen["media"] > 500
