"""Captions by an endpoint and by BLIP: asked for once, kept at once, and never faster than allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import BadInput
from data.captioners import BlipConfig, EndpointConfig, Pace, describe
from tests.data.endpoint import serving
from tests.data.pictures import picture


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv("IPPO_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SOME_KEY", "secret-7")
    files = [tmp_path / f"{seed}.png" for seed in range(5)]
    for seed, file in enumerate(files):
        picture(seed).point(lambda value, seed=seed: value * (seed + 1) // 5).save(file)
    return files


def endpoint(url: str, **changes: object) -> EndpointConfig:
    values = {"model": "seer", "url": url, "key": "SOME_KEY", "per_minute": 1e9, "retries": 0, **changes}
    return EndpointConfig.parse(values, "endpoint")


def test_an_endpoint_is_asked_once_for_every_picture(pictures: list[Path]) -> None:
    with serving(refused=1) as server:
        texts = describe(endpoint(server.url, retries=2).open(), pictures)
        assert len(set(texts)) == 5 and all(text.startswith("brightness ") for text in texts)
        assert describe(endpoint(server.url).open(), pictures) == texts
        assert len(server.asked) == 5 and server.keys == {"Bearer secret-7"}
        assert server.asked[0]["model"] == "seer"
        describe(endpoint(server.url, prompt="Name it.").open(), pictures[:1])
        assert server.asked[-1]["messages"][0]["content"][0] == {"type": "text", "text": "Name it."}
        assert len(server.asked) == 6


def test_what_an_endpoint_gave_before_it_failed_is_kept(pictures: list[Path]) -> None:
    with serving(left=3) as server:
        config = endpoint(server.url)
        with pytest.raises(BadInput, match=r"gave no caption .*out of order") as caught:
            describe(config.open(), pictures)
        assert "secret" not in str(caught.value)
        server.left = 2
        assert len(describe(config.open(), pictures)) == 5
        assert len(server.asked) == 5


def test_a_key_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(BadInput, match="SOME_KEY must hold the key"):
        endpoint("http://127.0.0.1:9/v1").open()


def test_the_pace_is_kept() -> None:
    clock, waits = [100.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        clock[0] += seconds

    pace = Pace(30, lambda: clock[0], sleep)
    for _ in range(3):
        pace.wait()
    clock[0] += 10
    pace.wait()
    pace.wait()
    assert waits == pytest.approx([2, 2, 2])


def test_blip_describes(pictures: list[Path], tmp_path: Path) -> None:
    import torch
    from transformers import BertTokenizer, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor
    from transformers import BlipConfig as Network

    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "a", "red", "cat"]
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ids = {"bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3}
    text = {**small, **ids, "vocab_size": len(words), "encoder_hidden_size": 16, "max_position_embeddings": 32}
    vision = {**small, "image_size": 16, "patch_size": 8}
    network = BlipForConditionalGeneration(Network(text_config=text, vision_config=vision, projection_dim=8))
    network.save_pretrained(tmp_path / "blip")
    tokenizer = BertTokenizer(vocab={word: place for place, word in enumerate(words)})
    BlipProcessor(BlipImageProcessor(size={"height": 16, "width": 16}), tokenizer).save_pretrained(tmp_path / "blip")
    texts = describe(BlipConfig(model=str(tmp_path / "blip"), tokens=4).open(), pictures[:2])
    assert len(texts) == 2 and all(set(text.split()) <= set(words) for text in texts), texts
    # Other weights in the same folder are another captioner: what the first said is not taken for theirs.
    before = BlipConfig(model=str(tmp_path / "blip"), tokens=4).open()
    with torch.no_grad():
        next(network.parameters()).add_(1)
    network.save_pretrained(tmp_path / "blip")
    after = BlipConfig(model=str(tmp_path / "blip"), tokens=4).open()
    assert before.name != after.name
    with pytest.raises(BadInput, match="no BLIP is there"):
        BlipConfig(model=str(tmp_path / "none")).open()
