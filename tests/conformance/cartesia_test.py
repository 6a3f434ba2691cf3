"""Cartesia's package talks with the simulated voice, and reads what it says and what our wire writes."""

import json
import os
import typing

import pydantic
import pytest
import websockets.exceptions
from cartesia import Cartesia
from cartesia.types.generation_request import GenerationRequest
from cartesia.types.websocket_client_event import CancelContextRequest
from cartesia.types.websocket_response import WebsocketResponse

import judge

SERVER = pydantic.TypeAdapter(WebsocketResponse)
CLIENT = pydantic.TypeAdapter(typing.Union[GenerationRequest, CancelContextRequest])
PATIENCE = 30.0
VOICE = {"mode": "id", "id": "a0e99841-438c-4a64-b679-ae501e7d6091"}
FORMAT = {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000}
HELP = "How can I help you today?"


def client(key="key"):
    url = os.environ["CARTESIA_URL"]
    return Cartesia(api_key=key, base_url=url, websocket_base_url=url.replace("http", "ws", 1), max_retries=0)


def request(context, transcript, **more):
    return {"model_id": "sonic-3", "voice": VOICE, "output_format": FORMAT, "context_id": context,
            "transcript": transcript, "add_timestamps": True, "max_buffer_delay_ms": 0} | more


class Talk:
    """A connection of the package, in which everything received is judged."""

    def __init__(self, connection):
        self.connection = connection
        self.received = []

    def next(self):
        raw = self.connection.recv_bytes(timeout=PATIENCE)
        verdict = judge.Verdict()
        line = {"story": "live", "text": raw.decode(), "excused_keys": [], "excused_types": []}
        judge.judge_message(verdict, SERVER, line)
        verdict.close()
        event = self.connection.parse_event(raw)
        self.received.append(event)
        return event

    def until(self, kind, context):
        while True:
            event = self.next()
            if event.type == kind and event.context_id == context:
                return event

    def audio(self, context):
        return b"".join(e.audio for e in self.received if e.type == "chunk" and e.context_id == context)


def connect(key="key", **more):
    return client(key).tts.websocket_connect(**more)


def test_two_contexts_are_spoken_over_one_socket_with_the_times_of_their_words():
    with connect() as connection:
        talk = Talk(connection)
        connection.send(request("one", "How can ", **{"continue": True, "max_buffer_delay_ms": 3000}))
        connection.send(request("two", HELP, **{"continue": True}))
        connection.send(request("two", "", **{"continue": True, "flush": True}))
        connection.send(request("one", "I help you today?", **{"continue": False, "max_buffer_delay_ms": 3000}))
        assert talk.until("flush_done", "two").flush_id == 1
        connection.send(request("two", "", **{"continue": False}))
        done = set()
        while done != {"one", "two"}:
            event = talk.next()
            assert event.type != "error", event
            if event.type == "done":
                done.add(event.context_id)
        assert talk.audio("one") == talk.audio("two") and len(talk.audio("one")) > 4_000
        times = [e.word_timestamps for e in talk.received if e.type == "timestamps" and e.context_id == "one"]
        assert " ".join(word for time in times for word in time.words) == HELP
        ends = [end for time in times for end in time.end]
        assert ends == sorted(ends) and abs(ends[-1] - len(talk.audio("one")) / 8_000) < 0.02


def test_the_packages_own_context_is_pushed_to_and_received_from():
    with connect() as connection:
        context = connection.context(model_id="sonic-3", voice=VOICE, output_format=FORMAT, add_timestamps=True)
        for piece in ["How can ", "I he", "lp you today?"]:
            context.push(piece)
        context.no_more_inputs()
        kinds = [event.type for event in context.receive()]
        assert {"chunk", "timestamps"} <= set(kinds)


def test_a_context_is_cancelled_and_another_one_begins():
    with connect() as connection:
        talk = Talk(connection)
        connection.send(request("one", HELP, **{"continue": True}))
        talk.until("chunk", "one")
        connection.send({"context_id": "one", "cancel": True})
        talk.until("done", "one")
        connection.send(request("two", HELP))
        talk.until("done", "two")
        assert len(talk.audio("one")) <= len(talk.audio("two"))


def test_errors_are_read_and_name_their_context():
    with connect() as connection:
        talk = Talk(connection)
        connection.send(request("one", HELP, model_id="sonic-9"))
        error = talk.until("error", "one")
        assert (error.status_code, error.error_code) == (404, "model_not_found") and error.request_id
        connection.send(request("two", HELP, output_format=FORMAT | {"sample_rate": 11_025}))
        assert talk.until("error", "two").status_code == 400
        connection.send(request("three", HELP))
        talk.until("done", "three")


@pytest.mark.parametrize(
    "status, key, query", [(401, "other", {}), (400, "key", {"cartesia_version": "latest"})]
)
def test_a_refused_handshake_has_a_status_and_a_body(status, key, query):
    with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
        with connect(key, extra_query=query):
            pass
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["error_code"]


def test_what_our_wire_writes_is_what_the_package_would_send():
    verdict = judge.Verdict()
    for line in judge.on("to_engine", judge.overheard()):
        judge.judge_message(verdict, CLIENT, line)
    verdict.close(at_least=4)


def test_the_judge_bites():
    good = {"type": "chunk", "context_id": "c", "data": "//8=", "done": False, "status_code": 206, "step_time": 1.0}
    planted = [
        (SERVER, good | {"mood": "calm"}),
        (SERVER, {key: value for key, value in good.items() if key != "data"}),
        (SERVER, good | {"status_code": "206"}),
        (SERVER, good | {"type": "audio"}),
        (CLIENT, request("c", HELP, temperature=1)),
        (CLIENT, request("c", HELP, output_format=FORMAT | {"encoding": "mulaw"})),
        (CLIENT, {"context_id": "c", "cancel": False}),
    ]
    sound = [(SERVER, good), (CLIENT, request("c", HELP))]
    for (adapter, message), wrong in [(pair, False) for pair in sound] + [(pair, True) for pair in planted]:
        verdict = judge.Verdict()
        line = {"story": "planted", "text": json.dumps(message), "excused_keys": [], "excused_types": []}
        judge.judge_message(verdict, adapter, line)
        assert bool(verdict.wrong) == wrong, message
