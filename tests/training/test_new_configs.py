"""`ippo new`: what it writes for a set of one's own fits that set, parses, and trains from nothing to a bundle."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

import ippo
from base.errors import BadInput
from base.runs import runs_root
from base.shipped import PRETRAINED, ROOT
from data.avatars import avatars
from data.build import build
from data.digits import digits
from data.own_set import OwnSet, opened
from models import folder as folders
from runtime.bundle import open_bundle
from tests import tiny
from tests.data.pictures import captioned, picture
from training.configured_line import stages
from training.launch import METHODS
from training.new_configs import LIKE, Start, configurations, write

TINY: dict[str, Any] = {
    "steps": 2,
    "batch": 4,
    "validate_every": 2,
    "precision": "no",
    "warmup": 1,
    "merges": 20,
    "count": 4,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "width": 8,
    "block_out_channels": [32, 32],
    "attention_head_dim": 4,
    "norm_num_groups": 4,
}
"""Values of keys that are sizes, wherever they stand."""


def own_set(side: int, **changes: Any) -> OwnSet:
    values: dict[str, Any] = {"name": "mine", "data": "mine", "images": 800, "side": side, "grey": False, "scale": 1}
    values |= {"captions": ("text", "text_name"), "classes": ("cat", "dog"), "slots": {"type": ["Ape"], "hat": ["Cap"]}}
    return OwnSet(**{**values, **changes})


@pytest.mark.parametrize("side", [32, 64, 128, 256])
@pytest.mark.parametrize("like", LIKE)
def test_they_parse_and_fit_one_another(like: str, side: int) -> None:
    """Sides, channels, columns and runs agree; nothing of the set to go by is left."""
    if like == "icons" and side < 128:
        return  # that many halvings want larger pictures
    written = configurations(own_set(side), like, Start())
    for method, values in written.items():
        config = importlib.import_module(f"training.{METHODS[method]}").CONFIG.parse(values, method)
        assert config.run.startswith("mine/") and config.data == "mine"
        assert not {"avatars", "digits", "icons", "emoji-mini"} & set(json.dumps(values).replace("/", '"').split('"'))
    base, student = written["teacher"]["base"], written["student"]
    assert student["captions"] == written["teacher"]["captions"] and student["teacher"] == "mine/teacher"
    if "vae" in base:
        vae = written["autoencoder"]["vae"]
        assert student["captions"] == written["clip"]["captions"] == ["text", "text_name"]
        assert base["unet"]["in_channels"] == base["unet"]["out_channels"] == vae["latent_channels"]
        assert base["unet"]["sample_size"] << (len(vae["down_block_types"]) - 1) == vae["sample_size"]
        assert base["unet"]["sample_size"] >> (len(base["unet"]["block_out_channels"]) - 1) <= 16
        vision = written["clip"]["vision"]
        assert vision["image_size"] == side and side % vision["patch_size"] == 0
    else:
        assert base["channels"] == 3 and base["unet"]["sample_size"] == side


@pytest.mark.parametrize(
    ("like", "start", "said"),
    [
        ("icons", Start(own_text=True), "--own-text goes with --base"),
        ("digits", Start(base="x", own_text=True), "configurations like digits have no text encoder"),
        ("icons", Start(base="x", vae="y"), "--vae and --base: a base comes with its autoencoder"),
        ("avatars", Start(vae="y"), "configurations like avatars have no autoencoder"),
    ],
)
def test_a_start_that_would_change_nothing_is_refused(like: str, start: Start, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        configurations(own_set(128), like, start)


@pytest.mark.parametrize("longer", [0.0, -1.0, 1e9, float("nan")])
def test_no_number_of_steps_is_refused(longer: float, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--longer"):
        write(own_set(32), "digits", tmp_path / "new", Start(), longer)


SHAPES = ((64, 64), (96, 32))


def test_pictures_of_several_sizes_have_a_teacher_and_a_student(tmp_path: Path) -> None:
    """Where those need nothing that takes one size alone."""
    own = own_set(64, sizes=SHAPES)
    written = configurations(own, "digits", Start())
    assert [*written] == ["teacher", "student"] and written["teacher"]["base"]["unet"]["sample_size"] == 64
    for start in (Start(), Start(vae=str(PRETRAINED / "emoji/teacher/vae"))):
        with pytest.raises(
            BadInput, match=r"has pictures of 2 sizes, which teachers and students learn, and .*clip do"
        ):
            configurations(own, "emoji-mini", start)
    based = configurations(own, "emoji-mini", Start(base=str(PRETRAINED / "emoji/teacher")))
    assert [*based] == ["teacher", "student"]
    with pytest.raises(BadInput, match="sides of 60x64 are no multiples of"):
        configurations(own_set(62, sizes=((60, 64),)), "emoji-mini", Start(base=str(PRETRAINED / "emoji/teacher")))


def test_labels_and_attributes_are_the_sets_own() -> None:
    classes = configurations(own_set(32, grey=True, scale=2), "digits", Start())["teacher"]["base"]
    assert (classes["classes"], classes["channels"], classes["scale"]) == (["cat", "dog"], 1, 2)
    assert classes["unet"]["sample_size"] == 16
    numbered = configurations(own_set(32, classes=("0", "1", "2")), "digits", Start())["teacher"]["base"]
    assert numbered["classes"] == 3
    attributes = configurations(own_set(24), "avatars", Start())
    assert attributes["teacher"]["base"]["attributes"] == {"type": ["Ape"], "hat": ["Cap"]}
    assert [*attributes] == ["teacher", "student", "attribute-judge"]


def test_a_teacher_that_ships_is_a_start() -> None:
    shipped = PRETRAINED / "emoji" / "teacher"
    plain = configurations(own_set(64), "emoji-mini", Start(base="models/pretrained/emoji/teacher"))
    assert [*plain] == ["teacher", "student", "judge"] and Path(plain["teacher"]["base"]).samefile(shipped)
    own_text = configurations(own_set(64), "emoji-mini", Start(base=str(shipped), own_text=True))
    assert [*own_text] == ["clip", "teacher", "student", "judge"]
    assert own_text["teacher"]["base"] == {"vae": str(shipped / "vae"), "clip": "mine/clip", "unet": str(shipped)}
    vae = configurations(own_set(64), "emoji-mini", Start(vae="models/pretrained/emoji/teacher/vae"))
    assert "autoencoder" not in vae and vae["teacher"]["base"]["unet"]["in_channels"] == 16
    assert vae["decoder"]["vae"] == vae["teacher"]["base"]["vae"]


@pytest.mark.parametrize(
    ("changes", "like", "start", "said"),
    [
        ({}, "emojis", Start(), "--like emojis; did you mean 'emoji-mini'"),
        ({"side": 24}, "emoji-mini", Start(), "a side of 24 pixels is no multiple of 16: build the set with --size 64"),
        ({"side": 30}, "avatars", Start(), "no multiple of 4: build the set with --size 32"),
        ({"captions": ()}, "emoji-mini", Start(), "mine has no column 'text'"),
        ({"classes": ()}, "digits", Start(), "mine has no column 'label'"),
        ({"slots": {}}, "avatars", Start(), "mine has no slots.json"),
        ({"slots": {"a": ["x=1"]}}, "avatars", Start(), "attribute 'x=1' has a comma or an equals sign"),
        ({"side": 32}, "emoji-mini", Start(base="models/pretrained/emoji/teacher"), "draws 64x64, mine has 32x32"),
        ({}, "emoji-mini", Start(base="nowhere"), "no teacher nowhere"),
        ({}, "emoji-mini", Start(vae="nowhere"), "no autoencoder nowhere"),
    ],
)
def test_what_does_not_fit_is_one_line(
    changes: dict[str, Any], like: str, start: Start, said: str, tmp_path: Path, runs: Path
) -> None:
    with pytest.raises(BadInput, match=said) as refused:
        write(own_set(**{"side": 64, **changes}), like, tmp_path / "configs", start)
    assert "\n" not in str(refused.value) and not (tmp_path / "configs").exists()


def test_a_set_is_known_by_its_pictures_and_columns(runs: Path, tmp_path: Path) -> None:
    digits(runs / "data" / "digits", images=50)
    found = opened("digits")
    assert (found.side, found.grey, found.scale, len(found.classes)) == (16, True, 2, 10)
    avatars(runs / "data" / "punky", 100)
    found = opened("punky")
    assert (found.side, found.grey, found.scale) == (24, False, 1) and found.classes[0] == found.slots["type"][
        0
    ] == "Male"
    for number in range(6):
        captioned(tmp_path / "in", f"{number}.png", picture(number))
    assert opened(str(build(tmp_path / "in", tmp_path / "out", 32).folder)).captions == ("text",)
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(tmp_path / "out" / "train" / "00000.png")
    with pytest.raises(BadInput, match="pictures of 9x8; make them square"):
        opened(str(tmp_path / "out"))


def _tiny(values: Any) -> Any:
    """The same configuration with sizes and steps for a test: two levels everywhere, of networks of the same kinds."""
    if not isinstance(values, dict):
        return values
    small = {key: TINY[key] if key in TINY and value else _tiny(value) for key, value in values.items()}
    small |= {key: [blocks[0], blocks[-1]] for key, blocks in values.items() if str(key).endswith("block_types")}
    return small | ({"norm_num_groups": 1} if "latent_channels" in values else {})


def _shrink(folder: Path, side: int) -> None:
    """Make what `ippo new` wrote small."""
    small = {file: _tiny(yaml.safe_load(file.read_text())) for file in folder.glob("*.yaml")}
    base = small[folder / "teacher.yaml"]["base"]
    if isinstance(base, dict) and isinstance(base["unet"], dict) and "vae" in base:
        vae = small[folder / "autoencoder.yaml"]["vae"]
        base["unet"]["sample_size"] = vae["sample_size"] // 2
        assert side % vae["sample_size"] == 0
    if isinstance(base, dict) and isinstance(base["unet"], str):
        small[folder / "clip.yaml"]["text"]["hidden_size"] = tiny.WIDTH
    for file, values in small.items():
        file.write_text(yaml.safe_dump(values))


def _trained(side: int, folder: Path, *options: str) -> Path:
    """The set `mine`, from its configurations to a bundle."""
    done = CliRunner().invoke(ippo.app, ["new", "mine", *options, "--out", str(folder)])
    assert done.exit_code == 0, done.output
    _shrink(folder, side)
    command = [sys.executable, str(ROOT / "ippo.py"), "line", "mine", "--configs", str(folder)]
    line = subprocess.run(command, capture_output=True, text=True)
    assert line.returncode == 0, line.stderr[-3000:]
    return Path(line.stdout.strip().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("like", "side"), [("digits", 16), ("avatars", 24), ("emoji-mini", 32), ("icons", 128)])
def test_what_is_written_trains_to_a_bundle(like: str, side: int, runs: Path, tmp_path: Path) -> None:
    for number in range(12):
        captioned(tmp_path / "in", f"{number}.png", picture(number, side, side), None)
    rows = [
        {"text": f"a cat number {n}", "label": n % 3, "attributes": ["Ape" if n % 2 else "Man", "Fez"]}
        for n in range(12)
    ]
    lines = [json.dumps({"file_name": f"{number}.png", **row}) + "\n" for number, row in enumerate(rows)]
    (tmp_path / "in" / "metadata.jsonl").write_text("".join(lines))
    build(tmp_path / "in", runs / "data" / "mine", side)
    bundle = _trained(side, tmp_path / "configs", "--like", like)
    assert bundle == runs / "mine" / "bundle" and open_bundle(bundle).manifest.model_name == "mine"
    for stage in stages(tmp_path / "configs"):
        assert (runs_root() / stage.run / "model").is_dir()


@pytest.mark.slow
def test_a_base_with_words_of_ones_own_trains(runs: Path, tmp_path: Path) -> None:
    folders.save(tiny.teacher(), tmp_path / "base")
    for number in range(6):
        captioned(tmp_path / "in", f"{number}.png", picture(number, 16, 16), f"picture {number}")
    build(tmp_path / "in", runs / "data" / "mine", 16)
    bundle = _trained(16, tmp_path / "configs", "--like", "emoji-mini", "--base", str(tmp_path / "base"), "--own-text")
    assert open_bundle(bundle).manifest.model_name == "mine"


def test_a_line_without_configurations_says_what_writes_them(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no .*student\.yaml: ippo new writes the configurations"):
        stages(tmp_path)
