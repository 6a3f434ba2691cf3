"""Groq's package talks with the simulated model, and reads what it says and what our wire writes."""

import collections.abc
import importlib
import json
import os
import pkgutil

import groq
import groq.types.chat
import groq.types.shared_params
import pydantic
import pytest
import typing_extensions
from groq.types.chat import ChatCompletionChunk
from groq.types.chat.completion_create_params import CompletionCreateParams

import judge

CHUNK = pydantic.TypeAdapter(ChatCompletionChunk)
MODEL = "openai/gpt-oss-120b"
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "Does it.", "parameters": {"type": "object", "properties": {}}}}
    for name in ("hang_up", "record_booking")
]


def client(url="GROQ_URL", key="key"):
    return groq.Groq(base_url=os.environ[url], api_key=key, max_retries=0, timeout=30.0)


def ask(words, url="GROQ_URL", key="key", **more):
    messages = words if isinstance(words, list) else [{"role": "user", "content": words}]
    options = dict(model=MODEL, messages=messages, tools=TOOLS, stream=True, reasoning_effort="low") | more
    return client(url, key).chat.completions.create(**options)


def judged(verdict, text):
    line = {"story": "live", "text": text, "excused_keys": [], "excused_types": []}
    judge.judge_message(verdict, CHUNK, line)
    return line


def test_a_streamed_reply_is_read_whole_and_has_no_key_that_is_not_known():
    verdict = judge.Verdict()
    events = [event.data for event in ask("I'd like to book an appointment.")._iter_events()]
    assert events[-1] == "[DONE]"
    for data in events[:-1]:
        judged(verdict, data)
    verdict.close(at_least=5)
    chunks = [CHUNK.validate_json(data) for data in events[:-1]]
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[0].x_groq.id.startswith("req_")
    assert any(chunk.choices[0].delta.reasoning for chunk in chunks if chunk.choices)
    assert chunks[-1].usage or chunks[-1].x_groq.usage


def test_words_and_tool_calls_are_gathered_by_the_package_and_the_conversation_goes_on():
    messages = [{"role": "system", "content": "You are a receptionist."}]
    for words in ["I'd like to book an appointment.", "Tuesday, please.", "My name is Alex Morgan.", "Yes, please."]:
        messages.append({"role": "user", "content": words})
        text, arguments, name, call_id, finish = "", "", None, None, None
        for chunk in ask(messages):
            if not chunk.choices:
                continue
            choice = chunk.choices[0]
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
            for call in choice.delta.tool_calls or []:
                call_id, name = call.id or call_id, call.function.name or name
                arguments += call.function.arguments or ""
        if finish == "stop":
            assert text
            messages.append({"role": "assistant", "content": text})
    assert (finish, name) == ("tool_calls", "record_booking"), text
    booking = json.loads(arguments)
    assert booking["name"] == "Alex Morgan"
    called = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    messages.append({"role": "assistant", "content": None, "tool_calls": [called]})
    messages.append({"role": "tool", "tool_call_id": call_id, "content": '{"booked":true}'})
    said = "".join(chunk.choices[0].delta.content or "" for chunk in ask(messages) if chunk.choices)
    assert said


def test_refusals_are_the_packages_own_exceptions():
    with pytest.raises(groq.AuthenticationError):
        ask("Hello.", key="other")
    with pytest.raises(groq.NotFoundError) as missing:
        ask("Hello.", model="llama-3.1-8b-instant", reasoning_effort=None)
    assert missing.value.body["error"]["code"] == "model_not_found"
    with pytest.raises(groq.BadRequestError):
        ask("Hello.", temperature=3)
    with pytest.raises(groq.BadRequestError):
        ask("Hello.", logprobs=True)
    assert [model.id for model in client().models.list().data] == [MODEL]


def test_everything_that_goes_wrong_with_a_reply_goes_wrong_in_the_package_too():
    """The service fails its first requests one after the other, each in another way."""
    with pytest.raises(groq.RateLimitError) as limited:
        ask("Hello.", url="FAILING_GROQ_URL")
    assert limited.value.response.headers["retry-after"] == "7"
    assert limited.value.body["error"]["code"] == "rate_limit_exceeded"
    with pytest.raises(groq.BadRequestError) as slip:
        ask("Hello.", url="FAILING_GROQ_URL")
    assert slip.value.body["error"]["code"] == "tool_use_failed" and slip.value.body["error"]["failed_generation"]
    for _ in ["an object", "an event"]:
        with pytest.raises(groq.APIError):
            list(ask("I'd like to book an appointment.", url="FAILING_GROQ_URL"))
    chunks = list(ask("I'd like to book an appointment.", url="FAILING_GROQ_URL"))
    assert chunks[-1].x_groq.error
    assert list(ask("I'd like to book an appointment.", url="FAILING_GROQ_URL"))[-1].choices[0].finish_reason == "length"


def forbid_unknown_keys():
    """Makes every dict type of the chat interface refuse the keys it does not list."""
    count = 0
    for package in (groq.types.chat, groq.types.shared_params):
        for module in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{module.name}")
            for value in vars(module).values():
                if typing_extensions.is_typeddict(value) and value.__module__.startswith("groq.types"):
                    value.__pydantic_config__ = pydantic.ConfigDict(extra="forbid")
                    count += 1
    assert count > 20
    return pydantic.TypeAdapter(CompletionCreateParams)


def unrolled(value):
    """Iterables are only checked while they are read."""
    if isinstance(value, dict):
        return {key: unrolled(entry) for key, entry in value.items()}
    if isinstance(value, (str, bytes)) or not isinstance(value, collections.abc.Iterable):
        return value
    return [unrolled(entry) for entry in value]


def test_what_our_wire_writes_fits_the_types_that_a_client_is_checked_against():
    adapter = forbid_unknown_keys()
    lines = judge.on("to_engine", judge.overheard())
    assert len(lines) >= 3
    for line in lines:
        message = json.loads(line["text"])
        assert judge.same(unrolled(adapter.validate_python(message)), message), line
        for wrong in [message | {"colour": "blue"}, message | {"messages": [{"role": "user"}]}, message | {"stop": 7}]:
            with pytest.raises(pydantic.ValidationError):
                unrolled(adapter.validate_python(wrong))


def test_the_judge_bites():
    good = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": None, "finish_reason": None}]}
    choice = good["choices"][0]
    planted = [
        good | {"mood": "calm"},
        good | {"object": "chunk"},
        good | {"created": "1"},
        good | {"choices": [choice | {"finish_reason": "tired"}]},
        good | {"choices": [choice | {"delta": {"words": "a"}}]},
        good | {"choices": [choice | {"delta": {"tool_calls": [{"id": "a"}]}}]},
    ]
    for message, wrong in [(good, False)] + [(message, True) for message in planted]:
        verdict = judge.Verdict()
        judged(verdict, json.dumps(message))
        assert bool(verdict.wrong) == wrong, message
