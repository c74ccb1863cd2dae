"""Icon sets as npm installs them: joined by code point and name, and every broken package in one clear line."""

import json
import shutil
from pathlib import Path

import pytest

from base.errors import BadInput
from data.icon_sets import PACKAGES, STYLES, UNSEEN_STYLE, IconSet, choose_styles
from tests.data.sample_icons import SAMPLE, SETS


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """A copy of the sample, to be broken."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "node_modules"))


def edit(modules: Path, name: str, file: str, **entries: object) -> None:
    path = modules / "@iconify-json" / name / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def refusal(modules: Path, name: str = "noto", char: str = "😀", names: tuple[str, ...] = ("grinning-face",)) -> str:
    with pytest.raises(BadInput) as caught:
        IconSet(name, modules).find(char, names)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_emoji_is_found_by_its_code_points_whatever_its_name() -> None:
    noto = IconSet("noto", SAMPLE)
    found = noto.find("❤️", ("no-such-name",))
    assert found is not None and found == noto.find("❤", ()) and found.name == "red-heart"
    assert (found.left, found.top, found.width, found.height) == (0, 0, 128, 128)


def test_where_a_set_has_no_code_points_the_first_name_counts() -> None:
    emojione = IconSet("emojione", SAMPLE)
    found = emojione.find("📕", ("no-such-name", "closed-book", "green-book"))
    assert found is not None and found.name == "closed-book"
    assert emojione.find("📕", ("no-such-name",)) is None


def test_an_alias_leads_to_its_icon_unless_it_turns_it(modules: Path) -> None:
    aliases = {"vixen": {"parent": "reynard"}, "reynard": {"parent": "fox"}, "left": {"parent": "fox", "hFlip": True}}
    edit(modules, "emojione", "icons.json", aliases=aliases)
    emojione = IconSet("emojione", modules)
    found = emojione.find("?", ("vixen",))
    assert found is not None and found == emojione.find("?", ("fox",))
    assert emojione.find("?", ("left",)) is None


def test_missing_packages_are_named_with_the_command_that_installs_them(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"the icon set @iconify-json/noto is not in {tmp_path}: npm ci --prefix {PACKAGES}"


def test_another_version_than_is_pinned_is_refused(modules: Path) -> None:
    edit(modules, "noto", "package.json", version="9.9.9")
    assert "is version 9.9.9, and 1.2.9 is pinned: npm ci" in refusal(modules)


def test_broken_packages_are_refused(modules: Path) -> None:
    edit(modules, "noto", "icons.json", aliases={"one": {"parent": "two"}, "two": {"parent": "one"}})
    assert "alias 'one' leads back to itself" in refusal(modules, char="?", names=("one",))
    edit(modules, "noto", "icons.json", icons={"grinning-face": {"body": ""}})
    assert "icon 'grinning-face' has no body" in refusal(modules)
    edit(modules, "noto", "icons.json", icons={})
    assert "holds no icons" in refusal(modules)
    file = modules / "@iconify-json" / "noto" / "icons.json"
    for content in ('{"icons": {', "[]"):
        file.write_text(content)
        assert str(file) in refusal(modules)
    file.unlink()
    assert "cannot be read" in refusal(modules)


def test_styles_are_chosen_by_set_or_by_word() -> None:
    assert choose_styles(None) == STYLES
    assert [style.icon_set for style in choose_styles(["flat", "noto", "twemoji"])] == [
        "noto",
        "twemoji",
        "fluent-emoji-flat",
    ]
    for names, message in (
        (["noto", "twemojy"], "no icon set 'twemojy'; did you mean 'twemoji'?"),
        (["openmoji", "noto"], "no icon set 'openmoji'"),
        (["noto", "shaded"], "give two or more of noto, noto-v1"),
    ):
        with pytest.raises(BadInput) as caught:
            choose_styles(names)
        assert message in str(caught.value) and "\n" not in str(caught.value)


def test_every_style_has_a_pinned_package_and_words_of_its_own() -> None:
    pinned = json.loads((PACKAGES / "package.json").read_text())["dependencies"]
    assert set(pinned) == {f"@iconify-json/{style.icon_set}" for style in (*STYLES, UNSEEN_STYLE)}
    assert set(SETS) < {style.icon_set for style in STYLES}
    for own in ("name", "name_fr"):
        assert len({getattr(style, own) for style in (*STYLES, UNSEEN_STYLE)}) == 7
    words = [word for style in (*STYLES, UNSEEN_STYLE) for word in (style.name, *style.also)]
    assert len(set(words)) == len(words)
