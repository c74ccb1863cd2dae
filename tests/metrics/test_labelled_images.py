"""A floor that shows the same: of each label as many, with the same attributes where there are such."""

from __future__ import annotations

import numpy as np

from metrics.labelled_images import LabelledImages


def images(rows: list[tuple[int, tuple[str, ...]]]) -> LabelledImages:
    pixels = np.arange(len(rows), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    labels, attributes = np.array([label for label, _ in rows]), tuple(own for _, own in rows)
    return LabelledImages(pixels, tuple(map(str, labels)), labels, (), attributes)


def test_the_same_attributes_are_looked_for() -> None:
    ours = images([(0, ("Cap", "Pipe")), (0, ()), (0, ("Cap",)), (1, ("Cap",)), (1, ("Fez",)), (0, ("Cap", "Mole"))])
    alike = ours.alike(images([(0, ("Cap",)), (0, ()), (1, ("Fez",)), (0, ("Cap", "Pipe"))]))
    assert alike.attributes == (("Cap",), (), ("Fez",), ("Cap", "Pipe"))
    assert alike.images[:, 0, 0, 0].tolist() == [2, 1, 4, 0]


def test_a_row_comes_twice_only_where_its_label_has_fewer() -> None:
    ours = images([(0, ("Cap",)), (0, ()), (1, ())])
    alike = ours.alike(images([(0, ("Cap",)), (0, ("Cap",)), (0, ("Cap",)), (1, ()), (2, ())]))
    assert alike.images[:3, 0, 0, 0].tolist() == [0, 1, 0]
    assert alike.labels[:4].tolist() == [0, 0, 0, 1] and len(alike) == 5


def test_without_attributes_labels_take_turns_as_ever() -> None:
    ours = images([(label, ()) for label in [0, 1, 2] * 10])
    alike = ours.alike(images([(label, ()) for label in [0, 0, 1, 2, 2, 2]]))
    assert alike.labels.tolist() == [0, 0, 1, 2, 2, 2] and len(set(alike.images[:, 0, 0, 0].tolist())) == 6
