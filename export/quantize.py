"""int8 twins of the fused one-step graph, each made by its runtime's own maintained quantiser; it knows no family.

Convolutions and matrix products of denoiser and decoder take int8; the conditioner (0.4 % of the work) stays as it is, and so
does everything that sums or exponentiates. Steps 2 to 4 and images to start from run from the split graphs, in fp16.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base.errors import BadInput
from base.files import checksums, spoken_of
from export import fused, graphs, parity
from models import folder as folders
from models.labels import Input
from models.pipeline import Pipeline
from runtime import available, backend, networks
from runtime.backend import Backend, BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from runtime.signature import COMPONENTS, FUSED, FUSED_PATH, LEAST_INT8_PSNR

FOLDER = "int8"
FIRST_SEED = 1_000_000
"""The first seed of the noise that calibrates: none that the gate draws."""
TIMED = 5
OPERATORS = ["Conv", "Gemm", "MatMul"]
Feeds = Sequence[Mapping[str, NDArray[Any]]]
"""Inputs of the fused graph, one image each: by name, `input_ids (1, S)` or `weights (1, A)`, and `noise (1, C, h, w)`."""


def check() -> None:
    """BadInput: a quantiser is missing for a runtime that is installed."""
    packages = [quantiser.package for name, quantiser in QUANTISERS.items() if name in available.installed()]
    if missing := [package for package in packages if not find_spec(package)]:
        raise BadInput(f"precision int8 needs {', '.join(missing)}: pip install 'ippo[int8]'")


def add(
    bundle: Bundle, pipeline: Pipeline, calibration: Sequence[Input], inputs: Sequence[Input], trained: bool
) -> Bundle:
    """Write twins into an exported bundle: the bundle that has them, with what each loses and gains among its figures.

    `calibration` is what the model will be asked for; `inputs` what the gate draws. BadInput: a twin of trained weights keeps
    less than `LEAST_INT8_PSNR`.
    """
    names = [name for name in available.installed() if name in QUANTISERS]
    with tempfile.TemporaryDirectory(dir=bundle.folder) as scratch, spoken_of(Path(scratch), bundle.folder):
        graph, feeds = _folded(_float32(pipeline, Path(scratch) / "f32")), _feeds(bundle, calibration)
        (bundle.folder / FOLDER).mkdir()
        twins = {name: QUANTISERS[name].write(graph, feeds, bundle.folder / FOLDER) for name in names}
    files = {f"{FOLDER}/{name}": digest for name, digest in checksums(bundle.folder / FOLDER).items()}
    paths = {name: twin.relative_to(bundle.folder).as_posix() for name, twin in twins.items()}
    changes = {"files": bundle.manifest.files | files, "twins": paths}
    quantised = Bundle(bundle.folder, bundle.manifest.model_copy(update=changes))
    figures = {f"{name}_int8": _figures(name, bundle, quantised, pipeline, inputs) for name in names}
    for name in names if trained else ():
        require(name, figures[f"{name}_int8"])
    parity_figures = bundle.manifest.parity | figures
    return replace(quantised, manifest=quantised.manifest.model_copy(update={"parity": parity_figures}))


def require(backend: str, figures: Mapping[str, float]) -> None:
    """The gate for trained weights."""
    if figures["psnr"] < LEAST_INT8_PSNR:
        shortfall = f"{figures['psnr']:.1f} dB against torch float32, accepted {LEAST_INT8_PSNR:.0f} dB or more"
        raise BadInput(f"one_step in int8 on {backend} failed the parity gate: {shortfall}")


def _float32(pipeline: Pipeline, folder: Path) -> Path:
    """The fused graph in float32, which is what quantisers take."""
    folders.save(pipeline, folder)
    inputs, weights, paths = networks.examples(pipeline, batch=2), folders.weight_files(pipeline), {}
    for name, network in networks.components(pipeline).items():
        if name != "encoder":
            files = [folder / file for file in weights[COMPONENTS[name].part]]
            graph = graphs.write(name, network, inputs[name], files, precision="fp32")
            paths[name] = graph.relative_to(folder).as_posix()
    fused.write(
        folder, paths, pipeline.schedule, networks.scaling_factor(pipeline), networks.conditioning_names(pipeline)
    )
    return folder / FUSED_PATH


def _folded(graph: Path) -> Path:
    """The same with all constants computed: to either quantiser a weight that is read transposed is no weight."""
    from onnxruntime import quantization

    folded = graph.with_name("folded.onnx")
    quantization.quant_pre_process(
        str(graph), str(folded), skip_symbolic_shape=True, save_as_external_data=True, all_tensors_to_one_file=True
    )
    return folded


class _Listener(Backend):
    """A backend that runs nothing and remembers the inputs it was given."""

    name = "listener"

    def __init__(self) -> None:
        super().__init__()
        self.feeds: list[dict[str, NDArray[Any]]] = []

    def run_piece(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        assert graph == FUSED
        self.feeds.append(dict(inputs))
        return {"images": np.zeros((1, 1, 1, 3), np.uint8)}


def _feeds(bundle: Bundle, inputs: Sequence[Input]) -> Feeds:
    listener = _Listener()
    for index, input in enumerate(inputs):
        Generator(bundle, listener).generate([Request(input, FIRST_SEED + index)])
    return listener.feeds


def _openvino(graph: Path, feeds: Feeds, out: Path) -> Path:
    """By NNCF (post-training quantisation with its settings for transformers), as OpenVINO's own files."""
    import nncf
    import openvino

    nncf.set_log_level(logging.WARNING)  # else a line for every operation it leaves alone
    model = openvino.Core().read_model(str(graph))
    quantised = nncf.quantize(
        model,
        nncf.Dataset(list(feeds)),
        subset_size=len(feeds),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(patterns=["conditioner/.*"], validate=False),
    )
    openvino.save_model(quantised, str(out / "openvino.xml"), compress_to_fp16=True)
    return out / "openvino.xml"


