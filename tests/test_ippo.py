"""The command line as a user meets it: one line for a mistake, exit code 2, nothing half-written."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ippo import main
from models import folder as folders
from tests import tiny

Done = subprocess.CompletedProcess[str]


def ippo(*arguments: str, cwd: Path | None = None) -> Done:
    """A command in this process, which has loaded its libraries once for all of them."""
    said, told, on_stop = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(told):
        patch.setattr(sys, "argv", ["ippo", *arguments])
        patch.chdir(cwd or Path.cwd())
        with pytest.raises(SystemExit) as ended:
            main()
    signal.signal(signal.SIGTERM, on_stop)
    return Done(arguments, int(ended.value.code or 0), said.getvalue(), told.getvalue())


EVALUATE = ["evaluate", "s", "--data", "d", "--teacher", "t", "--judge", "j", "--out", "report", "--student-steps", "7"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "techer", "x.yaml"], "no training method 'techer'; did you mean 'teacher'?"),
        (["train", "teacher", "nowhere.yaml"], "no configuration file nowhere.yaml"),
        (["data", "emoji", "--font", "nowhere.ttf", "--out", "set"], "nowhere.ttf"),
        (["data", "build", "empty", "set"], "empty"),
        (["data", "mnist", "empty", "--out", "set"], "empty holds no train-images-idx3-ubyte"),
        (["generate", "a cat", "--bundle", "empty"], "empty"),
        (
            ["generate"],
            "what is to be drawn? Accepted: prompts or labels, --class, --attribute; of a file: ippo bulk FILE",
        ),
        (["generate", "--style", "a.png"], "--style alone says nothing to draw; accepted: a prompt, or --content"),
        (["generate", "a", "--content", "a.png", "--image", "b.png"], "--image is started from, --content and --style"),
        (["generate", "a", "--bundle", "nowhere"], "nowhere"),
        (["generate", "--prompts", "p.txt"], "prompts from a file are drawn by ippo bulk p.txt"),
        (["generate", "a", "--device", "tpu"], "runs on cpu, not on tpu; accepted: auto, cpu"),
        (["sample", "nowhere", "a"], "nowhere"),
        (["sample", "nowhere"], "what is to be drawn?"),
        (["sample", "nowhere", "a", "--out", "cat.bmp"], "unknown image format '.bmp'"),
        (["bulk", "nowhere.txt"], "no file nowhere.txt"),
        (["serve", "max_queu=3"], "unknown key 'max_queu'; did you mean 'max_queue'?"),
        (["studio", "--port", "99999"], "cannot listen on 127.0.0.1:99999: accepted: 0 to 65535"),
        (["compare", "nowhere", "--out", __file__], "is a file"),
        (["line", "my-set", "--serve", "--port", "99999"], "invalid value for '--port': "),
        (["serve", "--host", "a..b"], "host 'a..b' is unknown; accepted: localhost, "),
        (["serve", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:3000: it is no address of this machine"),
        (["studio", "--host", "a..b"], "host 'a..b' is unknown"),
        (["serve", "page"], "setting 'page' is not of the form name=value"),
        (["serve", "api_keys=short"], "a key has at least 8"),
        (["export", "nowhere", "--out", "bundle"], "nowhere"),
        (["compare", "nowhere"], "nowhere is no run"),
        (["convert", "inception", "nowhere.pth", "out"], "no file nowhere.pth"),
        (["convert", "versatile", "nowhere", "out"], "no file or folder nowhere"),
        (["convert", "versatile", "empty", "out"], "empty is incomplete: it has no model_index.json"),
        (["convert", "versatile", "odd", "o"], "odd is of no named class; accepted: a folder of Versatile"),
        (["sample", "odd", "a"], "odd/model_index.json names no pipeline: it has no _class_name"),
        (["convert", "optimus", "empty", "out"], "empty is a folder; accepted: optimus-vae.pth"),
        (["convert", "optimus", __file__, "out", "--parts", "nowhere"], "no folder nowhere"),
        (["convert", "lpips", "alexnet.pth", "out"], "--heads FILE"),
        (["save", "nowhere", "--out", "."], "exists and holds no model_index.json, so it will not be replaced"),
        (["save", "nowhere", "--out", "empty", "--single-file"], "empty is a folder; accepted: a .safetensors file"),
        (["save", "nowhere", "--out", f"{__file__}/x"], "is a file: name a folder that can be made"),
        (["bulk", "p.txt", "--out", __file__], "is a file: name a folder that can be made"),
        (["generate", "a", "--strength", "0.3"], "--strength says how far from --image"),
        (EVALUATE, "students draw in 1, 2, 3, 4 steps, not in '7'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "model_index.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ippo", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert ended.value.code == 2
    assert last.startswith("ippo: ")
    assert message in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "odd"]


@pytest.mark.parametrize(
    "arguments", [["generate", "a", "--bundle", "nowhere"], ["export", "nowhere", "--out", "bundle"]]
)
def test_so_it_is_in_a_process_of_its_own(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, str(Path(__file__).parents[1] / "ippo.py"), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert result.returncode == 2, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ippo: ") and "nowhere" in last
    assert "Traceback" not in result.stderr


def test_generate_draws_what_the_seed_says(tiny_bundle: Path, tmp_path: Path) -> None:
    for name, seed in (("a.png", "7"), ("b.png", "7"), ("c.png", "8")):
        result = ippo("generate", "red", "--bundle", str(tiny_bundle), "--seed", seed, "--out", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
    first, again, other = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png", "c.png"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_generate_says_which_prompt_is_cut(tiny_bundle: Path, tmp_path: Path) -> None:
    result = ippo("generate", "red " * 90, "red", "--bundle", str(tiny_bundle), "--out", str(tmp_path / "a.png"))
    assert result.returncode == 0 and result.stderr.count("\n") == 1, result.stderr
    assert re.match(r"ippo: 1 of 2 prompts are longer than the \d+ tokens .* the last \d+ are not read", result.stderr)


def test_generate_takes_labels_by_number_and_by_name(pixel_bundle: Path, tmp_path: Path) -> None:
    options = ("--bundle", str(pixel_bundle), "--out", str(tmp_path / "a.png"))
    result = ippo("generate", "2", "blue", *options)
    assert result.returncode == 0, result.stderr
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a-0.png", "a-1.png"]
    first, second = (np.asarray(Image.open(tmp_path / f"a-{place}.png")) for place in (0, 1))
    assert np.abs(first.astype(int) - second).max() <= 3
    refused = ippo("generate", "4", *options)
    assert refused.returncode == 2 and "label '4' is out of range; accepted: 0 to 3" in refused.stderr


def test_generate_composes_attributes(attribute_bundle: Path, tmp_path: Path) -> None:
    options = ("--bundle", str(attribute_bundle), "--seed", "3")
    asked = ("--attribute", "Ape", "--attribute", "Fez=2.5")
    for name, inputs in (("a.png", asked), ("b.png", ("Ape, Fez=2.5",)), ("c.png", ("--attribute", "Ape"))):
        result = ippo("generate", *inputs, *options, "--out", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
    first, again, other = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png", "c.png"))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    refused = ippo("generate", "--attribute", "Cap", "--attribute", "Fez", *options)
    assert refused.returncode == 2 and "exclude each other: one hat at most" in refused.stderr
    refused = ippo("generate", "--class", "Ape", *options)
    assert refused.returncode == 2 and "does not take label; accepted: attributes" in refused.stderr


def test_sample_draws_with_a_run_and_shows_its_denoising(tmp_path: Path) -> None:
    folders.save(tiny.attribute_teacher(), tmp_path / "teacher")
    options = (str(tmp_path / "teacher"), "--attribute", "Ape=2", "--steps", "5")
    several = ippo("sample", *options, "--count", "2", "--grid", "--out", str(tmp_path / "a.png"))
    assert several.returncode == 0, several.stderr
    image = Image.open(tmp_path / "a.png")
    assert image.size == (8 + 2 + 8, 8)
    assert [image.info[name] for name in ("attributes", "seed", "steps", "sampler")] == ["Ape=2", "0", "5", "ddim"]
    animated = ippo("sample", *options, "--gif", "--out", str(tmp_path / "a.gif"))
    assert animated.returncode == 0, animated.stderr
    animation = Image.open(tmp_path / "a.gif")
    assert animation.n_frames == 5  # type: ignore[attr-defined]
    assert json.loads(animation.info["comment"])["guidance"] == 1.0
    refused = ippo("generate", "Ape", "--bundle", str(tmp_path / "teacher"))
    assert refused.returncode == 2 and "ippo sample draws from a run" in refused.stderr


@pytest.mark.parametrize("ending", ["png", "jpg", "webp"])
def test_generate_writes_the_file_that_bulk_writes(ending: str, tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("red\n")
    options = ("--bundle", str(tiny_bundle), "--seed", "7", "--steps", "2", "--backend", "ort")
    one = ippo("generate", "red", *options, "--out", str(tmp_path / f"one.{ending}"))
    kind = ("--format", ending.replace("jpg", "jpeg"))
    many = ippo("bulk", str(tmp_path / "prompts.txt"), *options, *kind, "--out", str(tmp_path / "many"))
    assert one.returncode == many.returncode == 0, one.stderr + many.stderr
    (file,) = (tmp_path / "many").glob("shard-00000/*.*g*" if ending != "webp" else "shard-00000/*.webp")
    assert (tmp_path / f"one.{ending}").read_bytes() == file.read_bytes()
    assert b"trainedAlgorithmicMedia" in file.read_bytes()


def test_generate_starts_from_a_picture_of_any_size(tiny_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (50, 30), "red").save(tmp_path / "start.png")
    options = ("--bundle", str(tiny_bundle), "--image", str(tmp_path / "start.png"), "--strength", "0.25")
    result = ippo("generate", "red", "--steps", "2", *options, "--out", str(tmp_path / "a.png"))
    assert result.returncode == 0, result.stderr
    assert Image.open(tmp_path / "a.png").size == (16, 16)


@pytest.mark.parametrize("option", ["--content", "--style", "--image"])
@pytest.mark.parametrize(
    ("name", "out", "further"),
    [("keep.png", "keep.png", []), ("keep-1.png", "keep.png", ["--count", "2"]), ("keep.png", "link.png", [])],
)
def test_generate_keeps_the_pictures_it_draws_from(
    tmp_path: Path, option: str, name: str, out: str, further: list[str]
) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    if out == "link.png":
        (tmp_path / out).symlink_to(tmp_path / name)
    kept = (tmp_path / name).read_bytes()
    refused = ippo("generate", "a", option, name, "--out", out, *further, cwd=tmp_path)
    file = name if out == "keep.png" else out
    assert refused.returncode == 2
    assert refused.stderr == f"ippo: {file} is a picture to draw from and would be replaced: name another --out\n"
    assert (tmp_path / name).read_bytes() == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "openvno"], "openvino"),
        (["--steps", "5"], "accepted: 1, 2, 3, 4"),
        (["--seed", "-1"], "seed -1 is out of range"),
        (["--out", "cat.bmp"], "unknown image format '.bmp'"),
        (["--image", "nowhere.png"], "no image nowhere.png"),
        (["--image", "."], ". is a folder; accepted: one picture"),
        (["--size", "32x16"], "size 32x16 is not offered; accepted: 16x16"),
        (["--size", "large"], "size 'large' is not WIDTHxHEIGHT"),
    ],
)
def test_generate_refuses_in_one_line(tiny_bundle: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    result = ippo("generate", "red", "--bundle", str(tiny_bundle), *arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("ippo: ")]
    assert message in said
    assert not list(tmp_path.iterdir())


def test_a_teacher_is_not_exported(tmp_path: Path) -> None:
    folders.save(tiny.teacher(), tmp_path / "teacher")
    result = ippo("export", str(tmp_path / "teacher"), "--out", str(tmp_path / "bundle"))
    assert result.returncode == 2, result.stderr
    assert "is no student" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
