"""What the figures of a report rest on, and what in them should worry one, in plain words; it measures nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evaluation.composition import Composition
from evaluation.report import Line, Report
from metrics.validity import BLURS, DROPS, MARGIN, NOISES

COLLAPSE = 0.8
"""Share of the teacher's variety below which a student is said to collapse."""
SOFT, ROUGH = 0.9, 1.1
"""Shares of the reals' detail between which sharpness passes."""
RECALL = 0.95
"""Share of the teacher's recall that a student should keep."""
UNSEEN = 0.9
"""Share of the reals' attribute accuracy that is due on unknown combinations."""
FEW = 2000
"""Below so many images KID is the steadier figure."""


def notes(report: Report) -> list[str]:
    """What the figures mean and rest on, a sentence each."""
    checked = report.validity
    verdict = "valid" if checked.valid else "NOT VALID"
    found = [
        "± of FD: deviation over 20 bootstraps of the drawn images; of KID: over 50 subsets. One training each: "
        "what another seed of the training would give, neither says.",
        "Detail: mean absolute Laplacian ÷ the held-out reals'. Variety: several seeds at a fixed prompt.",
        f"Judge {verdict}: reals blurred by σ = 1 px lie at {checked.margin:.1f} × the teacher's FD "
        f"(at least {MARGIN:g}); {_rise(report)}.",
    ]
    if report.floor.n < FEW:
        found.append(
            f"N = {report.floor.n}: an FD of so few images is too high by an amount that depends on N; compare it only at "
            "the same N and by the same network, and read KID beside it."
        )
    if report.floor.similarity:
        found.append("Similarity: the teacher's is the student's ceiling, shuffled captions are the floor.")
    if report.autoencoder:
        after = report.autoencoder
        found.append(
            f"Autoencoder on held-out reals: PSNR {after.psnr:.1f} dB, detail {after.detail:.2f}, FD {after.fd:.4f}: "
            "no teacher or student on top of it can do better."
        )
    return found


def warnings(report: Report, attributes: Sequence[Composition] = ()) -> list[str]:
    """What should worry one, a sentence each; none if nothing does."""
    found = [] if report.validity.valid else ["The judge is not valid here: its distances rank nothing."]
    found += _of_the_sweep(report)
    for line in report.students:
        found += _of_a_student(line, report)
    return (
        found + _of_more_steps(report) + [line for one in attributes[1:] for line in _of_attributes(one, attributes[0])]
    )


def _of_the_sweep(report: Report) -> list[str]:
    guidances = sorted({point.guidance for point in report.sweep})
    if len(guidances) < 2 or report.best.guidance not in (guidances[0], guidances[-1]) or report.best.guidance == 1.0:
        return []
    return [
        f"The teacher's best guidance, {report.best.guidance:g}, lies at the edge of the sweep: a wider sweep may find "
        "a better teacher, and the student is to be held against that one."
    ]


def _of_a_student(line: Line, report: Report) -> list[str]:
    return [
        *_memorising(line),
        *_collapse(line, report.teacher),
        *_sharpness(line, report.teacher),
        *_deafness(line),
        *_missing_modes(line, report.teacher),
    ]


def _memorising(line: Line) -> list[str]:
    if line.nearest is None or line.nearest >= 1:
        return []
    return [
        f"{line.name}: half of its images lie within {line.nearest:.2f} × the distance at which real held-out images lie "
        "from the training images, so it may repeat what it was trained on: look at the nearest neighbours. More or "
        "more varied training images, and fewer steps, help."
    ]


def _collapse(line: Line, teacher: Line) -> list[str]:
    pairs = {"pixels": (line.spread, teacher.spread)}
    pairs |= {name: (line.diversity.get(name), value) for name, value in teacher.diversity.items()}
    low = {name: own / of for name, (own, of) in pairs.items() if own is not None and of and own < COLLAPSE * of}
    if not low:
        return []
    listed = ", ".join(f"{name} {share:.2f}" for name, share in low.items())
    return [
        f"{line.name}: the seeds of one prompt differ less than the teacher's ({listed} of its variety; below {COLLAPSE:g} "
        "is collapse). Less distillation or guidance, or more of the adversarial loss, brings variety back."
    ]


def _sharpness(line: Line, teacher: Line) -> list[str]:
    if SOFT <= line.detail <= ROUGH:
        return []
    word = "softer" if line.detail < SOFT else "rougher"
    return [
        f"{line.name}: {line.detail:.2f} of the reals' detail, so its images are {word} than theirs "
        f"(the teacher's: {teacher.detail:.2f})."
    ]


def _deafness(line: Line) -> list[str]:
    deaf = [
        name for name, value in line.similarity.items() if value.shuffled is not None and value.own <= value.shuffled
    ]
    return [f"{line.name}: by {name} its images fit other captions as well as their own." for name in deaf]


def _missing_modes(line: Line, teacher: Line) -> list[str]:
    if line.recall >= RECALL * teacher.recall:
        return []
    return [
        f"{line.name}: recall {line.recall:.2f} against the teacher's {teacher.recall:.2f}: some of what the reals show "
        "it does not draw."
    ]


def _of_attributes(line: Composition, reals: Composition) -> list[str]:
    found = []
    if not line.rises:
        listed = ", ".join(f"{share:.3f} at {weight:g}" for weight, share in sorted(line.weights.items()))
        found.append(f"{line.name}: heavier attributes are not seen more often ({listed}): it does not honour weights.")
    if line.unseen < UNSEEN * reals.unseen:
        found.append(
            f"{line.name}: on combinations that training never shows {line.unseen / reals.unseen:.2f} of the reals' "
            "attributes are seen: it repeats combinations more than it composes."
        )
    return found


def _of_more_steps(report: Report) -> list[str]:
    if len(report.students) < 2:
        return []
    first, *more = report.students
    worse = [line for line in more if line.fd > 1.05 * first.fd and not math.isclose(line.fd, first.fd, abs_tol=1e-9)]
    listed = ", ".join(f"{line.name} {line.fd:.4g}" for line in worse)
    return [
        f"More steps make it worse (FD {first.fd:.4g} in one; {listed}): was it trained on those timesteps?"
    ] * bool(worse)


def _rise(report: Report) -> str:
    checked = report.validity
    rows = (("blur", BLURS, checked.blur), ("noise", NOISES, checked.noise), ("dropped labels", DROPS, checked.dropped))
    parts = [f"{name} " + ", ".join(f"{x:g}: {y:.3f}" for x, y in zip(*pair, strict=True)) for name, *pair in rows]
    return ("FD rises with " if checked.rises else "FD does not rise with ") + "; ".join(parts)
