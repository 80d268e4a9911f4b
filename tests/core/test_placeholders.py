"""Placeholder tokens: what may be one, and what they collide with."""

from __future__ import annotations

import pytest

from tiregistry.errors import InvalidPlaceholder, PlaceholderTaken
from tiregistry.placeholders import check_free, check_placeholder, placeholder_for, placeholders_in
from tiregistry.references import check_name


@pytest.mark.parametrize("token", ["<gnome>", "<my-gnome.v2>", "<Größe>", "<3d_cat>", "<हिन्दी>", "<กิ่ง>"])
def test_valid_tokens_pass(token: str) -> None:
    assert check_placeholder(token) == token


@pytest.mark.parametrize("token", ["gnome", "<>", "< >", "<a b>", "<a@1>", "<<a>>", "*", "", "<-a>", "<a>b", "<\x1b>"])
def test_others_are_refused_with_a_proposal(token: str) -> None:
    with pytest.raises(InvalidPlaceholder) as caught:
        check_placeholder(token)
    assert "<" in caught.value.hint


def test_an_overlong_token_is_refused() -> None:
    with pytest.raises(InvalidPlaceholder, match="longer than 66"):
        check_placeholder("<" + "a" * 65 + ">")


def test_the_proposal_is_itself_valid() -> None:
    with pytest.raises(InvalidPlaceholder) as caught:
        check_placeholder("my old teapot!")
    proposed = caught.value.hint.split('"')[1]
    assert check_placeholder(proposed) == "<my-old-teapot>"


def test_another_concepts_token_is_taken() -> None:
    taken = {"<gnome>": "gnome"}
    check_free("<gnome>", "gnome", taken, frozenset())
    with pytest.raises(PlaceholderTaken, match="gnome"):
        check_free("<gnome>", "dwarf", taken, frozenset())


@pytest.mark.parametrize("vocabulary", [{"<cat>"}, {"<cat></w>"}])
def test_a_vocabulary_word_is_taken(vocabulary: set[str]) -> None:
    with pytest.raises(PlaceholderTaken, match="vocabulary"):
        check_free("<Cat>".lower(), "cat", {}, vocabulary)


@pytest.mark.parametrize("name", ["gnome", "हिन्दी", "a" * 64, "e\u0301lan"])
def test_every_name_makes_a_token(name: str) -> None:
    token = check_placeholder(placeholder_for(check_name(name)))
    assert token == f"<{check_name(name)}>"
    assert placeholders_in(f"a photo of {token}, in the rain <1 < 2>") == [token]


def test_tokens_are_composed_and_case_does_not_tell_them_apart() -> None:
    assert check_placeholder("<e\u0301lan>") == "<élan>"
    with pytest.raises(PlaceholderTaken, match="élan"):
        check_free("<Élan>", "verve", {"<élan>": "élan"}, frozenset())
