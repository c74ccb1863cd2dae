"""A task that ippo has never heard of, in this one file: a descriptor and a conditioner. All the rest serves it as it is."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest
import torch
import uvicorn
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import Tensor, nn

from models import ddpm, folder, tasks
from models.conditioning import Conditioning
from models.labels import Input
from models.pipeline import Pipeline
from models.scheduler_configs import student_scheduler
from models.task import task_named
from runtime import backend, prompts
from runtime.backend import BackendOptions
from runtime.bundle import Bundle, open_bundle
from runtime.generator import Generator, Request
from serving import page
from serving.serve_config import ServeConfig
from tests import tiny

NAME = "number-to-image"
MADE_UP = '''
"""`number-to-image`: how much of something is drawn."""

from base.errors import BadInput
from models.controls import TextBox
from models.labels import Input
from models.task import InputField, Task


class NumberToImage(Task):
    """Draws how much of something there is."""

    name = "number-to-image"
    field = InputField("number", float | str, "How much, from 0 to 1.")
    conditioner_inputs = ("weights",)
    does, action, verb = "draws numbers", "Draw a number", "Count"

    def parse(self, value: object) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number <= 1:
            raise BadInput(f"number {value!r:.20} is refused; accepted: 0 to 1")
        return number

    def row(self, input: Input) -> list[float]:
        """Whether there is a number, and the number."""
        return [0.0, 0.0] if input == "" else [1.0, self.parse(input)]

    def text(self, input: Input) -> str:
        return input if isinstance(input, str) else f"{input:g}"

    def examples(self, count: int) -> list[Input]:
        return [index % 5 / 4 for index in range(count)]

    def suggestions(self) -> list[str]:
        return ["0", "0.25", "1"]

    def control(self) -> TextBox:
        return TextBox("Number", placeholder="0 to 1")


TASK = NumberToImage
'''


class NumberConditioner(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """A number → one token."""

    __module__ = ddpm.__name__  # where it would stand: the file of its family

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Linear(2, width)

    def tokenize(self, inputs: Sequence[Input]) -> Tensor:
        return torch.tensor([task_named(NAME)().row(input) for input in inputs])

    def forward(self, weights: Tensor) -> Conditioning:
        weights = weights.to(self.embedding.weight.dtype)
        return Conditioning(encoder_hidden_states=self.embedding(weights)[:, None])

    def describe(self) -> dict[str, Any]:
        return {"task": NAME}


@pytest.fixture(scope="module", autouse=True)
def _entered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The file is in the folder, a line in the family's, and both are forgotten afterwards."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "number_to_image.py").write_text(MADE_UP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "__path__", [*tasks.__path__, str(folder)])
        patch.setitem(sys.modules, f"{tasks.__name__}.number_to_image", None)  # so that what is imported is undone
        patch.delitem(sys.modules, f"{tasks.__name__}.number_to_image")
        patch.setitem(ddpm.CONDITIONERS, NumberConditioner.__name__, NumberConditioner)
        yield
    task_named.cache_clear()


@pytest.fixture(scope="module")
def student() -> Pipeline:
    torch.manual_seed(0)
    scheduler = student_scheduler(ddpm.teacher_scheduler("v_prediction", "squaredcos_cap_v2"))
    conditioner: Any = NumberConditioner().eval()
    return ddpm.assemble(conditioner, tiny.pixel_unet(), ddpm.PixelAutoencoder(1, 2), scheduler)


@pytest.fixture(scope="module")
def bundle(student: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from export.write_bundle import ExportOptions, export

    out = tmp_path_factory.mktemp("numbers")
    folder.save(student, out / "student")
    return open_bundle(export(str(out / "student"), out / "tiny", ExportOptions(trained=False)).folder)


@pytest.fixture(scope="module")
def client(bundle: Bundle) -> Iterator[httpx.Client]:
    """A client of the real application on a free port of the loopback interface."""
    from serving.application import application

    config = ServeConfig(bundle=bundle.folder, backend="ort", threads=1, page=False, max_prompt=3)
    server = uvicorn.Server(uvicorn.Config(application(config), log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        port = listening.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
            yield client
        server.should_exit = True
        thread.join(60)


def test_the_manifest_says_what_a_request_holds(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert (manifest.task, manifest.inputs, manifest.tokens) == ("number-to-image", ("number",), 2)


@pytest.mark.parametrize("steps", [1, 2])
def test_the_bundle_draws_as_the_pipeline_does(bundle: Bundle, student: Pipeline, steps: int) -> None:
    generator = Generator(bundle, backend.load("ort", bundle, BackendOptions(threads=1)))
    inputs: list[Input] = [0.25, "0.25", 1, ""]
    drawn = generator.generate([Request(input, 7) for input in inputs], steps)
    expected = student.generate(inputs, [7] * 4, steps)
    assert np.abs(drawn.astype(int) - expected).max() <= 3
    assert np.array_equal(drawn[0], drawn[1]) and np.any(drawn[0] != drawn[2]) and np.any(drawn[0] != drawn[3])


def test_a_body_holds_the_number_and_the_image_says_it(client: httpx.Client) -> None:
    answers = [client.post("/generate", json={"number": number, "seed": 7}) for number in (0.25, "0.2500", 1)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[0].content == answers[1].content != answers[2].content
    information = Image.open(io.BytesIO(answers[0].content)).info
    assert information["number"] == "0.25" and "prompt" not in information


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"number": 2}, 422, "number 2.0 is refused; accepted: 0 to 1"),
        ({"number": "half"}, 422, "number 'half' is refused; accepted: 0 to 1"),
        ({"number": None}, 400, "number: "),
        ({}, 400, "number is missing"),
        ({"numbr": 1}, 400, "unknown key 'numbr'; did you mean 'number'?"),
        ({"prompt": "a cat"}, 400, "unknown key 'prompt'"),
    ],
)
def test_whatever_is_no_number_is_refused_in_one_line(
    client: httpx.Client, body: dict[str, Any], status: int, says: str
) -> None:
    answer = client.post("/generate", json=body)
    assert answer.status_code == status
    line = answer.json()["error"]
    assert says in line and "\n" not in line


def test_other_dialects_write_it_in_the_prompt(client: httpx.Client) -> None:
    ours = client.post("/generate", json={"number": 0.5, "seed": 3, "n": 2}).json()["data"]
    theirs = client.post("/v1/images/generations", json={"prompt": "0.5", "seed": 3, "n": 2}).json()["data"]
    others = client.post("/sdapi/v1/txt2img", json={"prompt": "0.5", "seed": 3, "batch_size": 2}).json()
    assert theirs == ours and others["images"] == [image["b64_json"] for image in ours]


def test_openapi_tells_what_a_request_holds(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    body = document["components"]["schemas"]["NumberBody"]
    assert body["required"] == ["number"] and body["description"] == "`POST /generate` of a model that draws numbers."
    assert body["properties"]["number"]["description"] == "How much, from 0 to 1."
    operation = document["paths"]["/generate"]["post"]
    assert operation["description"].startswith("Draw a number: ")


def test_the_page_has_its_control(bundle: Bundle) -> None:
    shown = [part["props"] for part in page.layout(bundle.manifest).config["components"]]
    (box,) = [props for props in shown if props.get("label") == "Number"]
    assert (box["placeholder"], box["value"]) == ("0 to 1", "0")
    assert {"0", "0.25", "1"} <= {props.get("value") for props in shown}
    assert any("<p>Count, and " in str(props.get("value")) for props in shown)


def test_a_table_has_a_column_of_its_name(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "numbers.csv").write_text("number,text\n0.5,a half\n")
    (row,) = prompts.opened(tmp_path / "numbers.csv", bundle.manifest.inputs).rows()
    assert row.input == "0.5"
