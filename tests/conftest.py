"""What several floors' tests share: one tiny bundle, exported once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models.pipeline import Pipeline
    from runtime.backend import Backend
    from runtime.bundle import Bundle


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled graphs go into a folder of this run's own; what the user has compiled is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPPO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The diffusers folder of a tiny random student."""
    from models import folder
    from tests import tiny

    out = tmp_path_factory.mktemp("student") / "tiny"
    folder.save(tiny.student(), out)
    return out


@pytest.fixture(scope="session")
def tiny_bundle(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that student; tests that alter files work on a copy."""
    from export.write_bundle import ExportOptions, export

    out = tmp_path_factory.mktemp("bundle") / "tiny"
    export(str(tiny_student), out, ExportOptions(trained=False))
    return out


@pytest.fixture(scope="session")
def pixel_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny class-to-image student of the pixel family."""
    return _pixels(tmp_path_factory.mktemp("pixels"), tiny_classes=True)


@pytest.fixture(scope="session")
def unconditional_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student without inputs."""
    return _pixels(tmp_path_factory.mktemp("unconditional"), tiny_classes=False)


@pytest.fixture(scope="session")
def attribute_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student that is asked for attributes."""
    from tests import tiny

    return _exported(tiny.attribute_student(), tmp_path_factory.mktemp("attributes"))


def _pixels(out: Path, tiny_classes: bool) -> Path:
    from tests import tiny

    return _exported(tiny.pixel_student(classes=tiny.CLASSES if tiny_classes else ()), out)


def _exported(student: Pipeline, out: Path) -> Path:
    from export.write_bundle import ExportOptions, export
    from models import folder

    folder.save(student, out / "student")
    return export(str(out / "student"), out / "tiny", ExportOptions(trained=False)).folder


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    """The tiny bundle, opened."""
    from runtime.bundle import open_bundle

    return open_bundle(tiny_bundle)


@pytest.fixture(scope="session")
def pipeline(tiny_bundle: Path) -> Pipeline:
    """The bundle's own fp16 weights, computing in float32."""
    from models import folder

    return folder.load(tiny_bundle)


@pytest.fixture(scope="session")
def backends(bundle: Bundle) -> dict[str, Backend]:
    """By name; `openvino` computes in f32 here, `openvino_bf16` in bf16 where the CPU has it."""
    from runtime import backend
    from runtime.backend import BackendOptions
    from runtime.openvino import OpenVinoBackend  # not everywhere where there is a GPU

    loaded = {name: backend.load(name, bundle, BackendOptions(threads=1)) for name in ("ort", "eager")}
    loaded["openvino"] = OpenVinoBackend(bundle, BackendOptions(threads=1), precision="f32")
    loaded["openvino_bf16"] = OpenVinoBackend(bundle, BackendOptions(threads=1), precision="bf16")
    return loaded