def _ort(graph: Path, feeds: Feeds, out: Path) -> Path:
    """By ONNX Runtime's static quantiser, as pairs of QuantizeLinear and DequantizeLinear."""
    import onnx
    from onnxruntime import quantization

    nodes = onnx.load(str(graph), load_external_data=False).graph.node
    quantization.quantize_static(
        str(graph),
        str(out / "ort.onnx"),
        _Reader(feeds),
        op_types_to_quantize=OPERATORS,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        nodes_to_exclude=[node.name for node in nodes if node.name.startswith("conditioner/")],
        use_external_data_format=True,
    )
    return out / "ort.onnx"


class _Reader:
    """Feeds as ONNX Runtime's calibration asks for them."""

    def __init__(self, feeds: Feeds) -> None:
        self._left: Iterator[Mapping[str, NDArray[Any]]] = iter(feeds)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        return next(self._left, None)


@dataclass(frozen=True)
class Quantiser:
    """A runtime's own quantiser."""

    package: str
    """What it needs in addition to the runtime."""
    write: Callable[[Path, Feeds, Path], Path]
    """The float32 graph, its feeds and a folder → the twin written there."""


QUANTISERS = {"openvino": Quantiser("nncf", _openvino), "ort": Quantiser("onnx", _ort)}
"""Backend → its quantiser; a backend without one has no twin and runs the fp16 graph."""


def _figures(
    name: str, exact: Bundle, quantised: Bundle, pipeline: Pipeline, inputs: Sequence[Input]
) -> dict[str, float]:
    """PSNR against torch float32 and milliseconds an image, of the twin and of the graph it is one of."""
    before, after = (
        Generator(bundle, backend.load(name, bundle, BackendOptions(device="cpu"))) for bundle in (exact, quantised)
    )
    psnr, reference = (parity.image(generator, pipeline, inputs)["psnr"] for generator in (after, before))
    fast, slow = np.median([_times((after, before)) for _ in range(TIMED)], axis=0).tolist()
    return {"psnr": psnr, "psnr before": reference, "ms": fast, "ms before": slow, "times as fast": slow / fast}


def _times(generators: Sequence[Generator]) -> list[float]:
    """Milliseconds of one image by each, one after the other; what was compiled before is warm."""
    times = []
    for generator in generators:
        start = time.perf_counter()
        generator.generate([Request("", 0)])
        times.append(1e3 * (time.perf_counter() - start))
    return times
