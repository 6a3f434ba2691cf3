"""What the judges of all vendors share: strictness that the vendors' models leave out, paper, and a caller's voice.

The vendors' models are made for clients and therefore forgiving: they keep keys they do not know and turn one type into
another. Here every key must be known and every value must come out as it went in.
"""

import json
import os
import pathlib

import pydantic


def lines(name):
    """The lines of JSON that the Rust side wrote, by the environment variable that says where."""
    text = pathlib.Path(os.environ[name]).read_text(encoding="utf-8")
    # Not splitlines: what the lines hold may have line separators of other alphabets.
    return [json.loads(line) for line in text.split("\n") if line]


def write(name, entries):
    """The same the other way round."""
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    pathlib.Path(os.environ[name]).write_text(text, encoding="utf-8")


def overheard():
    """All messages of all stories: dicts with story, wire, text, excused_keys, excused_types."""
    return lines("OVERHEARD")


def on(wire, lines):
    return [line for line in lines if line["wire"] == wire]


def unknown_keys(model, path=""):
    """Paths of the keys that the model kept though no field of it has their name."""
    if isinstance(model, pydantic.BaseModel):
        for key in model.model_extra or {}:
            yield f"{path}.{key}".lstrip(".")
        for name in type(model).model_fields:
            yield from unknown_keys(getattr(model, name), f"{path}.{name}")
    elif isinstance(model, dict):
        for key, value in model.items():
            yield from unknown_keys(value, f"{path}.{key}")
    elif isinstance(model, (list, tuple)):
        for index, value in enumerate(model):
            yield from unknown_keys(value, f"{path}[{index}]")


def as_sent(model):
    """The model as the JSON it was read from: what was not sent is left out."""
    if isinstance(model, pydantic.BaseModel):
        fields = type(model).model_fields
        names = {name: field.alias or name for name, field in fields.items()}
        sent = {names.get(name, name): as_sent(getattr(model, name)) for name in model.model_fields_set}
        return sent
    if isinstance(model, dict):
        return {key: as_sent(value) for key, value in model.items()}
    if isinstance(model, (list, tuple)):
        return [as_sent(value) for value in model]
    return model


def same(one, other):
    """Equal, and of equal types: 1 is 1.0, as in JSON, but neither is "1" nor true."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    numbers = (int, float)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, numbers) and isinstance(other, numbers):
        return one == other
    return type(one) is type(other) and one == other


class Verdict:
    """Collects what is wrong, so that one run shows all of it."""

    def __init__(self):
        self.judged = 0
        self.wrong = {}

    def add(self, what, line):
        self.wrong.setdefault(what, line)

    def close(self, at_least=1):
        assert not self.wrong, "\n".join(
            f"{what}\n    in {line['story']!r}: {line['text'][:600]}" for what, line in self.wrong.items()
        )
        assert self.judged >= at_least, f"only {self.judged} messages were judged"


def judge_message(verdict, adapter, line, known_exceptions=()):
    """One message must be read by the vendor's models, as the type it names, whole, and without unknown keys.

    Gives the type, or nothing if the story says that the vendor does not list it.
    """
    message = json.loads(line["text"])
    kind = message.get("type")
    if kind in line["excused_types"]:
        return None
    verdict.judged += 1
    try:
        model = adapter.validate_python(message)
    except pydantic.ValidationError as error:
        # Of a union, the branches of other types have nothing to say.
        told = {f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors() if e["type"] != "literal_error"}
        verdict.add(f"{kind} is refused: {sorted(told)[:6]}", line)
        return kind
    if getattr(model, "type", None) != kind:
        verdict.add(f"{kind} is taken for {type(model).__name__}", line)
    for path in unknown_keys(model):
        if path.split(".")[-1] not in line["excused_keys"] and path not in known_exceptions:
            verdict.add(f"{kind} has the unknown key {path}", line)
    if not same(as_sent(model), message):
        verdict.add(f"{kind} comes out otherwise than it went in", line)
    return kind


def mulaw(recording):
    """The codes of a recorded caller: mu-law at 8 kHz."""
    data = (pathlib.Path(os.environ["RECORDINGS"]) / "recordings" / f"{recording}.wav").read_bytes()
    assert data[:4] == b"RIFF" and data[8:12] == b"WAVE" and data[20:22] == b"\x07\x00", recording
    at = 12
    while data[at : at + 4] != b"data":
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return data[at + 8 : at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")]


def _linear(code):
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)
    return (0x84 - magnitude) if code & 0x80 else (magnitude - 0x84)


_TABLE = [_linear(code).to_bytes(2, "little", signed=True) for code in range(256)]


def linear16(recording):
    """The same as little-endian samples of 16 bits."""
    return b"".join(_TABLE[code] for code in mulaw(recording))


def chunks(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]
