"""What the figures of a report rest on, and what in them should worry one, in plain words; it measures nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evaluation.attributes.composition import Composition
from evaluation.figures import FIDELITY, fd
from evaluation.reference import JUDGE
from evaluation.report import Report
from metrics.proportions import below
from metrics.sightings import VISIBLE
from metrics.validity import BLURS, DROPS, MARGIN, NOISES

UNSEEN = 0.9
"""Share of the reals' attribute accuracy that is due on unknown combinations."""
FEW = 2000
"""Below so many images KID is the steadier figure."""
WORSE = 1.05
"""Factor of FD from which more steps are said to make it worse."""


def notes(report: Report) -> list[str]:
    """What the figures mean and rest on, a sentence each."""
    verdict = "valid" if report.validity.valid else "NOT VALID"
    sentences = [
        figure.note
        for figure in report.figures
        if figure.note and any(line[figure] not in (None, {}) for line in report.lines)
    ]
    sentences.append(
        f"Judge {verdict}: reals blurred by σ = 1 px lie at {report.validity.margin:.1f} × the teacher's FD "
        f"(at least {MARGIN:g}); {_rise(report)}."
    )
    if report.floor.n < FEW:
        sentences.append(
            f"N = {report.floor.n}: an FD of so few images is too high by an amount that depends on N; compare it only at "
            "the same N and by the same network, and read KID beside it."
        )
    if report.autoencoder:
        after = report.autoencoder
        sentences.append(
            f"Autoencoder on held-out reals: PSNR {after.psnr:.1f} dB, detail {after.detail:.2f}, FD {after.fd:.4f}: "
            "no teacher or student on top of it can do better."
        )
    return sentences


def warnings(report: Report, compositions: Sequence[Composition] = ()) -> list[str]:
    """What should worry one, a sentence each; none if nothing does."""
    sentences = [] if report.validity.valid else ["The judge is not valid here: its distances rank nothing."]
    sentences += _of_the_sweep(report)
    for student in report.students:
        remarks = [figure.remark(student, report.teacher) for figure in report.figures]
        sentences += [f"{student.name}: {remark}" for remark in remarks if remark]
    sentences += _of_more_steps(report)
    if compositions and (blind := compositions[0].names.missed(VISIBLE)):
        shown = compositions[0].names.described(blind)
        sentences.append(f"The judge does not see on real images: {shown}; its figures say nothing about them.")
    for one in compositions[1:]:
        sentences += _of_attributes(one, compositions[0])
    return sentences


def _of_the_sweep(report: Report) -> list[str]:
    guidances = sorted({point.guidance for point in report.sweep})
    if len(guidances) < 2 or report.best.guidance not in (guidances[0], guidances[-1]) or report.best.guidance == 1.0:
        return []
    return [
        f"The teacher's best guidance, {report.best.guidance:g}, lies at the edge of the sweep: a wider sweep may find "
        "a better teacher, and the student is to be held against that one."
    ]


def _of_attributes(line: Composition, reals: Composition) -> list[str]:
    sentences = _of_names(line, reals)
    if not line.rises:
        listed = ", ".join(f"{share:.3f} at {weight:g}" for weight, share in sorted(line.weights.items()))
        sentences.append(
            f"{line.name}: heavier attributes are not seen more often ({listed}): it does not honour weights."
        )
    if below(line.unseen, line.unseen_n, UNSEEN * reals.unseen):
        sentences.append(
            f"{line.name}: on combinations that training never shows {line.unseen / reals.unseen:.2f} of the reals' "
            "attributes are seen: it repeats combinations more than it composes."
        )
    return sentences


def _of_names(line: Composition, reals: Composition) -> list[str]:
    """What the judge sees on reals, and on the line's images hardly ever."""
    visible = {name: share for name, share in reals.names.by_name.items() if name not in reals.names.missed(VISIBLE)}
    missed = [name for name in line.names.missed(VISIBLE) if name in visible]
    return [f"{line.name}: hardly draws {line.names.described(missed)}, which are seen on reals."] if missed else []


def _of_more_steps(report: Report) -> list[str]:
    if len(report.students) < 2:
        return []
    one_step, first = fd(report.students[0]), report.students[0][FIDELITY][JUDGE].fd_deviation
    worse = []
    for line in report.students[1:]:
        own, error = fd(line), math.hypot(first, line[FIDELITY][JUDGE].fd_deviation)
        if own > max(WORSE * one_step, one_step + 2 * error) and not math.isclose(own, one_step, abs_tol=1e-9):
            worse.append(f"{line.name} {own:.4g}")
    if not worse:
        return []
    return [
        f"More steps make it worse (FD {one_step:.4g} in one; {', '.join(worse)}): was it trained on those timesteps?"
    ]


def _rise(report: Report) -> str:
    validity = report.validity
    damages = (
        ("blur", BLURS, validity.blur),
        ("noise", NOISES, validity.noise),
        ("dropped labels", DROPS, validity.dropped),
    )
    listed = [
        f"{name} " + ", ".join(f"{level:g}: {distance:.3f}" for level, distance in zip(levels, measured, strict=True))
        for name, levels, measured in damages
    ]
    return ("FD rises with " if validity.rises else "FD does not rise with ") + "; ".join(listed)
