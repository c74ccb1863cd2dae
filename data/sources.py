"""Find the images of a folder and the captions that belong to them; it knows nothing of pixels or splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from base.errors import BadInput
from base.pointers import absence
from data.caption_lists import NAME_COLUMNS, TEXT_COLUMNS, Caption, CaptionFiles, Value, in_words
from data.cleaning_report import Dropped
from data.decode import FOREIGN_SUFFIXES, SUFFIXES
from data.image_names import ImageNames
from data.several_captions import MOST, in_columns

_SPLITS = {"train", "validation", "valid", "val", "test", "images"}
"""Folder names that are no classes."""
ACCEPTED = (
    f"a .txt or .caption beside each image, a table with columns {NAME_COLUMNS[0]} and {TEXT_COLUMNS[0]} "
    f"(or {', '.join(TEXT_COLUMNS[1:4])}), or metadata.jsonl; or a folder a class"
)


ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".xz", ".7z", ".rar")
"""Endings of files in which images may be packed; none is opened."""
NO_CAPTION = "image without a caption"


@dataclass(frozen=True)
class CaptionedFile:
    """An image file, its caption, and the further columns its table had."""

    path: Path
    text: str
    columns: Mapping[str, Value] = field(default_factory=dict)


@dataclass
class CaptionedImages:
    """The images of a source: those with captions in the order of their paths, and what cannot be used, with the reason."""

    captioned: list[CaptionedFile]
    dropped: list[Dropped]


def find(source: Path, needed: bool = True) -> CaptionedImages:
    """Find every captioned image under `source`. metadata.jsonl counts before other lists, and these before a .txt.

    An image that has a label or attributes but no caption is captioned by them. Where the list that captions an image has
    several captions of it, the others are in columns `text_2` and so on, in every image. Where captions are not `needed`,
    images without one stay, with an empty text. BadInput: no such folder, nothing in it, no image, no caption at all, a
    table that cannot be read.
    """
    files, images = pictures(source)
    foreign = [path for path in files if path.suffix.lower() in FOREIGN_SUFFIXES]
    dropped = [_drop(path, source, f"{path.suffix.lower()} files are not read") for path in foreign]
    names = ImageNames(images, source)
    lists = CaptionFiles(files, names, source)
    read = list(lists)
    captions = _used(read, names, set(images), source, dropped)
    if read and not captions and not any(caption.image in images for caption in read):
        first = read[0].image.name
        called = ", ".join(image.relative_to(source).as_posix() for image in names.fitting(first)[:3])
        several = f", which several are called: {called}" if called else ""
        raise BadInput(f"{read[0].origin} names no image that is in {source}: the first it names is '{first}'{several}")
    if not captions:
        captions = _by_folder(images, source, read)
    if not captions and lists.unread and needed:
        raise BadInput(f"no captions for the images in {source}: {lists.unread}; accepted are {ACCEPTED}")
    if not captions and lists.nameless:
        raise BadInput(f"{lists.nameless}: accepted are {', '.join(NAME_COLUMNS)}")
    if not needed:
        captions = {path: CaptionedFile(path, "") for path in images} | captions
    if not captions:
        columns = ", ".join(read[0].columns) if read else ""
        found = f"{read[0].origin} has neither captions nor labels, only {columns:.200}; " if columns else ""
        raise BadInput(
            f"no captions for the images in {source}: {found}accepted are {ACCEPTED} (ippo caption writes a table)"
        )
    dropped += [*lists.dropped, *(_drop(path, source, NO_CAPTION) for path in images if path not in captions)]
    return CaptionedImages([captions[path] for path in images if path in captions], dropped)


def pictures(source: Path) -> tuple[list[Path], list[Path]]:
    """All files of a folder and below, and those of them that are pictures, by their paths. BadInput: no folder, no picture."""
    if not source.is_dir():
        found = f"{source} is a file" if source.exists() else f"no folder {source}"
        raise BadInput(f"{found}: give a folder of images with captions (an archive unpacked)")
    files = [path for path in sorted(source.rglob("*")) if _is_file(path) and not _hidden(path.relative_to(source))]
    images = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not images:
        packed = [path.name for path in files if path.suffix.lower() in ARCHIVES]
        unpacked = f" ({packed[0]} must be unpacked)" if packed else ""
        raise BadInput(f"no images in {source}: accepted are {', '.join(sorted(SUFFIXES))}{unpacked}")
    return files, images


def _by_folder(images: list[Path], source: Path, read: Iterable[Caption]) -> dict[Path, CaptionedFile]:
    """A folder a class, also below a folder a split: its name is label and text, beside what lists say that caption nothing.

    Nothing unless every image lies in one of several such folders.
    """
    tops = {source, *(source / name for name in _SPLITS)}
    classes = {path: path.parent.name for path in images if path.parent.parent in tops}
    if len(classes) < len(images) or len(set(classes.values())) < 2 or set(classes.values()) <= _SPLITS:
        return {}
    texts = {name: " ".join(name.replace("_", " ").replace("-", " ").split()) for name in classes.values()}
    columns: dict[Path, dict[str, Value]] = {path: {} for path in classes}
    for row in read:
        columns[row.image] = {**row.columns, **columns.get(row.image, {})}
    return {
        path: CaptionedFile(path, texts[name], {**columns[path], "label": texts[name]})
        for path, name in classes.items()
    }


def _used(
    captions: Iterable[Caption], names: ImageNames, images: set[Path], source: Path, dropped: list[Dropped]
) -> dict[Path, CaptionedFile]:
    """The captions of each image from the first file that has one, its columns from every file; lists what is not used."""
    texts: dict[Path, list[str]] = {}
    origins: dict[Path, Path] = {}
    columns: dict[Path, dict[str, Value]] = {}
    silent: list[Caption] = []
    for caption in captions:
        text = " ".join(caption.text.split())
        if caption.image not in images:
            why = "caption without an image" if text else "listed image that is not there"
            if several := names.fitting(caption.image.relative_to(source).as_posix())[:3]:
                called = ", ".join(image.relative_to(source).as_posix() for image in several)
                why = f"row of a name that several images have: {called}"
            dropped.append(Dropped(_named(caption, source), why))
            continue
        columns[caption.image] = {**caption.columns, **columns.get(caption.image, {})}
        own = texts.setdefault(caption.image, [])
        if not text and not caption.columns:
            silent.append(caption)
        if not text or text in own:
            continue
        if origins.setdefault(caption.image, caption.origin) != caption.origin:
            dropped.append(Dropped(_named(caption, source), "second caption of the same image"))
        elif len(own) == MOST:
            dropped.append(Dropped(_named(caption, source), f"more than {MOST} captions of the same image"))
        else:
            own.append(text)
    dropped += [Dropped(_named(caption, source), "empty caption") for caption in silent if texts[caption.image]]
    described = {path: own or list(filter(None, [in_words(columns[path])])) for path, own in texts.items()}
    taken = {name for more in columns.values() for name in more}
    further = in_columns(list(described.values()), taken)
    return {
        path: CaptionedFile(path, own[0], {**columns[path], **more})
        for (path, own), more in zip(described.items(), further, strict=True)
        if own
    }


def _named(caption: Caption, source: Path) -> str:
    origin = caption.origin.relative_to(source).as_posix()
    return origin if caption.origin == caption.image else f"{origin}: {caption.image.name}"


def _drop(path: Path, source: Path, why: str) -> Dropped:
    return Dropped(path.relative_to(source).as_posix(), why)


def _is_file(path: Path) -> bool:
    """Whether it is a file, or a link to content that is not here: its absence has to be told."""
    return path.is_file() or absence(path) is not None


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
