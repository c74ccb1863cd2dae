"""`ippo new`, `ippo line`: the configurations of a set of one's own, and all of them trained, exported and served."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from base.listening import check_free
from base.runs import runs_root, trained
from base.shipped import ROOT

Folder = Annotated[Path | None, typer.Option(help="Folder of the configurations; by default configs/SET.")]


def new(
    name: Annotated[str, typer.Argument(metavar="SET", help="The set, as `ippo data` made it.")],
    like: Annotated[str, typer.Option(help="Captions: icons or emoji-mini; labels: digits; attributes: avatars.")],
    base: Annotated[
        str | None,
        typer.Option(help="Teacher to start from: a run, or a folder such as models/pretrained/emoji/teacher."),
    ] = None,
    vae: Annotated[
        str | None, typer.Option(help="Autoencoder to take in place of one of its own: a run or a folder.")
    ] = None,
    own_text: Annotated[
        bool, typer.Option("--own-text", help="With --base: a text encoder of your own, which learns this set's words.")
    ] = False,
    longer: Annotated[float, typer.Option(help="Times as many steps as the set to go by.")] = 1.0,
    out: Folder = None,
) -> None:
    """Write the configurations that train a set of your own, after those of a set that ships."""
    from data.own_set import opened
    from training.new_configs import Start, write

    folder = out or Path("configs") / Path(name).name
    own = opened(name)
    files = write(own, like, folder, Start(base, vae, own_text), longer)
    print(*files, sep="\n")
    if own.sizes:
        Console(stderr=True).print(
            f"{own.name} has pictures of {len(own.sizes)} sizes: a teacher and a student learn them; a decoder and a judge do "
            "not, and are left out",
            highlight=False,
        )
    Console(stderr=True).print(
        "look at them, then: " + shlex.join(["ippo", "line", name, *(("--configs", str(out)) if out else ())]),
        highlight=False,
    )


def line(
    name: Annotated[str, typer.Argument(metavar="SET", help="The set that `ippo new` wrote configurations for.")],
    configs: Folder = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Run of a stage that stays as it is, whatever its configuration; may be repeated."),
    ] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the bundle when it is made.")] = False,
    port: Annotated[int, typer.Option(help="Port to serve on.", min=1, max=65535)] = 3000,
) -> None:
    """Train all that `ippo new` wrote in its order, export the student, and serve it; the same command again goes on."""
    from training.configured_line import check_sets, last_run, stages

    planned = stages(configs or Path("configs") / Path(name).name)
    check_sets(planned)
    if serve:
        check_free("127.0.0.1", port, "--port")  # now, not after hours of training
    console = Console(stderr=True)
    for run in keep or ():
        trained(run)
    for stage in (stage for stage in planned if stage.run not in (keep or ())):
        console.rule(f"ippo train {stage.method} {stage.file}")
        _run("train", stage.method, str(stage.file))
    bundle = runs_root() / Path(name).name / "bundle"
    student, sharper = str(last_run(planned, "student")), last_run(planned, "decoder")
    decoder = ("--decoder", sharper) if sharper else ()
    console.rule(f"ippo export {student}")
    _run("export", student, *decoder, "--out", str(bundle), "--name", Path(name).name, "--overwrite")
    print(bundle)
    if serve:
        from commands.serve import serve as launch

        launch(bundle=bundle, port=port)


def _run(*arguments: str) -> None:
    """One command in a process of its own: a process has one precision. What stops it stops the line, with its code."""
    with subprocess.Popen([sys.executable, str(ROOT / "ippo.py"), *arguments]) as child:
        before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        interrupt = signal.signal(
            signal.SIGINT, lambda *_: None
        )  # the terminal tells the child, which writes a checkpoint
        code = child.wait()
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, interrupt)
    if code:
        raise SystemExit(code)
