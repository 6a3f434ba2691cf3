"""OpenAI's package reads what our simulated service and our engine say, and talks with the simulated service."""

import asyncio
import base64
import collections.abc
import importlib
import json
import os
import pkgutil

import openai
import openai.types.realtime
import pydantic
import pytest
import typing_extensions
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from openai.types.realtime.realtime_client_event_param import RealtimeClientEventParam

import judge

OVERHEARD = judge.overheard()
SERVER = pydantic.TypeAdapter(RealtimeServerEvent)
CLIENT = pydantic.TypeAdapter(RealtimeClientEvent)

# The service sends these, and the package's models do not list them.
UNLISTED = {"session.id", "session.object", "session.expires_at"}
PATIENCE = 20.0
MODEL = "gpt-realtime-2.1"


def client(url="SERVICE_URL", key="key"):
    return AsyncOpenAI(base_url=os.environ[url], api_key=key, max_retries=0)


# --- models -------------------------------------------------------------------------------------------------------


def forbid_unknown_keys():
    """Makes every dict type of the realtime interface refuse the keys it does not list."""
    count = 0
    for module in pkgutil.iter_modules(openai.types.realtime.__path__):
        module = importlib.import_module(f"openai.types.realtime.{module.name}")
        for value in vars(module).values():
            if typing_extensions.is_typeddict(value) and value.__module__.startswith("openai.types"):
                value.__pydantic_config__ = pydantic.ConfigDict(extra="forbid")
                count += 1
    assert count > 50
    return pydantic.TypeAdapter(RealtimeClientEventParam)


def unrolled(value):
    """Iterables are only checked while they are read."""
    if isinstance(value, dict):
        return {key: unrolled(entry) for key, entry in value.items()}
    if isinstance(value, (str, bytes)) or not isinstance(value, collections.abc.Iterable):
        return value
    return [unrolled(entry) for entry in value]


def test_every_message_of_our_engine_is_one_that_openais_clients_send():
    verdict = judge.Verdict()
    kinds = {judge.judge_message(verdict, CLIENT, line) for line in judge.on("to_engine", OVERHEARD)}
    verdict.close(at_least=5_000)
    assert kinds == {
        "session.update",
        "input_audio_buffer.append",
        "conversation.item.create",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
    }, "every sort that the engine knows was said in some story, and no other"


def test_every_message_of_our_engine_fits_the_types_that_a_client_is_checked_against():
    adapter = forbid_unknown_keys()
    judged = 0
    for line in judge.on("to_engine", OVERHEARD):
        message = json.loads(line["text"])
        judged += 1
        try:
            read = unrolled(adapter.validate_python(message))
        except pydantic.ValidationError as error:
            told = [e for e in error.errors() if e["type"] != "literal_error"]
            pytest.fail(f"{line['story']}: {line['text'][:600]}\n{told}")
        assert judge.same(read, message), line
    assert judged > 5_000
    # The adapter does refuse.
    for wrong in [
        {"type": "response.cancel", "why": "late"},
        {"type": "session.update", "session": {"type": "realtime", "voice": "marin"}},
        {"type": "input_audio_buffer.append"},
    ]:
        with pytest.raises(pydantic.ValidationError):
            unrolled(adapter.validate_python(wrong))


def test_every_message_of_the_simulated_service_is_one_that_openais_clients_receive():
    verdict = judge.Verdict()
    lines = judge.on("from_engine", OVERHEARD)
    kinds = {judge.judge_message(verdict, SERVER, line, UNLISTED) for line in lines} - {None}
    verdict.close(at_least=2_000)
    assert kinds == {
        "conversation.created",
        "conversation.item.added",
        "conversation.item.deleted",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.failed",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "error",
        "input_audio_buffer.cleared",
        "input_audio_buffer.committed",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.timeout_triggered",
        "rate_limits.updated",
        "response.content_part.added",
        "response.content_part.done",
        "response.created",
        "response.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_item.added",
        "response.output_item.done",
        "session.created",
        "session.updated",
    }


def test_responses_end_in_every_way_and_the_models_know_each():
    ends = set()
    for line in judge.on("from_engine", OVERHEARD):
        message = json.loads(line["text"])
        if message["type"] == "response.done":
            response = SERVER.validate_python(message).response
            ends.add((response.status, response.status_details and response.status_details.reason))
    assert {("completed", None), ("cancelled", "turn_detected"), ("failed", None)} <= ends
    assert {("incomplete", "content_filter"), ("incomplete", "max_output_tokens")} <= ends


def test_what_stories_excuse_does_happen():
    seen = set()
    for line in judge.on("from_engine", OVERHEARD):
        message = json.loads(line["text"])
        seen |= (set(line["excused_keys"]) & message.keys()) | ({message["type"]} & set(line["excused_types"]))
    assert seen == {"trace", "session.metrics"}


# --- conversations ------------------------------------------------------------------------------------------------


def telephone(interrupts=True):
    return {
        "type": "realtime",
        "instructions": "You are a receptionist.",
        "output_modalities": ["audio"],
        "tools": [
            {"type": "function", "name": "record_booking", "description": "Books.", "parameters": {"type": "object", "properties": {}}}
        ],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "gpt-transcribe", "language": "en"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 500, "interrupt_response": interrupts},
            },
            "output": {"format": {"type": "audio/pcmu"}, "voice": "marin"},
        },
    }


