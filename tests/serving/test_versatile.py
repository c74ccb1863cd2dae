"""Pictures and words over HTTP, both ways: what is drawn for whom, what is said, and one line for whatever cannot be."""

from __future__ import annotations

import base64
import gc
import hashlib
import io
import json
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ippo import app
from runtime.manifest import MANIFEST
from serving.application import application
from serving.serve_config import ServeConfig
from tests.versatile_bundle import NAME, SHOWN, base, encoded, write_versatile

VARIATIONS, EDITS, CHAT = "/v1/images/variations", "/v1/images/edits", "/v1/chat/completions"
GENERATIONS = "/v1/images/generations"


ONE, TWO = encoded(0), encoded(1)


def test_what_writes_runs_where_what_draws_runs(both: TestClient) -> None:
    model = both.app.state.registry.first  # type: ignore[attr-defined]
    assert model.captioner.generator.backend.options == model.generator.backend.options


def test_a_variation_is_what_content_and_style_of_one_picture_draw(both: TestClient) -> None:
    form = {"n": "2", "seed": "5", "user": "me"}
    answer = both.post(VARIATIONS, data=form, files={"image": ("a.png", ONE, "image/png")})
    assert answer.status_code == 200 and answer.headers["x-seed"] == "5"
    body = {"content": base(ONE), "style": base(ONE), "n": 2, "seed": 5}
    assert answer.json()["data"] == both.post("/generate", json=body).json()["data"]
    other = both.post(VARIATIONS, data=form, files={"image": ("b.png", TWO, "image/png")}).json()["data"]
    assert other[0]["b64_json"] != answer.json()["data"][0]["b64_json"]
    url = {"response_format": "url", "size": "32x32", "model": NAME}
    resized = both.post(VARIATIONS, data=url, files={"image": ("a.png", ONE, "image/png")})
    assert resized.json()["data"][0]["url"].startswith("data:image/png;base64,")
    assert resized.headers["x-drawn-size"] == "16x16"


def test_an_edit_takes_content_style_and_mix(both: TestClient) -> None:
    files = {"content": ("a.png", ONE, "image/png"), "style": ("b.png", TWO, "image/png")}
    edited = both.post(EDITS, data={"prompt": "cat", "mix": "0.3", "seed": "5"}, files=files)
    body = {"prompt": "cat", "content": base(ONE), "style": base(TWO), "mix": 0.3, "seed": 5}
    assert edited.status_code == 200
    assert base64.b64decode(edited.json()["data"][0]["b64_json"]) == both.post("/generate", json=body).content
    alone = both.post(EDITS, data={"prompt": "", "seed": "5"}, files={"content": files["content"]})
    ours = both.post("/generate", json={"content": base(ONE), "seed": 5})
    assert base64.b64decode(alone.json()["data"][0]["b64_json"]) == ours.content


def test_a_picture_tells_the_mix_and_the_pictures_that_it_was_drawn_from(both: TestClient) -> None:
    body = {"prompt": "cat", "content": base(ONE), "style": base(TWO), "mix": 0.3, "seed": 5}
    told = Image.open(io.BytesIO(both.post("/generate", json=body).content)).info
    assert (told["prompt"], told["mix"], told["seed"]) == ("cat", "0.3", "5")
    assert told["content"] == hashlib.sha256(ONE).hexdigest()[:16]
    assert told["style"] == hashlib.sha256(TWO).hexdigest()[:16]
    typed = Image.open(io.BytesIO(both.post("/generate", json={"prompt": "cat", "seed": 5}).content)).info
    assert not {"mix", "content", "style"} & set(typed)


