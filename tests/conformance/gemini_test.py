"""Google's package reads what we ask and what our simulated Gemini answers, and asks the simulated Gemini itself."""

import json
import os

import httpx2
import pytest
from google import genai
from google.genai import errors, types

import judge

(OURS,) = judge.lines("ASKED")
MODEL = os.environ["MODEL"]


def client(url="GEMINI_URL", key="key", timeout=20_000):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=os.environ[url], timeout=timeout))


def ask(url="GEMINI_URL", key="key", timeout=20_000, **question):
    # The client closes its connections when it is collected: it has to outlive the question.
    with client(url, key, timeout) as service:
        return service.models.generate_content(**question)


def our_question():
    """What we ask, as arguments of the package."""
    config = OURS["generationConfig"]
    return {
        "model": MODEL,
        "contents": [types.Content.model_validate(content) for content in OURS["contents"]],
        "config": types.GenerateContentConfig(
            system_instruction=types.Content.model_validate(OURS["systemInstruction"]),
            safety_settings=[types.SafetySetting.model_validate(setting) for setting in OURS["safetySettings"]],
            response_mime_type=config["responseMimeType"],
            response_json_schema=config["responseJsonSchema"],
            max_output_tokens=config["maxOutputTokens"],
            thinking_config=types.ThinkingConfig.model_validate(config["thinkingConfig"]),
        ),
    }


def test_what_we_ask_is_what_the_package_knows():
    # The models forbid keys that they do not know.
    types.GenerationConfig.model_validate(OURS["generationConfig"])
    assert set(OURS) == {"contents", "systemInstruction", "safetySettings", "generationConfig"}


def test_every_word_we_know_is_one_of_the_packages():
    (words,) = judge.lines("WORDS")
    for name, known in words.items():
        theirs = {member.value for member in getattr(types, name)}
        assert set(known) <= theirs, (name, set(known) - theirs)


def test_the_package_asks_and_is_answered_by_the_schema():
    answer = ask(**our_question())
    (candidate,) = answer.candidates
    assert candidate.finish_reason == types.FinishReason.STOP
    assert candidate.content.parts[0].thought and len(candidate.content.parts) == 3
    verdict = json.loads(answer.text)
    schema = OURS["generationConfig"]["responseJsonSchema"]
    assert set(verdict) == set(schema["required"]), "all that is required, and nothing else"
    assert (verdict["outcome"], verdict["evidence"]) == ("yes", "You are booked for Tuesday at ten.")
    assert verdict["fields"]["name"] == "Alex Morgan"
    usage = answer.usage_metadata
    parts = usage.prompt_token_count + usage.candidates_token_count + usage.thoughts_token_count
    assert usage.total_token_count == parts


def test_the_package_finds_the_model_that_is_asked_by_name():
    with client() as service:
        model = service.models.get(model=MODEL)
    assert model.name == f"models/{MODEL}" and "generateContent" in model.supported_actions
    described = httpx2.get(f"{os.environ['GEMINI_URL']}/v1beta/models/{MODEL}", headers={"x-goog-api-key": "key"})
    # The package gives two of the keys names of its own.
    theirs = {"supportedGenerationMethods": "supportedActions"}
    types.Model.model_validate({theirs.get(name, name): value for name, value in described.json().items()})
    with client() as service, pytest.raises(errors.ClientError) as unknown:
        service.models.get(model="gemini-1.0-pro")
    assert unknown.value.code == 404


def test_every_key_of_an_answer_is_one_of_the_packages():
    response = httpx2.post(
        f"{os.environ['GEMINI_URL']}/v1beta/models/{MODEL}:generateContent", json=OURS, headers={"x-goog-api-key": "key"}
    )
    assert response.status_code == 200
    types.GenerateContentResponse.model_validate(response.json())


def test_another_schema_is_answered_in_its_shape():
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema={
            "type": "object",
            "properties": {"outcome": {"type": "string", "enum": ["yes", "no", "unclear"]}, "tags": {"type": "array", "items": {"type": "string"}}},
            "required": ["outcome", "tags"],
        },
    )
    answer = ask(model=MODEL, contents="[1] caller: Wrong number.", config=config)
    assert json.loads(answer.text) == {"outcome": "no", "tags": []}


def test_what_is_wrong_is_refused_as_the_service_refuses_it():
    with pytest.raises(errors.ClientError) as refused:
        ask(key="another", **our_question())
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert refused.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    with pytest.raises(errors.ClientError) as unknown:
        ask(**{**our_question(), "model": "gemini-1.0-pro"})
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    both = types.GenerateContentConfig(
        thinking_config=types.ThinkingConfig(thinking_level="LOW", thinking_budget=0)
    )
    with pytest.raises(errors.ClientError) as confused:
        ask(model=MODEL, contents="Hello", config=both)
    assert confused.value.code == 400


def test_every_failure_reaches_the_package_as_the_service_would_send_it():
    # In the order in which the simulator fails.
    def failing(**patience):
        return ask("FAILING_GEMINI_URL", **patience, **our_question())

    with pytest.raises(errors.ClientError) as limited:
        failing()
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert "22.5s" in str(limited.value.details)
    with pytest.raises(errors.ServerError) as overloaded:
        failing()
    assert (overloaded.value.code, overloaded.value.status) == (503, "UNAVAILABLE")
    blocked = failing()
    assert blocked.prompt_feedback.block_reason == types.BlockedReason.PROHIBITED_CONTENT and not blocked.candidates
    withheld = failing()
    assert withheld.candidates[0].finish_reason == types.FinishReason.SAFETY and not withheld.text
    cut = failing()
    assert cut.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    with pytest.raises(json.JSONDecodeError):
        json.loads(cut.text)
    assert not failing().candidates
    with pytest.raises(httpx2.TimeoutException):
        failing(timeout=1_000)
