"""Deepgram's package talks with the simulated Flux, and reads what it says and what our wire writes."""

import inspect
import json
import os
import typing
import urllib.parse

import pydantic
import pytest
import websockets.exceptions
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v2.client import V2Client
from deepgram.listen.v2.socket_client import V2SocketClientResponse
from deepgram.listen.v2.types import (
    ListenV2CloseStream,
    ListenV2Configure,
    ListenV2ConfigureThresholds,
    ListenV2ForceEndTurn,
)

import judge

SERVER = pydantic.TypeAdapter(V2SocketClientResponse)
CLIENT = pydantic.TypeAdapter(typing.Union[ListenV2Configure, ListenV2ForceEndTurn, ListenV2CloseStream])
PATIENCE = 30.0


def client(key="key"):
    url = os.environ["DEEPGRAM_URL"]
    socket = url.replace("http", "ws", 1)
    environment = DeepgramClientEnvironment(base=url, production=socket, agent=socket, agent_rest=url)
    return DeepgramClient(api_key=key, environment=environment)


def connect(key="key", **more):
    options = dict(model="flux-general-en", encoding="mulaw", sample_rate="8000") | more
    return client(key).listen.v2.connect(**options)


class Tap:
    """What the package receives, as it came."""

    def __init__(self, socket):
        self.socket = socket
        self.raw = None

    def recv(self):
        self.raw = self.socket.recv(timeout=PATIENCE)
        return self.raw

    def __getattr__(self, name):
        return getattr(self.socket, name)


class Talk:
    def __init__(self, connection):
        self.connection = connection
        connection._websocket = self.tap = Tap(connection._websocket)
        self.received = []

    def next(self):
        event = self.connection.recv()
        verdict = judge.Verdict()
        line = {"story": "live", "text": self.tap.raw, "excused_keys": [], "excused_types": []}
        judge.judge_message(verdict, SERVER, line)
        verdict.close()
        assert type(event) is type(SERVER.validate_json(self.tap.raw)), "the package takes it for what it is"
        self.received.append(event)
        return event

    def until(self, kind, event=None):
        while True:
            received = self.next()
            assert received.type != "Error" or kind == "Error", received
            if received.type == kind and (event is None or received.event == event):
                return received

    def say(self, recording, silence=1.0):
        sound = judge.mulaw(recording) + b"\xff" * int(8_000 * silence)
        for frame in judge.chunks(sound, 640):
            self.connection.send_media(frame)


def test_a_recorded_caller_is_understood_turn_by_turn():
    with connect(eager_eot_threshold="0.4") as connection:
        talk = Talk(connection)
        assert talk.next().type == "Connected"
        talk.say("caller-book")
        assert talk.until("TurnInfo", "EagerEndOfTurn").transcript == "I'd like to book an appointment."
        end = talk.until("TurnInfo", "EndOfTurn")
        assert (end.transcript, end.trigger, end.turn_index) == ("I'd like to book an appointment.", "model", 0)
        assert " ".join(word.word for word in end.words) == end.transcript
        talk.say("caller-tuesday")
        assert talk.until("TurnInfo", "EndOfTurn").turn_index == 1
        sequence = [event.sequence_id for event in talk.received]
        assert sequence == list(range(len(sequence)))


def test_the_settings_are_changed_a_turn_is_ended_and_the_stream_is_closed_by_the_client():
    with connect() as connection:
        talk = Talk(connection)
        talk.until("Connected")
        thresholds = ListenV2ConfigureThresholds(eot_threshold=1.0, eot_timeout_ms=60_000)
        connection.send_configure(ListenV2Configure(thresholds=thresholds, keyterms=["appointment"]))
        changed = talk.until("ConfigureSuccess")
        assert (changed.thresholds.eot_threshold, changed.keyterms) == (1.0, ["appointment"])
        connection.send_configure(ListenV2Configure(thresholds=ListenV2ConfigureThresholds(eot_threshold=0.1)))
        talk.until("ConfigureFailure")
        talk.say("caller-yes", silence=3.0)
        talk.until("TurnInfo", "StartOfTurn")
        while talk.until("TurnInfo").audio_window_end < 3.0:
            pass
        connection.send_force_end_turn()
        assert talk.until("TurnInfo", "EndOfTurn").trigger == "manual"
        connection.send_close_stream()
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            while True:
                talk.next()
        assert closed.value.rcvd.code == 1005, "it is closed without a code"


def test_a_message_of_the_older_product_is_fatal():
    with connect() as connection:
        talk = Talk(connection)
        talk.until("Connected")
        connection._send({"type": "KeepAlive"})
        assert talk.until("Error").code


@pytest.mark.parametrize(
    "status, key, query",
    [(401, "other", {}), (400, "key", {"language": "en"}), (400, "key", {"eot_timeout_ms": "1"})],
)
def test_a_refused_handshake_says_why(status, key, query):
    # The package has its own error for this, but knows only one of the two that its socket library may raise.
    with pytest.raises((ApiError, websockets.exceptions.InvalidStatus)) as refused:
        with connect(key, request_options={"additional_query_parameters": query}):
            pass
    response = getattr(refused.value, "response", refused.value)
    assert response.status_code == status
    if response is not refused.value:
        told = json.loads(response.body)
        assert told["err_msg"] == response.headers["dg-error"]
        assert told["err_code"] and told["request_id"] == response.headers["dg-request-id"]


def test_what_our_wire_writes_is_what_the_package_would_send():
    verdict = judge.Verdict()
    kinds = {judge.judge_message(verdict, CLIENT, line) for line in judge.on("to_engine", judge.overheard())}
    verdict.close(at_least=3)
    assert kinds == {"Configure", "ForceEndTurn", "CloseStream"}
    [handshake] = judge.on("handshake", judge.overheard())
    path, query = handshake["text"].split("?")
    known = inspect.signature(V2Client.connect).parameters
    written = urllib.parse.parse_qs(query, strict_parsing=True)
    assert path == "/v2/listen" and set(written) <= set(known), written


def test_the_judge_bites():
    good = {"type": "TurnInfo", "request_id": "r", "sequence_id": 1, "event": "Update", "turn_index": 0,
            "audio_window_start": 0.0, "audio_window_end": 0.25, "transcript": "", "words": [],
            "end_of_turn_confidence": 0.0}
    planted = [
        good | {"mood": "calm"},
        {key: value for key, value in good.items() if key != "transcript"},
        good | {"turn_index": "0"},
        good | {"words": [{"word": "a", "confidence": 1.0, "from": 0.0}]},
        good | {"type": "Turn"},
    ]
    for message, wrong in [(good, False)] + [(message, True) for message in planted]:
        verdict = judge.Verdict()
        line = {"story": "planted", "text": json.dumps(message), "excused_keys": [], "excused_types": []}
        judge.judge_message(verdict, SERVER, line)
        assert bool(verdict.wrong) == wrong, message
