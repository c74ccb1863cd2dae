"""What several floors' tests share: one tiny bundle, exported once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from base.files import atomic_folder

if TYPE_CHECKING:
    from models.pipeline import Pipeline
    from runtime.backend import Backend
    from runtime.bundle import Bundle

CAPTIONS = ("face with tears of joy", "red heart")
"""What pages of the tiny bundles suggest, where they are asked by captions."""


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that is made by the first of the tests' processes that wants it, and then theirs all."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "once" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            with atomic_folder(folder) as hidden:
                make(hidden)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled graphs go into a folder of this run's own; what the user has compiled is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPPO_CACHE", str(once(tmp_path_factory, "cache", lambda hidden: None)))
        yield


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The diffusers folder of a tiny random student; tests that alter files work on a copy."""
    from tests import tiny

    return _saved(tmp_path_factory, "student", tiny.student)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_student: Path) -> Path:
    """The bundle of that student; tests that alter files work on a copy."""
    return _exported(tmp_path_factory, tiny_student)


@pytest.fixture(scope="session")
def pixel_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny class-to-image student of the pixel family."""
    from tests import tiny

    return _exported(tmp_path_factory, _saved(tmp_path_factory, "pixels", tiny.pixel_student))


@pytest.fixture(scope="session")
def unconditional_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student without inputs."""
    from tests import tiny

    return _exported(
        tmp_path_factory, _saved(tmp_path_factory, "unconditional", lambda: tiny.pixel_student(classes=()))
    )


@pytest.fixture(scope="session")
def attribute_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student that is asked for attributes."""
    from tests import tiny

    return _exported(tmp_path_factory, _saved(tmp_path_factory, "attributes", tiny.attribute_student))


@pytest.fixture(scope="session")
def versatile_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student of pictures and words, both ways: ten graphs, so for slow tests."""
    from tests import tiny

    return _exported(tmp_path_factory, _saved(tmp_path_factory, "versatile", tiny.versatile_student))


def _saved(factory: pytest.TempPathFactory, name: str, student: Callable[[], Pipeline]) -> Path:
    from models import folder

    return once(factory, name, lambda hidden: folder.save(student(), hidden / "tiny")) / "tiny"


def _exported(factory: pytest.TempPathFactory, student: Path) -> Path:
    from export.write_bundle import ExportOptions, export

    def make(hidden: Path) -> None:
        export(str(student), hidden / "tiny", ExportOptions(trained=False, captions=CAPTIONS))

    return once(factory, f"{student.parent.name}-bundle", make) / "tiny"


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