def test_the_command_line_tells_the_same_of_a_picture_as_the_server(both: TestClient, tmp_path: Path) -> None:
    bundle = cast("Any", both.app).state.registry.first.generator.bundle.folder
    for name, file in (("one.png", ONE), ("two.png", TWO)):
        (tmp_path / name).write_bytes(file)
    pictures = ["--content", str(tmp_path / "one.png"), "--style", str(tmp_path / "two.png"), "--mix", "0.3"]
    own, out = ["--bundle", str(bundle), "--backend", "eager", "--seed", "5"], tmp_path / "out.png"
    body = {"prompt": "cat", "content": base(ONE), "style": base(TWO), "mix": 0.3, "seed": 5}
    done = CliRunner().invoke(app, ["generate", "cat", *pictures, *own, "--out", str(out)])
    assert done.exit_code == 0, done.output
    served = Image.open(io.BytesIO(both.post("/generate", json=body).content))
    assert Image.open(out).info == served.info and np.array_equal(np.asarray(Image.open(out)), np.asarray(served))
    (tmp_path / "prompts.txt").write_text("cat\n")
    done = CliRunner().invoke(app, ["bulk", str(tmp_path / "prompts.txt"), *own, "--out", str(tmp_path / "many")])
    assert done.exit_code == 0, done.output
    typed = Image.open(io.BytesIO(both.post("/generate", json={"prompt": "cat", "seed": 5}).content))
    assert Image.open(next((tmp_path / "many").glob("*/*.png"))).info == typed.info


PNG = ("a.png", ONE, "image/png")
TOKENS = {"content": PNG, "image": PNG}