class Talk:
    """A session by OpenAI's own client, in which everything received is judged."""

    def __init__(self, connection):
        self.connection = connection
        self.received = []

    async def next(self):
        raw = await asyncio.wait_for(self.connection.recv_bytes(), PATIENCE)
        verdict = judge.Verdict()
        line = {"story": "live", "text": raw.decode(), "excused_keys": [], "excused_types": []}
        judge.judge_message(verdict, SERVER, line, UNLISTED)
        verdict.close()
        event = self.connection.parse_event(raw)
        self.received.append(event)
        return event

    async def until(self, kind):
        while True:
            event = await self.next()
            assert event.type != "error" or kind == "error", event
            if event.type == kind:
                return event

    def all(self, kind):
        return [event for event in self.received if event.type == kind]

    async def say(self, recording, pace=0.002, silence=1.0):
        """Speaks in frames of 20 ms, ten times as fast as a person, and is silent for a while."""
        sound = judge.mulaw(recording) + b"\xff" * int(8_000 * silence)
        for frame in judge.chunks(sound, 160):
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame).decode())
            await asyncio.sleep(pace)

    async def words(self):
        """What was understood of the caller's last words: transcription runs beside the answer and may come later."""
        while not self.all("conversation.item.input_audio_transcription.completed"):
            await self.next()
        return self.all("conversation.item.input_audio_transcription.completed")[-1].transcript


def test_a_recorded_caller_is_understood_answered_aloud_and_booked_by_a_function():
    async def session():
        async with client().realtime.connect(model=MODEL) as connection:
            talk = Talk(connection)
            created = await talk.next()
            assert created.type == "session.created" and created.session.model == MODEL
            await connection.session.update(session=telephone())
            updated = await talk.until("session.updated")
            assert updated.session.audio.input.format.type == "audio/pcmu"
            await talk.say("caller-book")
            await talk.until("response.done")
            assert await talk.words() == "I'd like to book an appointment."
            sound = b"".join(base64.b64decode(event.delta, validate=True) for event in talk.all("response.output_audio.delta"))
            assert len(sound) > 8_000 and len(set(sound)) > 50, "more than a second, and not silence"
            assert talk.all("response.output_audio_transcript.done")[0].transcript
            for recording in ["caller-check-up", "caller-tuesday", "caller-name-alex"]:
                await talk.say(recording)
                await talk.until("response.done")
            await talk.say("caller-yes")
            arguments = await talk.until("response.function_call_arguments.done")
            assert arguments.name == "record_booking"
            pieces = [event.delta for event in talk.all("response.function_call_arguments.delta")]
            assert "".join(pieces) == arguments.arguments and json.loads(arguments.arguments)["name"] == "Alex Morgan"
            done = await talk.until("response.done")
            assert done.response.output[0].type == "function_call" and done.response.usage.total_tokens > 0
            answer = {"type": "function_call_output", "call_id": arguments.call_id, "output": '{"recorded":true}'}
            await connection.conversation.item.create(item=answer)
            await connection.response.create()
            done = await talk.until("response.done")
            assert (done.response.status, done.response.output[0].type) == ("completed", "message")

    asyncio.run(session())


def test_a_caller_who_talks_over_it_cuts_the_response_and_the_client_says_what_was_heard():
    async def session():
        async with client("SLOW_SERVICE_URL").realtime.connect(model=MODEL) as connection:
            talk = Talk(connection)
            await connection.session.update(session=telephone())
            words = [{"type": "input_text", "text": "I'd like to book an appointment."}]
            await connection.conversation.item.create(item={"type": "message", "role": "user", "content": words})
            await connection.response.create()
            first = await talk.until("response.output_audio.delta")
            await talk.say("caller-not-tuesday", silence=0.2)
            await talk.until("input_audio_buffer.speech_started")
            done = await talk.until("response.done")
            assert (done.response.status, done.response.status_details.reason) == ("cancelled", "turn_detected")
            await connection.conversation.item.truncate(item_id=first.item_id, content_index=0, audio_end_ms=100)
            truncated = await talk.until("conversation.item.truncated")
            assert (truncated.item_id, truncated.content_index, truncated.audio_end_ms) == (first.item_id, 0, 100)

    asyncio.run(session())


def test_a_mistake_is_answered_by_an_error_that_names_it_and_the_session_goes_on():
    async def session():
        async with client().realtime.connect(model=MODEL) as connection:
            talk = Talk(connection)
            await connection.response.cancel(event_id="mine")
            error = (await talk.until("error")).error
            assert (error.type, error.code, error.event_id) == ("invalid_request_error", "response_cancel_not_active", "mine")
            assert error.message
            await connection.conversation.item.truncate(item_id="item_nobodys", content_index=0, audio_end_ms=1, event_id="mine-2")
            assert (await talk.until("error")).error.event_id == "mine-2"
            await connection.send({"type": "session.update", "event_id": "mine-3", "session": {"type": "realtime", "voice": "marin"}})
            error = (await talk.until("error")).error
            assert (error.code, error.param) == ("unknown_parameter", "session.voice")
            await connection.session.update(session=telephone())
            await talk.until("session.updated")

    asyncio.run(session())


def test_the_models_are_listed_and_a_wrong_key_opens_nothing():
    async def knock():
        listed = [model async for model in await client().models.list()]
        assert [model.id for model in listed] == [MODEL, f"{MODEL}-mini"]
        assert all(model.object == "model" and model.created > 0 and model.owned_by for model in listed)
        stranger = client(key="another")
        with pytest.raises(openai.AuthenticationError) as refused:
            await stranger.models.list()
        assert (refused.value.status_code, refused.value.code) == (401, "invalid_api_key")
        for knocking, model, status in [(stranger, MODEL, 401), (client(), "gpt-nobody", 404)]:
            with pytest.raises(Exception) as refused:
                async with knocking.realtime.connect(model=model):
                    pass
            assert refused.value.response.status_code == status, refused.value

    asyncio.run(knock())
