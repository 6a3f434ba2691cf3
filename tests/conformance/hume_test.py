"""Hume's package reads what our simulated EVI and our engine say, and talks with the simulated EVI."""

import asyncio
import base64
import hashlib
import hmac
import inspect
import io
import json
import os
import urllib.parse
import wave

import pydantic
import pytest
from hume.client import AsyncHumeClient
from hume.core.api_error import ApiError
from hume.empathic_voice.chat.client import AsyncChatClient
from hume.empathic_voice.chat.types.publish_event import PublishEvent
from hume.empathic_voice.types import (
    AudioConfiguration,
    AudioInput,
    ConnectSessionSettings,
    ConnectSessionSettingsAudio,
    SessionSettings,
    SubscribeEvent,
    Tool,
    ToolResponseMessage,
    UserInput,
    WebhookEventChatEnded,
    WebhookEventChatStarted,
)

import judge

OVERHEARD = judge.overheard()
SERVER = pydantic.TypeAdapter(SubscribeEvent)
CLIENT = pydantic.TypeAdapter(PublishEvent)

TELEPHONE = AudioConfiguration(encoding="linear16", sample_rate=8000, channels=1)
PATIENCE = 20.0


def client(url="EVI_URL", key="key"):
    return AsyncHumeClient(base_url=os.environ[url], api_key=key)


# --- models -------------------------------------------------------------------------------------------------------


def test_every_message_of_our_engine_is_one_that_humes_clients_publish():
    verdict = judge.Verdict()
    kinds = {judge.judge_message(verdict, CLIENT, line) for line in judge.on("to_engine", OVERHEARD)}
    verdict.close(at_least=10_000)
    assert kinds == {
        "session_settings",
        "audio_input",
        "assistant_input",
        "user_input",
        "tool_response",
        "tool_error",
    }, "every sort that the engine knows was said in some story, and no other"


def test_every_message_of_the_simulated_evi_is_one_that_humes_clients_subscribe_to():
    verdict = judge.Verdict()
    kinds = {judge.judge_message(verdict, SERVER, line) for line in judge.on("from_engine", OVERHEARD)} - {None}
    verdict.close(at_least=500)
    assert kinds == {
        "assistant_end",
        "assistant_message",
        "assistant_prosody",
        "audio_output",
        "chat_metadata",
        "error",
        "session_settings",
        "tool_call",
        "user_interruption",
        "user_message",
    }


def test_what_stories_excuse_does_happen_and_is_read_by_the_models_all_the_same():
    seen = set()
    for line in judge.on("from_engine", OVERHEARD):
        message = json.loads(line["text"])
        seen |= set(line["excused_keys"]) & message.keys()
        seen |= {message["type"]} & set(line["excused_types"])
    assert seen == {"is_final_chunk", "trace", "speech_rate"}


def test_the_addresses_that_we_dial_hold_only_parameters_of_humes_client():
    known = set(inspect.signature(AsyncChatClient.connect).parameters) - {"self", "request_options", "session_settings"}
    handshakes = judge.on("handshake", OVERHEARD)
    seen = set()
    for line in handshakes:
        path, _, query = line["text"].partition("?")
        assert path == "/v0/evi/chat"
        settings = {}
        for name, value in urllib.parse.parse_qsl(query, strict_parsing=True):
            outer, *inner = name.replace("]", "").split("[")
            seen.add(outer)
            if outer != "session_settings":
                assert outer in known and outer not in ("api_key", "access_token"), line["text"]
                continue
            place = settings
            for key in inner[:-1]:
                place = place.setdefault(key, {})
            place[inner[-1]] = value
        model = ConnectSessionSettings.model_validate(settings)
        assert list(judge.unknown_keys(model)) == [], line["text"]
        assert (model.audio.encoding, model.audio.sample_rate, model.audio.channels) == ("linear16", 8000, 1)
    assert {"session_settings", "resumed_chat_group_id"} <= seen, "some story resumed a chat"


# --- conversations ------------------------------------------------------------------------------------------------


class Talk:
    """A chat by Hume's own client, in which everything received is judged."""

    def __init__(self, socket):
        self.socket = socket
        self.received = []

    async def next(self):
        event = await asyncio.wait_for(self.socket.recv(), PATIENCE)
        assert list(judge.unknown_keys(event)) == [], event
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

    async def say(self, recording, pace=0.002, silence=1.2):
        """Speaks in frames of 20 ms, ten times as fast as a person, and is silent for a while."""
        sound = judge.linear16(recording) + bytes(int(16_000 * silence))
        for frame in judge.chunks(sound, 320):
            await self.socket.send_publish(AudioInput(data=base64.b64encode(frame).decode()))
            await asyncio.sleep(pace)


