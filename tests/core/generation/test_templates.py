"""Alternatives and wildcards: all combinations, or n random ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiregistry.errors import FileMissing, InvalidPrompt
from tiregistry.generation.grammar import parse_tree
from tiregistry.generation.templates import Wildcards, count_prompts, expand, fill_holes


@pytest.fixture
def wildcards(tmp_path: Path) -> Wildcards:
    (tmp_path / "animals.txt").write_text("# tame\ncat\n\n{old|young} dog\n<gnome>\n", encoding="utf-8")
    (tmp_path / "nature").mkdir()
    (tmp_path / "nature" / "trees.txt").write_text("oak\nash", encoding="utf-8-sig")
    (tmp_path / "both.txt").write_text("__animals__ under an __nature/trees__\n", encoding="utf-8")
    (tmp_path / "circle.txt").write_text("__ring__\n", encoding="utf-8")
    (tmp_path / "ring.txt").write_text("a __circle__\n", encoding="utf-8")
    (tmp_path / "empty.txt").write_text("# nothing\n", encoding="utf-8")
    (tmp_path / "broken.txt").write_text("fine\n(open\n", encoding="utf-8")
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    return Wildcards([tmp_path])


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("plain (text:1.2) \\{x\\}", ["plain (text:1.2) \\{x\\}"]),
        ("{a|b} {1|2}", ["a 1", "a 2", "b 1", "b 2"]),
        ("{a|b {c|d}}", ["a", "b c", "b d"]),
        ("x{|y}", ["x", "xy"]),
        ("({red|blue}:1.3) car", ["(red:1.3) car", "(blue:1.3) car"]),
        ("(a:{1.1|1.3})", ["(a:1.1)", "(a:1.3)"]),
        ("{(a|b)|c}", ["(a|b)", "c"]),
        ("{<gnome>|<imp@2>} here", ["<gnome> here", "<imp@2> here"]),
    ],
)
def test_combinations(prompt: str, expected: list[str]) -> None:
    assert expand(prompt) == expected


def test_wildcards_read_files_that_may_nest(wildcards: Wildcards) -> None:
    assert expand("a __animals__", wildcards) == ["a cat", "a old dog", "a young dog", "a <gnome>"]
    both = expand("__both__!", wildcards)
    assert len(both) == 8
    assert both[0] == "cat under an oak!"
    assert both[-1] == "<gnome> under an ash!"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("__circle__", "circle: circle -> ring -> circle"),
        ("__empty__", "has no entries"),
        ("__broken__", "line 2: the ( at character 1 is not closed"),
        ("__latin__", "it is not UTF-8 text"),
        ("a __folder__", "folder.txt is no ordinary file"),
    ],
)
def test_broken_wildcards_are_one_line(wildcards: Wildcards, prompt: str, message: str) -> None:
    with pytest.raises(InvalidPrompt) as caught:
        expand(prompt, wildcards)
    assert message in caught.value.message


def test_an_unknown_wildcard_names_the_closest(wildcards: Wildcards) -> None:
    with pytest.raises(FileMissing) as caught:
        expand("a __animal__", wildcards)
    assert caught.value.message == "__animal__ at character 3: there is no animal.txt"
    assert "did you mean __animals__" in caught.value.hint


def test_a_name_cannot_leave_its_folder(wildcards: Wildcards) -> None:
    for prompt in ("__../secret__", "__/etc/hosts__", "__animals.txt__", "__birds/../secret__"):
        with pytest.raises(InvalidPrompt, match="at character 1 can name no wildcard file"):
            expand(prompt, wildcards)
    assert expand("\\__../secret__", wildcards) == ["\\__../secret__"]


def test_random_ones_are_different_and_repeatable() -> None:
    prompt = "{a|b|c|d|e} {1|2|3|4|5}"
    first = expand(prompt, sample=10, seed=3)
    assert len(set(first)) == 10
    assert first == expand(prompt, sample=10, seed=3)
    assert first != expand(prompt, sample=10, seed=4)
    assert sorted(expand(prompt, sample=99)) == sorted(expand(prompt))


def test_astronomic_numbers_are_sampled_not_listed() -> None:
    prompt = "{a|b|c|d|e|f|g|h|i|j} " * 40
    with pytest.raises(InvalidPrompt, match="more than 10,000"):
        expand(prompt)
    assert len(set(expand(prompt, sample=20, seed=1))) == 20


@given(st.lists(st.lists(st.sampled_from(["a", "bb", ""]), min_size=1, max_size=3), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_the_count_is_the_product(groups: list[list[str]]) -> None:
    prompt = "-".join("{" + "|".join(group) + "}" for group in groups)
    expected = 1
    for group in groups:
        expected *= len(group)
    assert count_prompts(parse_tree(prompt), Wildcards()) == expected
    assert len(expand(prompt)) == expected


def test_holes_are_filled_with_words() -> None:
    assert fill_holes("a <> and ({<>|x}:1.2)", "gnome@2") == "a <gnome@2> and ({<gnome@2>|x}:1.2)"
    assert fill_holes("<>", "<a~b~0.5>") == "<a~b~0.5>"
    with pytest.raises(InvalidPrompt, match="has no <>"):
        fill_holes("a photo", "gnome")
    with pytest.raises(InvalidPrompt, match="names no word"):
        fill_holes("<>", "two words")
