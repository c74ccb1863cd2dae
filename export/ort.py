"""Graphs on ONNX Runtime; it knows nothing about torch or about what the graphs mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import onnxruntime
from numpy.typing import NDArray

from export.bundle import Bundle
from models.errors import BadInput

PROVIDER = "CPUExecutionProvider"


class OrtBackend:
    """One session a graph, made when it is first needed."""

    name = "ort"

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self.bundle = bundle
        self.threads = threads or os.cpu_count() or 1
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        if graph not in self._sessions:
            self._sessions[graph] = self._open(graph)
        return cast("NDArray[Any]", self._sessions[graph].run(None, dict(inputs))[0])

    def _open(self, graph: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(self.bundle.graph(graph)), options, providers=[PROVIDER])
        if session.get_providers() != [PROVIDER]:
            raise BadInput(f"ONNX Runtime gave {session.get_providers()} instead of {PROVIDER}")
        return session


def load(bundle: Bundle, threads: int | None = None) -> OrtBackend:
    return OrtBackend(bundle, threads)