def booking_settings():
    tool = Tool(name="record_booking", type="function", parameters='{"type":"object","properties":{}}', description="Books.")
    return SessionSettings(audio=TELEPHONE, system_prompt="You are a receptionist.", tools=[tool], custom_session_id="call-1")


def test_a_recorded_caller_is_understood_and_answered_aloud():
    async def chat():
        async with client().empathic_voice.chat.connect() as socket:
            talk = Talk(socket)
            assert (await talk.next()).type == "chat_metadata"
            await socket.send_publish(booking_settings())
            await talk.say("caller-book")
            await talk.until("assistant_end")
            return talk

    talk = asyncio.run(chat())
    (user,) = talk.all("user_message")
    assert user.message.content == "I'd like to book an appointment."
    assert (user.message.role, user.interim, user.from_text, user.custom_session_id) == ("user", False, False, "call-1")
    assert len(user.models.prosody.scores.model_dump()) == 48 and user.time.end > user.time.begin
    spoken = {event.id for event in talk.all("assistant_message")}
    audio = talk.all("audio_output")
    assert spoken and {event.id for event in audio} == spoken
    for event in audio:
        with wave.open(io.BytesIO(base64.b64decode(event.data, validate=True))) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 48_000)
            assert file.getnframes() > 4_800 and any(file.readframes(file.getnframes()))


def test_settings_may_stand_in_the_address():
    async def chat():
        audio = ConnectSessionSettingsAudio(encoding="linear16", sample_rate=8000, channels=1)
        settings = ConnectSessionSettings(audio=audio, custom_session_id="call-2")
        async with client().empathic_voice.chat.connect(session_settings=settings, verbose_transcription=True) as socket:
            talk = Talk(socket)
            await talk.say("caller-hours")
            user = await talk.until("user_message")
            while user.interim:
                user = await talk.until("user_message")
            assert user.custom_session_id == "call-2"
            assert user.message.content == "What are your opening hours?"

    asyncio.run(chat())


def test_a_tool_is_called_and_the_answer_ends_its_turn():
    async def chat():
        async with client().empathic_voice.chat.connect() as socket:
            talk = Talk(socket)
            await socket.send_publish(booking_settings())
            for recording in ["caller-book", "caller-check-up", "caller-tuesday", "caller-name-alex"]:
                await talk.say(recording)
                await talk.until("assistant_end")
            await talk.say("caller-yes")
            call = await talk.until("tool_call")
            assert (call.name, call.tool_type, call.response_required) == ("record_booking", "function", True)
            assert json.loads(call.parameters)["name"] == "Alex Morgan"
            turns = len(talk.all("assistant_end"))
            await socket.send_publish(ToolResponseMessage(tool_call_id=call.tool_call_id, content='{"recorded":true}'))
            await talk.until("assistant_end")
            assert len(talk.all("assistant_end")) == turns + 1

    asyncio.run(chat())


def test_a_caller_who_talks_over_it_interrupts():
    async def chat():
        async with client("SLOW_EVI_URL").empathic_voice.chat.connect() as socket:
            talk = Talk(socket)
            await socket.send_publish(booking_settings())
            await socket.send_publish(UserInput(text="I'd like to book an appointment."))
            await talk.until("audio_output")
            await talk.say("caller-not-tuesday", silence=0.4)
            interruption = await talk.until("user_interruption")
            assert interruption.time > 0
            await talk.until("assistant_end")

    asyncio.run(chat())