@pytest.mark.parametrize(
    ("path", "form", "files", "says"),
    [
        (VARIATIONS, {}, {}, "image: no picture; accepted: one, to vary"),
        (VARIATIONS, {}, [("image", PNG), ("image", PNG)], "image: 2 pictures; accepted: one, to vary"),
        (
            VARIATIONS,
            {},
            {"image": ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml")},
            "image is SVG, which is not read",
        ),
        (VARIATIONS, {}, {"image": ("a.png", b"", "image/png")}, "image is empty; accepted: PNG, JPEG or WebP"),
        (VARIATIONS, {}, {"image": ("a.png", ONE[:99], "image/png")}, "image cannot be read"),
        (EDITS, {}, {"style": PNG, "content": ("a.png", b"%PDF-1", "")}, "content is PDF, which is not read"),
        (VARIATIONS, {"prompt": "cat"}, {"image": PNG}, "unknown key 'prompt'"),
        (VARIATIONS, {"n": "99"}, {"image": PNG}, "n is 99; at most 8"),
        (VARIATIONS, {"size": "big"}, {"image": PNG}, "is not WIDTHxHEIGHT"),
        (VARIATIONS, {"seed": "-1"}, {"image": PNG}, "seed"),
        (VARIATIONS, {"num_inference_steps": "5"}, {"image": PNG}, "num_inference_steps"),
        (EDITS, {"prompt": "cat"}, TOKENS, "content and image: accepted: pictures to draw from, or one to start from"),
        (EDITS, {"prompt": "cat", "mix": "0.5"}, {"image": PNG}, "mix and image: accepted: pictures to draw from"),
        (EDITS, {"prompt": "cat", "mix": "nan"}, {"content": PNG}, "mix nan is out of range; accepted: 0 to 1"),
        (EDITS, {"prompt": "cat", "mix": "half"}, {"content": PNG}, "mix"),
        (EDITS, {"focus": "0.2"}, {"content": PNG}, "focus is not offered: this model sees a picture as a few tokens"),
        (EDITS, {"prompt": "cat", "focus": "0.2"}, {"image": PNG}, "focus and image: accepted: pictures to draw from"),
        (EDITS, {"prompt": "cat", "mix": "0.5"}, {}, "mix is between a prompt and pictures; one of them is missing"),
        (EDITS, {}, [("content", PNG), ("content", PNG)], "content: 2 pictures; accepted: one, to draw from"),
        (EDITS, {}, [("content", PNG), ("style", PNG), ("style", PNG)], "style: 2 pictures; accepted: one"),
        (EDITS, {"prompt": "a"}, [("image", PNG), ("mask", PNG), ("mask", PNG)], "mask: 2 pictures; accepted: one"),
        (EDITS, {"content": "cat.png"}, {"style": PNG}, "content is text; accepted: a file"),
        (EDITS, {"prompt": "a", "mask": "cat.png"}, {"image": PNG}, "mask is text; accepted: a file"),
        (VARIATIONS, {"image": "cat.png"}, {"image": PNG}, "image is text; accepted: a file"),
        (EDITS, {"prompt": ""}, {"style": PNG}, "a style alone says nothing to draw"),
        (
            EDITS,
            {"prompt": "cat"},
            {},
            "image: no picture; accepted: one, to start from, or content or style to draw from",
        ),
        (EDITS, {"prompt": "a"}, {"content": PNG, "mask": PNG}, "content and mask: accepted: pictures to draw from"),
    ],
)
def test_a_form_that_cannot_be_drawn_is_one_line(
    both: TestClient, path: str, form: dict[str, str], files: Any, says: str
) -> None:
    answer = both.post(path, data={"model": NAME, **form}, files=files)
    assert answer.status_code == 400, answer.text
    line = answer.json()["error"]["message"]
    assert says in line and "\n" not in line
    named = line.partition(" ")[0].rstrip(":")
    if named in ("content", "style", "mask", "mix", "image"):
        blamed = next((other for other in ("image", "mask") if f" and {other}: " in line), named)
        assert answer.json()["error"]["param"] == blamed


@pytest.mark.parametrize("path", [VARIATIONS, EDITS])
def test_a_model_without_pictures_says_what_it_does(client: TestClient, path: str) -> None:
    field = "image" if path == VARIATIONS else "content"
    form = {} if path == VARIATIONS else {"prompt": "cat"}
    answer = client.post(path, data=form, files={field: PNG})
    line = answer.json()["error"]["message"]
    if path == VARIATIONS:
        assert answer.status_code == 404 and line.endswith("takes no pictures to draw from; it does text-to-image")
    else:
        assert answer.status_code == 400 and "unknown key 'content'" in line


PICTURES = {
    "16 bit": encoded(kind="PNG", mode="I"),
    "palette": encoded(kind="PNG", mode="P"),
    "alpha": encoded(kind="PNG", mode="RGBA"),
    "grey": encoded(kind="JPEG", mode="L"),
    "CMYK": encoded(kind="JPEG", mode="CMYK"),
    "1x1": encoded(size=(1, 1)),
    "10:1": encoded(size=(160, 16)),
    "WebP": encoded(kind="WEBP"),
    "moving WebP": encoded(kind="WEBP", save_all=True, append_images=[Image.new("RGB", (16, 16))]),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_usual_kind_of_picture_is_seen(both: TestClient, kind: str) -> None:
    assert both.post("/generate", json={"content": base(PICTURES[kind]), "seed": 1}).status_code == 200
    said = both.post("/caption", json={"image": base(PICTURES[kind]), "seed": 1})
    assert said.status_code == 200 and len(said.json()["captions"]) == 1


def test_a_picture_is_seen_upright_and_alpha_on_white(both: TestClient) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    turned, exif = Image.fromarray(np.rot90(pixels, 1)), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    clear = Image.fromarray(np.dstack([pixels, np.zeros((16, 16), np.uint8)]))
    drawn = {}
    for name, picture, options in (
        ("upright", Image.fromarray(pixels), {}), ("turned", turned, {"exif": exif}),
        ("clear", clear, {}), ("white", Image.new("RGB", (16, 16), "white"), {}),
    ):  # fmt: skip
        content = io.BytesIO()
        picture.save(content, "PNG", **options)
        answer = both.post("/generate", json={"content": base(content.getvalue()), "seed": 1}).content
        drawn[name] = Image.open(io.BytesIO(answer)).tobytes()  # without what the file says of its own content
    assert drawn["upright"] == drawn["turned"] and drawn["clear"] == drawn["white"] != drawn["upright"]


UNREADABLE = {
    "no image": b"hello",
    "truncated": ONE[: len(ONE) // 2],
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "PDF": b"%PDF-1.7\n",
    "empty": b" ",
    "GIF": encoded(kind="GIF"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
@pytest.mark.parametrize("place", ["content", "style", "caption", "interrogate", "chat"])
def test_a_picture_that_cannot_be_read_is_one_line_wherever_it_is_sent(both: TestClient, kind: str, place: str) -> None:
    file = base(UNREADABLE[kind])
    url = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{file}"}}]
    path, body = {
        "content": ("/generate", {"content": file}),
        "style": ("/generate", {"content": base(ONE), "style": file}),
        "caption": ("/caption", {"image": file}),
        "interrogate": ("/sdapi/v1/interrogate", {"image": file}),
        "chat": (CHAT, {"messages": [{"role": "user", "content": url}]}),
    }[place]
    answer = both.post(path, json=body)
    named = place if place in ("content", "style") else "image"
    says = f"{named} is {kind}, which is not read" if kind in ("SVG", "PDF", "GIF") else f"{named} cannot be read"
    assert answer.status_code in (400, 422) and says in answer.text and len(answer.text) < 500
    if place == "chat":
        assert answer.json()["error"]["param"] == "messages[0].content[0].image_url"


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/generate", {}, "nothing to draw; accepted: prompt, content, or one of them with style"),
        ("/generate", {"prompt": "   "}, "nothing to draw; accepted: prompt, content"),
        ("/generate", {"prompt": "cat\ud800"}, ""),
        ("/generate", {"prompt": "x" * 10_000}, "10000 characters; at most"),
        (
            "/generate",
            {"content": base(ONE), "image": base(ONE)},
            "content and image: draw from pictures, or start from one",
        ),
        ("/generate", {"prompt": "cat", "style": base(ONE), "image": base(ONE)}, "style and image: draw from pictures"),
        ("/generate", {"content": "https://a.b/c.png"}, "content is not base64; accepted: PNG, JPEG or WebP in base64"),
        ("/generate", {"content": ""}, "content"),
        ("/generate", {"content": [base(ONE), base(TWO)]}, "content"),
        (
            "/generate",
            {"content": base(ONE), "mix": 0.5},
            "mix is between a prompt and pictures; one of them is missing",
        ),
        (
            "/generate",
            {"prompt": "cat", "content": base(ONE), "mix": -0.1},
            "mix -0.1 is out of range; accepted: 0 to 1",
        ),
        ("/generate", {"content": base(ONE), "steps": 5}, "steps"),
        ("/generate", {"content": base(ONE), "seed": -1}, "seed"),
        ("/generate", {"content": base(ONE), "seed": 2**64}, "seed"),
        ("/generate", {"content": base(ONE), "n": 99}, "n is 99; at most 8"),
        ("/caption", {"image": base(ONE), "as": "text_de"}, "as 'text_de' is unknown; accepted: text, text_fr"),
        ("/caption", {"image": "https://a.b/c.png"}, "image is not base64"),
        ("/caption", {"image": base(ONE), "n": 0}, "n"),
        ("/caption", {"image": base(ONE), "steps": 5}, "steps"),
        ("/caption", {"image": base(ONE), "seed": 2**64}, "seed"),
        ("/caption", {"image": base(ONE), "model": "other"}, "does not exist; accepted: both"),
        (GENERATIONS, {"prompt": "cat", "content": base(ONE)}, "key 'content'; /generate and /v1/images/edits take it"),
        (CHAT, {"messages": SHOWN, "as": "text_de"}, "as 'text_de' is unknown; accepted: text, text_fr"),
        (CHAT, {"messages": SHOWN, "as": 5}, "as: Input should be a valid string, got 5"),
        (CHAT, {"messages": [5]}, "messages[0]: Input should be an object of role and content, got 5"),
        (
            CHAT,
            {"messages": [{"role": "user", "content": [5, None]}]},
            "Input should be text or a list of parts, objects of type image_url or text, got [5, None]",
        ),
        (CHAT, [5], "the body must be a JSON object"),
        ("/generate", {"label": 3}, "unknown key 'label'; this model takes prompt, content, style, mix"),
        (CHAT, {"messages": []}, "messages"),
        (CHAT, {"messages": SHOWN, "seed": -1}, "seed: Input should be greater than or equal to 0, got -1"),
        (CHAT, {"messages": SHOWN, "seed": 2**80}, "seed"),
        (CHAT, {"messages": SHOWN, "n": 0}, "n"),
        (CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "an image_url has no url"),
        (CHAT, {"messages": [{"role": "user", "content": "hi"}]}, "messages hold 0 pictures"),
    ],
)
def test_a_wish_that_cannot_be_is_one_line(both: TestClient, path: str, body: Any, says: str) -> None:
    answer = both.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404, 422), answer.text
    error = answer.json().get("error")
    line = error["message"] if isinstance(error, dict) else error
    assert says in line and "\n" not in line and len(line) < 400


def test_emoji_and_styles_that_nobody_knows_are_words_like_others(both: TestClient) -> None:
    prompts = ["🐱 in Twemoji style", "a cat in Apple style", "a cat"]
    drawn = [both.post("/generate", json={"prompt": prompt, "seed": 1}) for prompt in prompts]
    assert [answer.status_code for answer in drawn] == [200] * 3 and len({answer.content for answer in drawn}) == 3


def test_null_is_the_default_of_every_field_that_may_lack(both: TestClient) -> None:
    drawn = {"content": base(ONE), "seed": 1}
    nulls = dict.fromkeys(("prompt", "style", "mix", "n", "size", "strength", "image", "steps", "format", "model"))
    assert both.post("/generate", json={**drawn, **nulls}).content == both.post("/generate", json=drawn).content
    said = {"image": base(ONE), "seed": 1}
    nulls = dict.fromkeys(("prompt", "as", "n", "steps", "model"))
    assert both.post("/caption", json={**said, **nulls}).json() == both.post("/caption", json=said).json()
    chat = both.post(CHAT, json={"messages": SHOWN, "n": None, "seed": None, "model": None, "stream": None})
    assert chat.status_code == 200 and chat.json()["model"] == NAME
    assert both.post("/generate", json={**drawn, "number": None}).status_code == 400


def test_a_picture_with_line_breaks_and_as_a_data_url_is_the_same(both: TestClient) -> None:
    plain = base(ONE)
    broken = "\r\n".join(plain[start : start + 60] for start in range(0, len(plain), 60))
    forms = [plain, broken, f"data:image/png;base64,{plain}"]
    assert len({both.post("/generate", json={"content": form, "seed": 3}).content for form in forms}) == 1


def test_what_is_said_holds_no_special_tokens_and_no_control_characters(both: TestClient) -> None:
    captions = both.post("/caption", json={"image": base(ONE), "n": 8, "seed": 1}).json()["captions"]
    for one in captions:
        assert not any(unsaid in one["text"] for unsaid in ("<|", "\ufffd"))
        assert all(letter.isprintable() for letter in one["text"])
        assert one["complete"] or one["text"] is not None
    assert len({one["seed"] for one in captions}) == 8


def test_a_small_file_of_a_huge_picture_is_not_opened(both: TestClient) -> None:
    bomb = io.BytesIO()
    Image.new("L", (5000, 5000)).save(bomb, "PNG")
    for path, body in (
        ("/generate", {"content": base(bomb.getvalue())}),
        ("/caption", {"image": base(bomb.getvalue())}),
    ):
        answer = both.post(path, json=body)
        assert answer.status_code in (400, 422) and "5000x5000" in answer.text
    answer = both.post(VARIATIONS, files={"image": ("a.png", bomb.getvalue(), "image/png")})
    assert answer.status_code == 400 and answer.json()["error"]["message"].startswith("image has 5000x5000 pixels")


def test_what_waits_is_answered_by_the_model_that_took_it(tmp_path: Path) -> None:
    """Another bundle takes the place of one while pictures and captions wait for that: none is lost, none is of both."""
    first, second = (write_versatile(tmp_path / name, name, seed) for seed, name in enumerate(("first", "second")))
    drawn, cat = {"content": base(ONE), "seed": 5}, {"prompt": "cat", "seed": 5}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/generate", drawn),
        ("/caption", {"image": base(ONE), "n": 2, "seed": 5}),
        ("/generate", cat),
        (CHAT, {"messages": SHOWN, "seed": 5}),
    ]
    pictures = 5  # and captions of all these requests
    options = {"backend": "eager", "threads": 1, "page": False, "batches": (1,), "admin_key": "the-admin-key"}
    with (
        TestClient(application(ServeConfig.model_validate({"bundle": first, **options}))) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        state = cast("Any", client.app).state

        def ask(path: str, body: dict[str, Any]) -> Any:
            answer = client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            if path == "/generate":
                return answer.content
            return {key: value for key, value in answer.json().items() if key not in ("id", "created")}

        before = [ask(*one) for one in asked]
        with state.registry.first.generator._lock:
            blocking = [pool.submit(ask, "/generate", cat) for _ in range(2)]
            until(lambda: state.artist.depth >= 1)  # one is in the generator or the next to be, the other behind it
            waiting = blocking + [pool.submit(ask, *one) for one in asked]
            until(lambda: state.artist.depth >= 1 + pictures)
            swapped = {"json": {"bundle": str(second)}, "headers": {"authorization": "Bearer the-admin-key"}}
            assert client.post("/admin/model", **swapped).json()["model"] == "second"
        assert [one.result(60) for one in waiting] == [before[2]] * 2 + before
        after = [ask(*one) for one in asked]
        assert before[3]["model"] == "first" and after[3]["model"] == "second"
        assert before[0] != after[0] and before[2] != after[2]
        assert Image.open(io.BytesIO(after[0])).info["model"] == "second"


def until(true: Callable[[], bool]) -> None:
    """Wait for it, for a minute."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_captions_wait_in_the_same_queue(both: TestClient) -> None:
    writer = cast("Any", both.app).state.registry.first.captioner
    with writer.generator._lock:
        late = both.post("/caption", json={"image": base(ONE)}, headers={"x-request-timeout": "0.05"})
    assert late.status_code == 429 and "not drawn within 0.05 s" in late.json()["error"]


def test_after_a_swap_to_a_bundle_of_fewer_tasks_they_are_named(tmp_path: Path) -> None:
    folders = [write_versatile(tmp_path / name) for name in ("both", "mute")]
    manifest = json.loads((folders[1] / MANIFEST).read_text())
    (folders[1] / MANIFEST).write_text(json.dumps({**manifest, "flows": {}, "model_name": "mute"}))
    options = {"backend": "eager", "threads": 1, "page": False, "batches": (1,), "admin_key": "the-admin-key"}
    with TestClient(application(ServeConfig.model_validate({"bundle": folders[0], **options}))) as client:
        assert client.post("/caption", json={"image": base(ONE)}).status_code == 200
        before = weakref.ref(cast("Any", client.app).state.registry.first.generator)
        swapped = {"json": {"bundle": str(folders[1])}, "headers": {"authorization": "Bearer the-admin-key"}}
        assert client.post("/admin/model", **swapped).status_code == 200
        answer = client.post("/caption", json={"image": base(ONE)})
        assert answer.status_code == 404
        assert answer.json()["error"] == "no served model describes pictures: mute does image-text-to-image"
        assert client.post("/generate", json={"content": base(ONE)}).status_code == 200
        gc.collect()  # which does not look at what lived before the server started
        assert before() is None


def test_interrogate_asks_the_model_that_the_options_chose(tmp_path: Path) -> None:
    folders = {name: write_versatile(tmp_path / name, name) for name in ("mute", "says")}
    manifest = json.loads((folders["mute"] / MANIFEST).read_text())
    (folders["mute"] / MANIFEST).write_text(json.dumps({**manifest, "flows": {}}))
    options = {"backend": "eager", "device": "cpu", "threads": 1, "page": False, "batches": (1,)}
    with TestClient(application(ServeConfig.model_validate({"models": folders, **options}))) as client:
        asked = {"json": {"image": base(ONE)}}
        assert client.post("/sdapi/v1/interrogate", **asked).status_code == 404
        assert client.post("/sdapi/v1/options", json={"sd_model_checkpoint": "says"}).status_code == 200
        assert client.post("/sdapi/v1/interrogate", **asked).status_code == 200
