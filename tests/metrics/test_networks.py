"""Feature networks by name: what they read, what they give, what they refuse; weights are random, shapes the real ones."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from metrics import clip_network, dino, features, inception, preprocess, weights
from metrics.inception import Inception
from metrics.preprocess import Preprocess
from metrics.similarity import similarity
from tests import tiny

LAYER = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
OPENAI = {
    "crop_size": {"height": 16, "width": 16},
    "do_center_crop": True,
    "image_mean": [0.48, 0.46, 0.41],
    "image_std": [0.27, 0.26, 0.28],
    "resample": 3,
    "size": {"shortest_edge": 16},
}


def pictures(count: int = 5, side: int = 24) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    text = {**LAYER, "vocab_size": 54, "max_position_embeddings": tiny.TOKENS, "bos_token_id": 52, "eos_token_id": 53}
    vision = {**LAYER, "image_size": 16, "patch_size": 8}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(OPENAI))
    return folder


def test_clip_sees_images_and_captions_in_one_space(clip_folder: Path) -> None:
    network = features.load("clip", clip_folder)
    assert isinstance(network, clip_network.Clip)
    rows, said = features.features(network, pictures()), network.texts(["a cat", "two dogs in the very long snow"])
    assert rows.shape == (5, 8) and said.shape == (2, 8)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert said.norm(dim=1).tolist() == pytest.approx([1, 1], abs=1e-5)
    assert not torch.allclose(said[0], said[1])


def test_clip_gives_what_transformers_gives(clip_folder: Path) -> None:
    network = clip_network.load(clip_folder)
    stock = CLIPModel.from_pretrained(clip_folder).eval()
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    tokens = network.tokenizer(["a cat", "a dog"], padding="max_length", max_length=tiny.TOKENS, return_tensors="pt")
    with torch.no_grad():
        theirs = stock(pixel_values=network.prepare(images), **tokens)
        assert torch.allclose(network.features(images), theirs.image_embeds, atol=1e-5)
        assert torch.allclose(network.texts(["a cat", "a dog"]), theirs.text_embeds, atol=1e-5)


def test_similarity_of_own_captions_and_of_shuffled_ones() -> None:
    images = np.eye(3)
    found = similarity(images, images, ["a", "b", "c"])
    assert (found.own, found.shuffled) == (1.0, 0.0)
    same = similarity(images, np.eye(3)[[0, 0, 2]], ["a", "a", "c"])  # equal captions are no shuffle
    assert same.own == pytest.approx(2 / 3)
    assert same.shuffled == pytest.approx((0 + 0 + 1 + 0) / 4 - 0.25)
    assert similarity(images, images, ["a"] * 3).shuffled is None


@pytest.mark.parametrize("kind", ["dino", "dinov2"])
def test_dino_is_the_class_token(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = {**LAYER, "image_size": 28, "patch_size": 14}
    stock = (ViTModel(ViTConfig(**shape)) if kind == "dino" else Dinov2Model(Dinov2Config(**shape))).eval()
    stock.save_pretrained(tmp_path)
    network = features.load(kind, tmp_path)
    images = torch.rand(2, 3, 28, 28) * 2 - 1
    with torch.no_grad():
        theirs = stock(pixel_values=images).last_hidden_state[:, 0]
        assert torch.allclose(network.features(images), theirs, atol=1e-5)
    assert isinstance(network, dino.Dino)
    assert np.linalg.norm(features.embeddings(network, pictures()), axis=1) == pytest.approx(1, abs=1e-5)


def test_preprocessing_is_pillows() -> None:
    """Bicubic with antialiasing, within the rounding of 8-bit pixels, then the statistics of the file."""
    prepare = preprocess.parse(OPENAI)
    pixels = (pictures(1, 64) // 4 * 3 + np.arange(64, dtype=np.uint8)[:, None, None]).astype(np.uint8)[:, :, :48]
    shrunk = Image.fromarray(pixels[0]).resize((16, 21), Image.Resampling.BICUBIC).crop((0, 2, 16, 18))
    theirs = (np.asarray(shrunk) / 255 - OPENAI["image_mean"]) / OPENAI["image_std"]
    ours = prepare(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1)[0].permute(1, 2, 0).numpy()
    assert ours.shape == (16, 16, 3)
    assert np.abs(ours - theirs).max() < 1.5 / 255 / 0.26


def test_preprocessors_of_other_years_are_read() -> None:
    assert preprocess.parse({"size": 32}) == Preprocess(32, 32, False, None, (0.5,) * 3, (0.5,) * 3)
    squashed = preprocess.parse({"size": {"height": 8, "width": 12}, "resample": 2})
    assert squashed(torch.zeros(1, 3, 20, 20)).shape == (1, 3, 8, 12) and squashed.mode == "bilinear"
    with pytest.raises(ValueError, match="gives no size"):
        preprocess.parse({})


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as pytorch-fid's, with random weights: classifier and batch counters included."""
    torch.manual_seed(0)
    state = Inception().state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    file = tmp_path_factory.mktemp("foreign") / "pt_inception-2015-12-05.pth"
    torch.save(state, file)
    return file


def test_inception_is_converted_opened_and_of_the_known_size(foreign: Path, tmp_path: Path) -> None:
    inception.convert(foreign, tmp_path / "inception")
    assert sorted(file.name for file in (tmp_path / "inception").iterdir()) == ["config.json", "model.safetensors"]
    network = features.load("inception", tmp_path / "inception")
    torch.manual_seed(0)
    source = Inception().eval()
    assert (
        sum(weight.numel() for weight in source.parameters()) == 23_834_568 - 2_049_000
    )  # torchvision without its 1000 classes
    images = torch.rand(2, 3, 40, 40) * 2 - 1
    with torch.no_grad():
        found = network.features(images)
        assert found.shape == (2, 2048)
        assert torch.equal(found, source.features(images))
        assert torch.equal(
            found[:1], network.features(torch.nn.functional.interpolate(images[:1], (299, 299), mode="bilinear"))
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Mixed_7c.branch1x1.conv.weight": None}, "has no tensor Mixed_7c.branch1x1.conv.weight"),
        ({"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 5, 5)}, r"wanted \(32, 3, 3, 3\)"),
        ({"layer1.0.conv1.weight": torch.zeros(1)}, "is no InceptionV3 of the FID: it has a tensor layer1.0.conv1"),
    ],
)
def test_another_network_is_not_converted(
    foreign: Path, tmp_path: Path, change: dict[str, torch.Tensor | None], message: str
) -> None:
    state = torch.load(foreign, weights_only=True) | change
    torch.save({name: value for name, value in state.items() if value is not None}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=message):
        inception.convert(tmp_path / "other.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_a_foreign_file_that_runs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weights": Harmful()}, tmp_path / "harmful.pth")
    (tmp_path / "noise.pth").write_bytes(b"no torch file at all")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    for name, message in (
        ("harmful", "more than tensors"),
        ("noise", "no state dict"),
        ("list", "holds no state dict"),
    ):
        with pytest.raises(ValueError, match=message):
            weights.foreign(tmp_path / f"{name}.pth")
    assert "executed" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="no file"):
        weights.foreign(tmp_path / "nowhere.pth")


@pytest.mark.parametrize("name", ["inception", "clip", "dino"])
def test_a_folder_without_the_network_says_so_in_one_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no") as caught:
        features.load(name, tmp_path)
    assert "\n" not in str(caught.value)