def test_a_chat_is_resumed_and_the_history_tells_of_both_in_pages():
    async def chat():
        hume = client()
        async with hume.empathic_voice.chat.connect() as socket:
            talk = Talk(socket)
            first = await talk.next()
            await socket.send_publish(booking_settings())
            await socket.send_publish(UserInput(text="I'd like to book an appointment."))
            await talk.until("assistant_end")
        async with hume.empathic_voice.chat.connect(resumed_chat_group_id=first.chat_group_id) as socket:
            talk = Talk(socket)
            second = await talk.next()
            await socket.send_publish(booking_settings())
            await socket.send_publish(UserInput(text="Tuesday at ten, please."))
            await talk.until("assistant_end")
        assert second.chat_group_id == first.chat_group_id and second.chat_id != first.chat_id

        def known(model):
            assert list(judge.unknown_keys(model)) == [], model
            return model

        api = hume.empathic_voice
        listed = []
        pager = await api.chats.list_chats(page_number=0, page_size=2, ascending_order=False)
        async for entry in pager:
            listed.append(known(entry))
        ids = [entry.id for entry in listed]
        assert len(ids) > 2 and len(set(ids)) == len(ids), "more than a page, and nothing twice"
        assert ids[0] == second.chat_id and first.chat_id in ids

        async def all_of(list_events, id, page_size):
            # The package asks for page after page until one is empty.
            pages = await list_events(id, page_size=page_size, ascending_order=True)
            return [known(entry) async for entry in pages]

        def is_history(events):
            stamps = [entry.timestamp for entry in events]
            assert stamps == sorted(stamps) and len({entry.id for entry in events}) == len(events)
            # Milliseconds: in seconds, these would be years after 30,000.
            assert all(1_000_000_000_000 < stamp < 10_000_000_000_000 for stamp in stamps), stamps

        events = await all_of(api.chats.list_chat_events, first.chat_id, 2)
        is_history(events)
        kinds = [entry.type for entry in events]
        assert "USER_MESSAGE" in kinds and "AGENT_MESSAGE" in kinds and len(kinds) > 2, "more than a page"
        assert events == await all_of(api.chats.list_chat_events, first.chat_id, 100)
        said = [entry.message_text for entry in events if entry.type == "USER_MESSAGE"]
        assert said == ["I'd like to book an appointment."]

        groups = []
        async for entry in await api.chat_groups.list_chat_groups(page_size=2):
            groups.append(known(entry))
        (group,) = [entry for entry in groups if entry.id == first.chat_group_id]
        assert (group.num_chats, group.most_recent_chat_id) == (2, second.chat_id)
        both = known(await api.chat_groups.get_chat_group(first.chat_group_id, page_size=10))
        assert [entry.id for entry in both.chats_page] == [first.chat_id, second.chat_id]
        of_group = await all_of(api.chat_groups.list_chat_group_events, first.chat_group_id, 3)
        is_history(of_group)
        of_second = await all_of(api.chats.list_chat_events, second.chat_id, 3)
        assert [entry.id for entry in of_group] == [entry.id for entry in events + of_second], "all of both, in order"
        assert "Tuesday at ten, please." in [entry.message_text for entry in of_second]

        with pytest.raises(ApiError) as missing:
            await api.chat_groups.get_chat_group("00000000-0000-4000-8000-000000000000")
        assert missing.value.status_code == 404

    asyncio.run(chat())


def test_a_wrong_key_opens_nothing():
    async def knock():
        stranger = client(key="another")
        with pytest.raises(ApiError) as refused:
            async with stranger.empathic_voice.chat.connect():
                pass
        assert (refused.value.status_code, refused.value.body) == (401, "Websocket initialized with invalid credentials.")
        with pytest.raises(ApiError) as refused:
            await stranger.empathic_voice.chats.list_chats()
        assert refused.value.status_code == 401
        with pytest.raises(ApiError) as gone:
            async with client().empathic_voice.chat.connect(resumed_chat_group_id="00000000-0000-4000-8000-000000000000"):
                pass
        assert gone.value.status_code == 404

    asyncio.run(knock())


# --- webhooks -----------------------------------------------------------------------------------------------------


def signature(key, body, timestamp):
    """Hume: "Webhooks": the body, a dot and the timestamp, under HMAC-SHA256, as hexadecimal digits."""
    return hmac.new(key.encode(), f"{body}.{timestamp}".encode(), hashlib.sha256).hexdigest()


def test_webhooks_are_signed_as_humes_example_checks_them():
    deliveries = judge.lines("WEBHOOKS")
    assert len(deliveries) >= 3
    for delivery in deliveries:
        expected = signature(delivery["key"], delivery["body"], delivery["timestamp"])
        assert hmac.compare_digest(expected, delivery["signature"]), delivery


def test_our_receiver_is_given_deliveries_made_by_humes_example():
    started = WebhookEventChatStarted(
        chat_group_id="g", chat_id="c", start_time=1_790_000_000_123, chat_start_type="new_chat_group", event_name="chat_started"
    )
    ended = WebhookEventChatEnded(
        chat_group_id="g", chat_id="c", end_time=1_790_000_060_123, duration_seconds=60, end_reason="USER_ENDED", event_name="chat_ended"
    )
    at, key = "1790000000", "a-webhook-signing-key"
    entries = []
    for event in (started, ended):
        body = event.json()
        good = signature(key, body, at)
        for sent, stamp, genuine in [(body, at, True), (body + " ", at, False), (body, "1790000001", False)]:
            entries.append({"key": key, "body": sent, "timestamp": stamp, "signature": good, "genuine": genuine})
    judge.write("SIGNED_OUT", entries)
