"""docs/prompts.md says what the grammar does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tiregistry.errors import InvalidPrompt
from tiregistry.generation.prompts import parse_prompt
from tiregistry.generation.requests import PictureRequest, read_request
from tiregistry.generation.templates import expand

PAGE = (Path(__file__).parents[3] / "docs" / "prompts.md").read_text(encoding="utf-8")


def said(snippet: str) -> str:
    assert f"`{snippet}`" in PAGE, f"the page no longer says {snippet}"
    return snippet


def test_weights_are_what_the_table_says() -> None:
    assert parse_prompt(said("(red:1.3)"))[0].weight == 1.3
    assert parse_prompt(said("(red)"))[0].weight == 1.1
    assert parse_prompt(said("[red]"))[0].weight == pytest.approx(1 / 1.1)
    assert parse_prompt(said("((red))"))[0].weight == pytest.approx(1.21)


def test_text_that_looks_special() -> None:
    for snippet in ("a < b", "snake_case", "__"):
        assert parse_prompt(said(snippet))[0].content == snippet
    assert parse_prompt(said(r"\<3"))[0].content == "<3"
    assert parse_prompt(said(r"(at 10\:30)"))[0].content == "at 10:30"
    assert parse_prompt(said("(style: painting)"))[0].content == "style: painting"
    for snippet in ("<3", "(red:)", "(red:1,3)", "(red:130%)", "(red:nan)", "__../x__", "__x.txt__"):
        with pytest.raises(InvalidPrompt):
            parse_prompt(said(snippet))


def test_alternatives_come_in_the_order_the_page_says() -> None:
    assert expand(said("a {red|blue} {cat|dog}")) == ["a red cat", "a red dog", "a blue cat", "a blue dog"]
    assert "red cat, red dog, blue cat, blue dog" in PAGE
    assert expand(said("(red:{1.1|1.3})")) == ["(red:1.1)", "(red:1.3)"]
    assert expand(said("a {|very } old cat")) == ["a  old cat", "a very  old cat"]


def test_the_json_line_works() -> None:
    (line,) = re.findall(r'^\{"prompt".*\}$', PAGE, re.MULTILINE)
    request = read_request(line, PictureRequest())
    assert request is not None
    assert (request.seed, request.count, request.tag) == (7, 2, "any")


@pytest.mark.parametrize("prompt", ["a <gnome", "(red", "(a:99)"])
def test_errors_read_as_the_page_shows_them(prompt: str) -> None:
    with pytest.raises(InvalidPrompt) as caught:
        parse_prompt(prompt)
    assert f"{caught.value.message} · {caught.value.hint}" in PAGE
