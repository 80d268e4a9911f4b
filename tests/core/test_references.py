"""References and names: what is accepted, what is refused and why."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiregistry.errors import InvalidReference
from tiregistry.references import Reference, check_alias, check_name, name_key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gnome", Reference("gnome")),
        ("gnome@latest", Reference("gnome")),
        ("gnome@3", Reference("gnome", number=3)),
        ("gnome@v3", Reference("gnome", number=3)),
        ("gnome@best", Reference("gnome", alias="best")),
        ("gnome@sha256:AB12", Reference("gnome", digest="ab12")),
        ("<gnome>", Reference("<gnome>")),
        ("<gnome@3>", Reference("<gnome>", number=3)),
        ("кот-2@лучший", Reference("кот-2", alias="лучший")),
        ("  gnome  ", Reference("gnome")),
    ],
)
def test_every_form_of_a_reference_is_read(text: str, expected: Reference) -> None:
    assert Reference.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "@3", "gnome@", "gnome@0", "a/b", "a:b", "-x", ".x", "x.", "7", "a b", "gnome@sha256:xy", "nul", "a@b@c"],
)
def test_what_can_name_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        Reference.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize("name", ["gnome", "a", "2-cats", "Größe", "猫", "snow.man_2", "é́a"])
def test_names_of_any_script_are_allowed(name: str) -> None:
    assert name_key(check_name(name)) == name_key(name)


@pytest.mark.parametrize(
    "name", ["a\x1bb", "a\u202eb", "a\u200bb", "<b>", "a@b", "a/b", "x" * 65, "con", "LPT1.txt", "123"]
)
def test_names_that_could_mislead_are_refused(name: str) -> None:
    with pytest.raises(InvalidReference):
        check_name(name)


@pytest.mark.parametrize("alias", ["latest", "3", "v12", "a b"])
def test_aliases_cannot_be_numbers_or_latest(alias: str) -> None:
    with pytest.raises(InvalidReference):
        check_alias(alias)


def test_names_that_differ_in_case_or_composition_are_one_name() -> None:
    assert name_key("Gnome") == name_key("gNOME")
    assert name_key("e\u0301") == name_key("\u00e9")


@given(st.text(max_size=80))
def test_any_text_is_either_read_or_refused_and_what_is_read_can_be_written_again(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(reference)) == reference
