"""ONNX graphs as engines, by NVIDIA's own parser and builder; it needs no GPU, and knows neither bundles nor backends.

`api` is a module, `tensorrt` (10.12 or newer, and 11) or `tensorrt_rtx_bindings` (TensorRT for RTX): of the same classes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from base.errors import BadInput
from base.files import atomic_file

Plan = Mapping[str, int]
"""The dynamic dimensions of a graph, by name."""
ERROR = 1
"""Of the severities of `ILogger`: what is not more than this failed."""


@dataclass(frozen=True)
class EngineOptions:
    """How a graph becomes an engine."""

    profiles: Sequence[Sequence[Plan]]
    """A profile for each: it spans its plans, of which the first is the one that it is made for."""
    capabilities: Sequence[str] = ()
    """Compute capabilities (`sm89`) to build for, with TensorRT for RTX; none: the GPU that is here."""
    level: int | None = None
    """How many tactics the builder tries, 0 to 5; None: its own default."""
    timings: Path | None = None
    """Measured tactics, read and written."""
    described: bool = False
    """Whether the builder lists the layers of the engine in its log."""


@dataclass(frozen=True)
class ParsedGraph:
    """A graph as a network of NVIDIA's, with all that must outlive it."""

    name: str
    builder: Any
    network: Any
    parser: Any
    axes: Mapping[str, Mapping[int, str]]
    """Its inputs → their dynamic dimensions by name."""


@cache
def build_log(api: Any) -> Any:
    """The logger of a module, which takes but one: errors go to ippo's log, while it is `listening` everything to `lines`."""

    class BuildLog(api.ILogger):
        def __init__(self) -> None:
            api.ILogger.__init__(self)
            self.lines: list[tuple[int, str]] = []
            self.listening = False

        def log(self, severity: Any, message: str) -> None:
            if self.listening:
                self.lines.append((int(severity), message))
            elif int(severity) <= ERROR:
                logging.getLogger("ippo").error("TensorRT: %s", message)

    return BuildLog()


def build(api: Any, graph: Path, axes: Mapping[str, Mapping[int, str]], options: EngineOptions) -> bytes:
    """The ONNX graph as a serialised engine, strongly typed. BadInput: NVIDIA's parser or builder refuses it, in its words."""
    log = build_log(api)
    log.lines, log.listening = [], True
    try:
        parsed = parse(api, graph, axes)
        config = _config(api, parsed, options)
        engine = parsed.builder.build_serialized_network(parsed.network, config)
        if engine is None:
            why = next((line for severity, line in log.lines if severity <= ERROR), "its log does not say why")
            raise BadInput(f"TensorRT {api.__version__} cannot build {graph.name}: {why}")
        if options.timings:
            with atomic_file(options.timings) as hidden:
                hidden.write_bytes(bytes(config.get_timing_cache().serialize()))
        return bytes(engine)
    finally:
        log.listening = False


def parse(api: Any, graph: Path, axes: Mapping[str, Mapping[int, str]]) -> ParsedGraph:
    """The network of an ONNX file. BadInput: an operator that TensorRT has not, or other inputs than `axes` names."""
    builder = api.Builder(build_log(api))
    network = builder.create_network(_strongly_typed(api))
    parser = api.OnnxParser(network, build_log(api))
    if not parser.parse_from_file(str(graph)):
        error = parser.get_error(0)
        raise BadInput(f"TensorRT {api.__version__} cannot read {graph.name}: {error.node_operator()}: {error.desc()}")
    names = sorted(value.name for value in inputs(network))
    if names != sorted(axes):
        raise BadInput(f"{graph.name} takes {', '.join(names)}; this ippo knows {', '.join(sorted(axes))}")
    return ParsedGraph(graph.name, builder, network, parser, axes)


def inputs(network: Any) -> list[Any]:
    """The tensors that a network takes."""
    return [network.get_input(index) for index in range(network.num_inputs)]


def layer_types(network: Any) -> Counter[tuple[str, str]]:
    """How many layers of each kind give each type, before the builder joins them: `("CONVOLUTION", "HALF")` → 62."""
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return Counter((layer.type.name, layer.get_output(0).dtype.name) for layer in layers)


def _config(api: Any, parsed: ParsedGraph, options: EngineOptions) -> Any:
    """The builder's configuration: profiles, capabilities and what else the options say."""
    config = parsed.builder.create_builder_config()
    if options.level is not None:
        config.builder_optimization_level = options.level
    if options.described:
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
    if options.capabilities:
        config.num_compute_capabilities = len(options.capabilities)
        for index, name in enumerate(options.capabilities):
            config.set_compute_capability(getattr(api.ComputeCapability, name.upper()), index)
    for plans in options.profiles:
        profile = parsed.builder.create_optimization_profile()
        for value in inputs(parsed.network):
            if names := parsed.axes[value.name]:
                profile.set_shape(value.name, *_span(value.shape, names, plans))
        config.add_optimization_profile(profile)
    if options.timings:
        known = config.create_timing_cache(options.timings.read_bytes() if options.timings.is_file() else b"")
        config.set_timing_cache(known, ignore_mismatch=False)
    return config


def _span(shape: Sequence[int], names: Mapping[int, str], plans: Sequence[Plan]) -> tuple[tuple[int, ...], ...]:
    """The least, the usual and the largest shape of an input over all plans; unknown dimensions of `shape` are negative."""
    every = [tuple(plan[names[index]] if size < 0 else size for index, size in enumerate(shape)) for plan in plans]
    return tuple(map(min, zip(*every, strict=True))), every[0], tuple(map(max, zip(*every, strict=True)))


def _strongly_typed(api: Any) -> int:
    """Types are those of the graph: a flag in 10, the only way in 11, where the flag may be gone."""
    flags = getattr(api, "NetworkDefinitionCreationFlag", None)
    flag = getattr(flags, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)
