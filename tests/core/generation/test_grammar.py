"""The prompt grammar: any text is either a prompt or a one-line error with a position."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tiregistry.errors import FileMissing, InvalidPrompt
from tiregistry.generation.grammar import MAX_CHARACTERS, MAX_DEPTH, WordName, escape, parse_tree, write_tree
from tiregistry.generation.prompts import PromptPart, names_in, parse_prompt, words_in
from tiregistry.generation.templates import expand

SPECIAL = st.text(alphabet="ab1 <>@~.\\()[]{}|:_*#\n\té日😀-", max_size=40)
PIECES = st.lists(
    st.sampled_from(
        [
            "<gnome>",
            "<a@3>",
            "<a~b~0.2>",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "|",
            ":1.3)",
            ":nan)",
            ":)",
            "__../a__",
            ":",
            "__a__",
            "__",
            "\\",
            "<",
            ">",
            "x",
        ]
    ),
    max_size=25,
).map("".join)


@given(st.one_of(SPECIAL, PIECES, st.text(max_size=60)))
@settings(max_examples=400, deadline=None)
@example("\\")
@example("(" * 60)
@example("\x00")
@example("\ud800")
@example("<>")
@example("{|}")
def test_any_text_is_a_prompt_or_an_error_with_its_place(text: str) -> None:
    error = error_of(parse_tree, text)
    if error is None:
        assert write_tree(parse_tree(text)) == text
    else:
        assert "\n" not in error.message
        assert error.hint
        place = re.search(r"at (?:character )?(\d+)", error.message)
        assert place is not None, error.message
        assert 1 <= int(place[1]) <= len(text) + 1


@given(st.one_of(SPECIAL, PIECES))
@settings(max_examples=300, deadline=None)
def test_every_expansion_is_a_prompt_or_an_error_with_its_place(text: str) -> None:
    if error_of(expand, text) is not None:
        return
    for prompt in expand(text)[:20]:
        error = error_of(parse_prompt, prompt)
        assert error is None or "\n" not in error.message
        assert error is None or re.search(r"\d", error.message) or "stands for several" in error.message


def error_of(function: Callable[[str], object], text: str) -> InvalidPrompt | FileMissing | None:
    try:
        function(text)
    except (InvalidPrompt, FileMissing) as error:
        return error
    return None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
@settings(max_examples=200, deadline=None)
def test_escaped_text_is_literal(text: str) -> None:
    parts = parse_prompt(escape(text))
    assert "".join(str(part.content) for part in parts) == text
    assert all(part.weight == 1 for part in parts)


def pieces(prompt: str) -> list[tuple[str, float]]:
    return [
        (part.content if isinstance(part.content, str) else part.content.text, round(part.weight, 4))
        for part in parse_prompt(prompt)
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a photo", [("a photo", 1)]),
        ("", []),
        ("a <gnome@3> b", [("a ", 1), ("<gnome@3>", 1), (" b", 1)]),
        ("<gnome@1> and <gnome@2>", [("<gnome@1>", 1), (" and ", 1), ("<gnome@2>", 1)]),
        ("<a@sha256:ab12>", [("<a@sha256:ab12>", 1)]),
        ("\\<gnome\\>", [("<gnome>", 1)]),
        ("a < b > c", [("a < b > c", 1)]),
        ("(red:1.3) car", [("red", 1.3), (" car", 1)]),
        ("(red) car", [("red", 1.1), (" car", 1)]),
        ("((red))", [("red", 1.21)]),
        ("[red]", [("red", 0.9091)]),
        ("([red])", [("red", 1)]),
        ("(a (b:2) c:0.5)", [("a ", 0.5), ("b", 1), (" c", 0.5)]),
        ("(<gnome>: .7 )", [("<gnome>", 0.7)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("10:30", [("10:30", 1)]),
        ("(at 10\\:30)", [("at 10:30", 1.1)]),
        ("\\(text\\)", [("(text)", 1)]),
        ("a|b", [("a|b", 1)]),
        ("snake_case __ ___", [("snake_case __ ___", 1)]),
        ("\\__name__", [("__name__", 1)]),
        ("C:\\path", [("C:\\path", 1)]),
        ("(style: painting) (10:30pm)", [("style: painting", 1.1), (" ", 1), ("10:30pm", 1.1)]),
        ("(a:name)", [("a:name", 1.1)]),
        ("(a\\:)", [("a:", 1.1)]),
        ("a: b __ c.d__", [("a: b __ c.d__", 1)]),
    ],
)
def test_meaning(prompt: str, expected: list[tuple[str, float]]) -> None:
    assert pieces(prompt) == expected


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a <gnome", "the word that opens at character 3 is not closed"),
        ("<@3>", "at character 1 names no word"),
        ("a <gnome@>", "at character 3 names no word"),
        ("<a~b~2>", "at character 1 mixes at '2'"),
        ("<a~b~c~d>", "at character 1 names no word"),
        ("<>", "<> at character 1 of the prompt names no word"),
        ("(a", "the ( at character 1 is not closed"),
        ("a)", "the ) at character 2 closes nothing"),
        ("(a]", "the ] at character 3 closes nothing"),
        ("x {a|b", "the { at character 3 is not closed"),
        ("(a:99)", "the weight 99 at character 3 is not a number from 0 to 10"),
        ("(a:-1)", "the weight -1 at character 3 is not a number from 0 to 10"),
        ("(a:1..2)", "the weight 1..2 at character 3 is not a number from 0 to 10"),
        ("(a:nan)", "the weight nan at character 3 is not a number from 0 to 10"),
        ("(a:-Inf )", "the weight -Inf at character 3 is not a number from 0 to 10"),
        ("(a:1,3)", "the weight 1,3 at character 3 is not a number from 0 to 10"),
        ("(a:130%)", "the weight 130% at character 3 is not a number from 0 to 10"),
        ("(a:)", "the : at character 3 lacks a number from 0 to 10"),
        ("[(a: )]", "the : at character 4 lacks a number from 0 to 10"),
        ("a:)", "the ) at character 3 closes nothing"),
        ("a __../x__", "'__../x__' at character 3 can name no wildcard file"),
        ("(" * (MAX_DEPTH + 1), f"nested deeper than {MAX_DEPTH} at character {MAX_DEPTH + 1}"),
        ("x" * (MAX_CHARACTERS + 1), f"at character {MAX_CHARACTERS + 1}"),
        ("{a|b}", "stands for several prompts"),
    ],
)
def test_errors_say_where(prompt: str, message: str) -> None:
    with pytest.raises(InvalidPrompt) as caught:
        parse_prompt(prompt)
    assert message in caught.value.message


def test_a_mix_needs_both_words() -> None:
    parts = parse_prompt("a <gnome@1~imp~0.25>")
    (use,) = words_in(parts)
    assert (use.first, use.second, use.at) == (WordName("gnome", "1"), WordName("imp"), 0.25)
    assert [name.text for name, _ in names_in(parts)] == ["<gnome@1>", "<imp>"]
    assert words_in(parse_prompt("<gnome~imp>"))[0].at == 0.5


def test_neighbouring_text_of_one_weight_is_one_piece() -> None:
    assert parse_prompt("a (b:1) c \\( d") == (PromptPart("a b c ( d", 1.0),)
