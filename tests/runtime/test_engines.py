"""Engines in a bundle: which may be read, what is said of the others, and when `auto` takes the backend that runs them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.errors import BadInput
from base.shipped import ROOT
from commands.export import engines as command
from export import build_engines
from runtime import backend, cache, engines, gpu
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.engines import Engine
from runtime.manifest import MANIFEST
from runtime.signature import FUSED
from tests import backend_files

pytest.importorskip("tensorrt_rtx_bindings")
KNOWN = ["sm75", "sm80", "sm86", "sm89", "sm120", "sm121"]
GRAPH = "conditioner"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with engines of its smallest graph for Ampere, Blackwell and Turing, added one after the other."""
    out = tmp_path_factory.mktemp("engines") / "b"
    shutil.copytree(ROOT / "models" / "pretrained" / "digits" / "student", out)
    for names in (["sm120"], ["sm86", "sm75"]):
        build_engines.write_manifest(build_engines.add(open_bundle(out), names, [GRAPH]))
    return out


@pytest.fixture
def bundle(built: Path, tmp_path: Path) -> Bundle:
    shutil.copytree(built, tmp_path / "b")
    return open_bundle(tmp_path / "b")


def read(bundle: Bundle, capability: str, graph: str = GRAPH) -> bytes | None:
    from runtime import rtx

    key = cache.digest(rtx.key(bundle, graph))
    return engines.read(bundle.folder, bundle.manifest.engines, graph, capability, key)


def test_one_engine_is_for_all_gpus_but_turings(bundle: Bundle) -> None:
    records = bundle.manifest.engines
    assert [(engine.graph, engine.capabilities) for engine in records] == [
        (GRAPH, ("sm75",)),
        (GRAPH, ("sm86", "sm120")),
    ]
    there = sorted(str(file.relative_to(bundle.folder)) for file in bundle.folder.glob("engines/*/*"))
    assert there == sorted(engine.file for engine in records)  # that of Blackwell alone has gone
    assert len(list(bundle.folder.glob("engines/*"))) == len(records)  # and its folder
    assert read(bundle, "sm86") == read(bundle, "sm120") != read(bundle, "sm75")
    assert list(records[0].versions) == ["tensorrt_rtx"]


def test_a_bundle_with_engines_draws_as_before_where_there_is_no_gpu(bundle: Bundle) -> None:
    assert backend.chosen("auto", bundle=bundle) == "openvino"
    (bundle.folder / bundle.manifest.engines[0].file).unlink()
    open_bundle(bundle.folder)  # whole without them


def _cut(bundle: Bundle, file: Path) -> Bundle:
    file.write_bytes(file.read_bytes()[:-1])
    return bundle


def _altered(bundle: Bundle, file: Path) -> Bundle:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return bundle


def _missing(bundle: Bundle, file: Path) -> Bundle:
    file.unlink()
    return bundle


def _outside(bundle: Bundle, file: Path) -> Bundle:
    shutil.copy(file, bundle.folder.parent / "out.engine")
    return _with(bundle, file="../out.engine")


def _older(bundle: Bundle, file: Path) -> Bundle:
    return _with(bundle, key="0" * 64, versions={"tensorrt_rtx": "1.0"})


def _with(bundle: Bundle, **changes: object) -> Bundle:
    records = tuple(engine.model_copy(update=changes) for engine in bundle.manifest.engines)
    return dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"engines": records}))


REFUSED = [
    (_cut, r"was altered \(SHA-256 differs\)"),
    (_altered, r"was altered \(SHA-256 differs\)"),
    (_missing, "cannot be read: No such file or directory"),
    (_outside, "lies outside of the bundle"),
    (_older, r"is of other graphs, plans or versions \(tensorrt_rtx 1\.0\)"),
]


@pytest.mark.parametrize("change, why", REFUSED)
def test_what_is_not_the_engine_that_was_built_is_refused_in_one_line(
    change: object, why: str, bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    file = bundle.folder / next(engine.file for engine in bundle.manifest.engines if "sm86" in engine.capabilities)
    changed: Bundle = change(bundle, file)  # type: ignore[operator]
    assert read(changed, "sm86") is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"no engine of {GRAPH} is taken from {bundle.folder}: engines/") or change is _outside
    assert caplog.records[0].name == "ippo" and re.search(why, line)


