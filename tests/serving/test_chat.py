"""OpenAI's chat about one picture: what is honoured of what its clients send, and one line for what cannot be had."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from openai import BadRequestError, OpenAI
from starlette.testclient import TestClient
from tokenizers import Tokenizer

from models.labels import Seen
from runtime.captioner import END, TOKENIZER
from runtime.generator import Request
from runtime.images import decode
from serving.dialects.openai_chat_bodies import IGNORED
from tests import tiny
from tests.versatile_bundle import NAME, SHOWN, base, encoded

CHAT = "/v1/chat/completions"
ONE = encoded()


def choice(both: TestClient, **asked: Any) -> dict[str, Any]:
    """The one choice of an answer, and what it cost in tokens."""
    answer = both.post(CHAT, json={"messages": SHOWN, "seed": 1, **asked})
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["choices"]
    return {
        "text": one["message"]["content"],
        "why": one["finish_reason"],
        "written": answer.json()["usage"]["completion_tokens"],
    }


def ids_of(both: TestClient, seed: int) -> tuple[list[int], Tokenizer]:
    """What the model writes about the picture, whole, and what spells it."""
    writer = cast("Any", both.app).state.registry.first.captioner
    picture = decode(ONE, writer.size)
    (row,) = writer.generator.generate([Request(Seen(picture, tiny.COLUMNS[0]), seed)]).tolist()
    return row, Tokenizer.from_file(str(writer.generator.bundle.path(TOKENIZER)))


def test_a_chat_counts_the_tokens_that_were_read_and_written(both: TestClient) -> None:
    client = OpenAI(base_url=f"{both.base_url}/v1", api_key="none", http_client=both, max_retries=0)
    messages: Any = SHOWN
    answer = client.chat.completions.create(model=NAME, messages=messages, n=4, seed=1)
    writer = cast("Any", both.app).state.registry.first.captioner
    picture, bundle = decode(ONE, writer.size), writer.generator.bundle
    captions = writer.caption([picture] * 4, range(1, 5))
    assert [one.message.content for one in answer.choices] == [one.text for one in captions]
    rows = writer.generator.generate([Request(Seen(picture, tiny.COLUMNS[0]), seed) for seed in range(1, 5)]).tolist()
    end = Tokenizer.from_file(str(bundle.path(TOKENIZER))).token_to_id(END)
    written = [row.index(end) + 1 if end in row else len(row) for row in rows]
    assert [one.written for one in captions] == written
    assert answer.usage is not None and answer.usage.completion_tokens == sum(written)
    assert answer.usage.prompt_tokens == bundle.manifest.picture_tokens[0]
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + sum(written)
    with pytest.raises(BadRequestError, match="stream: a caption is answered whole; accepted: false"):
        client.chat.completions.create(model=NAME, messages=messages, stream=True)


def test_a_chat_asks_for_a_kind_of_caption_as_a_caption_does(both: TestClient) -> None:
    for kind in tiny.COLUMNS:
        ours = both.post("/caption", json={"image": base(ONE), "as": kind, "n": 2, "seed": 1}).json()["captions"]
        theirs = both.post(CHAT, json={"messages": SHOWN, "as": kind, "n": 2, "seed": 1}).json()["choices"]
        assert [one["message"]["content"] for one in theirs] == [one["text"] for one in ours]


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens"])
def test_a_chat_is_cut_behind_as_many_tokens_as_it_may_have(both: TestClient, key: str) -> None:
    ids, tokenizer = ids_of(both, 1)
    end = tokenizer.token_to_id(END)
    whole = choice(both)
    length = ids.index(end) + 1 if end in ids else len(ids)
    assert whole["written"] == length > 3
    cut = choice(both, **{key: 3})
    assert cut["why"] == "length" and cut["written"] == 3
    assert whole["text"].startswith(cut["text"]) and 0 < len(cut["text"]) < len(whole["text"])
    assert choice(both, **{key: length}) == choice(both, **{key: 10_000}) == choice(both, **{key: -1}) == whole
    assert choice(both, max_tokens=9, max_completion_tokens=3) == choice(both, max_tokens=3, max_completion_tokens=9)


def test_a_chat_stops_before_the_first_text_that_it_is_to_stop_before(both: TestClient) -> None:
    whole = choice(both)
    first, stop = whole["text"][:4], whole["text"][4:7]
    assert stop not in first
    stopped = choice(both, stop=["never said", stop])
    assert stopped == {"text": first.strip(), "why": "stop", "written": stopped["written"]}
    assert stopped["written"] < whole["written"]
    assert choice(both, stop=stop) == stopped
    assert choice(both, stop=["never said", ""]) == choice(both, stop="") == choice(both, stop=[]) == whole
    assert choice(both, stop=stop, max_tokens=1)["why"] == "length"


def test_a_temperature_of_zero_says_the_same_every_time(both: TestClient) -> None:
    said = {choice(both, temperature=0, seed=None)["text"] for _ in range(4)}
    assert said == {choice(both, seed=0)["text"]}
    assert choice(both, temperature=0)["text"] == choice(both)["text"] not in said


def test_what_clients_send_at_its_default_and_what_changes_nothing_passes(both: TestClient) -> None:
    defaults = {
        "temperature": 1.0, "top_p": 1, "presence_penalty": 0.0, "frequency_penalty": 0, "logit_bias": {}, "n": 1,
        "logprobs": False, "top_logprobs": 0, "response_format": {"type": "text"}, "modalities": ["text"],
        "tools": [], "tool_choice": "auto", "functions": [], "stream": False, "stop": None, "audio": None,
    }  # fmt: skip
    assert choice(both, **defaults, **dict.fromkeys(IGNORED, "x")) == choice(both)
    assert choice(both, temperature=0.7, top_p=0.9) == choice(both)
    tool = {"type": "function", "function": {"name": "look"}}
    assert choice(both, tools=[tool], tool_choice="none") == choice(both)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"stream": True}, "stream: a caption is answered whole; accepted: false, or nothing"),
        ({"temperature": 2.5}, "temperature: Input should be less than or equal to 2"),
        ({"top_p": 0}, "top_p: Input should be greater than 0"),
        ({"temperature": "hot"}, "temperature: Input should be a valid number"),
        ({"presence_penalty": 1}, "presence_penalty: the words of a caption are not sampled; accepted: 0, or nothing"),
        ({"frequency_penalty": -1}, "frequency_penalty: the words of a caption are not sampled; accepted: 0"),
        ({"logit_bias": {"5": 3}}, "logit_bias: the words of a caption are not sampled; accepted: {}, or nothing"),
        ({"logprobs": True}, "logprobs: probabilities of words are not told; accepted: false, or nothing"),
        (
            {"response_format": {"type": "json_object"}},
            'response_format: a caption is plain text; accepted: {"type": "text"}, or nothing',
        ),
        ({"modalities": ["text", "audio"]}, 'modalities: a caption is plain text; accepted: ["text"], or nothing'),
        ({"audio": {"voice": "alloy"}}, "audio: a caption is plain text; accepted: nothing"),
        ({"tools": [{"type": "function"}]}, "tools: a caption calls no tools; accepted: [], or nothing"),
        ({"tool_choice": "required"}, 'tool_choice: a caption calls no tools; accepted: "auto" or "none", or nothing'),
        ({"functions": [{"name": "look"}]}, "functions: a caption calls no tools; accepted: [], or nothing"),
        ({"web_search_options": {}}, "web_search_options: nothing is looked up; accepted: nothing"),
        ({"max_tokens": 0}, "max_tokens: Input should be 1 or more, or -1 for no limit, got 0"),
        ({"max_completion_tokens": -2}, "max_completion_tokens: Input should be greater than or equal to -1, got -2"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop: Input should hold 4 texts at most"),
        ({"stop": 5}, "stop: Input should be a valid string or a valid list, got 5"),
        ({"max_tokns": 3}, "unknown key 'max_tokns'; did you mean 'max_tokens'?"),
        ({"repetition": 3}, "unknown key 'repetition'; accepted: as, audio, "),
    ],
)  # fmt: skip
def test_what_a_caption_cannot_be_is_refused_by_name(both: TestClient, asked: dict[str, Any], says: str) -> None:
    answer = both.post(CHAT, json={"messages": SHOWN, **asked})
    assert answer.status_code == 400, answer.text
    error, (key,) = answer.json()["error"], asked
    assert error["message"].startswith(says) and "\n" not in error["message"] and len(error["message"]) < 400
    assert error["type"] == "invalid_request_error" and error["param"] == key
    kinds = ("invalid_value", "unknown_parameter", "unsupported_value", "unsupported_parameter")
    assert error["code"] in kinds and ("unsupported" in error["code"]) == (
        ": Input" not in says and "unknown" not in says
    )


PICTURE = SHOWN[0]["content"][0]


@pytest.mark.parametrize(
    ("messages", "param", "says"),
    [
        ([{"content": [PICTURE]}], "messages[0].role", "messages[0].role is missing"),
        ([*SHOWN, {"content": "and this?"}], "messages[1].role", "messages[1].role is missing"),
        (
            [{"role": 5, "content": "hi"}],
            "messages[0].role",
            "messages[0].role: Input should be a valid string, got 5",
        ),
        ([*SHOWN, 5], "messages[1]", "messages[1]: Input should be an object of role and content, got 5"),
        (
            [{"role": "user", "content": 5}],
            "messages[0].content",
            "messages[0].content: Input should be text or a list of parts, objects of type image_url or text, got 5",
        ),
        (
            [{"role": "user", "content": [PICTURE, {"type": "input_audio"}]}],
            "messages[0].content[1].type",
            "messages[0].content[1].type 'input_audio' is unknown; accepted: image_url, text",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]}],
            "messages[0].content[0].image_url",
            "messages[0].content[0].image_url: addresses are not fetched; accepted: a data URL",
        ),
        (
            [{"role": "user", "content": [{"type": "image_url"}]}],
            "messages[0].content[0].image_url",
            "messages[0].content[0]: an image_url has no url; accepted: a data URL",
        ),
        ([*SHOWN, *SHOWN], "messages", "messages hold 2 pictures; accepted: one, as a data URL"),
    ],
)
def test_a_message_that_is_wrong_is_told_by_its_place(both: TestClient, messages: Any, param: str, says: str) -> None:
    answer = both.post(CHAT, content=json.dumps({"messages": messages}), headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert (answer.json()["error"]["message"], answer.json()["error"]["param"]) == (says, param)


def test_what_else_a_talk_holds_is_let_through(both: TestClient) -> None:
    talk = [
        {"role": "system", "content": "You describe pictures."},
        {"role": "user", "name": "me", "content": [{"type": "text", "text": "What is it?"}, PICTURE]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "tool_calls": []},
        {"role": "user", "content": "Do."},
    ]
    assert choice(both, messages=talk) == choice(both)