def test_an_engine_of_another_gpu_or_graph_is_not_taken(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    assert read(bundle, "sm89") is None and read(bundle, "sm86", "denoiser") is None
    lines = [record.getMessage().rpartition(": ")[0::2] for record in caplog.records]
    assert [line[1] for line in lines] == ["sm75, sm86, sm120", "none"]


def test_weights_or_plans_that_changed_ask_for_another_engine(bundle: Bundle) -> None:
    files = {**bundle.manifest.files, bundle.manifest.graphs[GRAPH]: "0" * 64}
    other = dataclasses.replace(bundle, manifest=bundle.manifest.model_copy(update={"files": files}))
    assert read(bundle, "sm86") is not None and read(other, "sm86") is None


def test_the_manifest_holds_them_and_refuses_others(bundle: Bundle) -> None:
    values = json.loads((bundle.folder / MANIFEST).read_text())
    values["engines"][0]["weights"] = "elsewhere"
    (bundle.folder / MANIFEST).write_text(json.dumps(values))
    with pytest.raises(BadInput, match=r"was altered: engines\.0\.weights"):
        open_bundle(bundle.folder)


def test_auto_takes_rtx_where_the_bundle_has_an_engine_for_the_gpu(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = _with(bundle, graph=FUSED)
    monkeypatch.setattr(gpu, "capability", lambda: "sm86")  # as if there were one
    assert backend.chosen("auto", bundle=fused) == backend.chosen("auto", "cuda", fused) == "rtx"
    assert (
        backend.chosen("auto", "cpu", fused)
        == backend.chosen("auto", bundle=bundle)
        == backend.chosen("auto")
        == "openvino"
    )
    monkeypatch.setattr(gpu, "capability", lambda: "sm89")
    assert backend.chosen("auto", bundle=fused) == "openvino"
    monkeypatch.setattr(gpu, "capability", lambda: "sm86")
    backend_files.remove(monkeypatch, tmp_path, "rtx")
    assert backend.chosen("auto", bundle=fused) == "openvino"


@pytest.mark.skipif(gpu.capability() is not None, reason="there is a GPU")
def test_without_a_driver_it_is_one_line(bundle: Bundle) -> None:
    with pytest.raises(BadInput, match=r"^backend 'rtx' needs an NVIDIA GPU with its driver, and there is none"):
        backend.load("rtx", bundle)
    with pytest.raises(BadInput, match="backend 'rtx' runs on cuda, not on cpu"):
        backend.load("rtx", bundle, BackendOptions(device="cpu"))


def test_without_its_wheels_the_extra_is_named(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = 'from runtime.available import BackendInfo\n\nBACKEND = BackendInfo(package="no.such", extra="rtx", devices=())\n'
    backend_files.add(monkeypatch, tmp_path / "runtime", rtx=there)
    with pytest.raises(BadInput, match=r"'rtx' is not installed: pip install 'ippo\[rtx\]'"):
        backend.load("rtx", bundle)
    with pytest.raises(BadInput, match=r"not installed: pip install 'ippo\[rtx\]'"):
        command(bundle.folder, "sm89", False)


@pytest.mark.parametrize("text", ["sm90", "", "sm86,9", "8.6", ","])
def test_unknown_gpus_are_refused_before_anything_is_built(text: str, bundle: Bundle) -> None:
    before = (bundle.folder / MANIFEST).read_bytes()
    with pytest.raises(BadInput, match="is not one to build for; accepted: sm75, sm80, sm86, sm89"):
        command(bundle.folder, text, False)
    assert (bundle.folder / MANIFEST).read_bytes() == before


@given(st.lists(st.sampled_from(KNOWN), min_size=1), st.sampled_from([",", " , ", ",,"]))
def test_capabilities_are_read_each_once_in_any_case(names: list[str], between: str) -> None:
    assert engines.parse(between.join(names).upper(), KNOWN) == tuple(dict.fromkeys(names))


def test_the_record_says_all(bundle: Bundle) -> None:
    assert Engine.model_validate_json(bundle.manifest.engines[0].model_dump_json()) == bundle.manifest.engines[0]
