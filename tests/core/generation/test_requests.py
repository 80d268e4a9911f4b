"""Requests from lines of text and JSON."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiregistry.errors import InvalidInput, TiregError
from tiregistry.generation.requests import PictureRequest, parse_size, read_request

DEFAULTS = PictureRequest(seed=5, count=2)


def test_a_line_of_text_takes_the_defaults() -> None:
    request = read_request("  {a|b} <gnome> \n", DEFAULTS)
    assert request is not None
    assert (request.prompt, request.seed, request.count) == ("{a|b} <gnome>", 5, 2)
    assert read_request("\n", DEFAULTS) is None
    assert read_request("# a comment", DEFAULTS) is None
    literal = read_request("\\# no comment", DEFAULTS)
    assert literal is not None
    assert literal.prompt == "\\# no comment"


def test_a_json_line_says_everything() -> None:
    line = (
        '{"prompt": "a <gnome>", "negative": "blur", "seed": 7, "n": 3, "steps": 9, "guidance": 4, "size": "64x32",'
        ' "scheduler": "euler", "random": 2, "init": "a.png", "mask": "m.png", "strength": 0.5, "id": [1, "x"]}'
    )
    request = read_request(line, DEFAULTS)
    assert request is not None
    made = request.settings
    assert (made.negative_prompt, made.num_inference_steps, made.guidance_scale) == ("blur", 9, 4.0)
    assert (made.width, made.height, made.scheduler) == (64, 32, "euler")
    assert (request.seed, request.count, request.sample, list(request.seeds)) == (7, 3, 2, [7, 8, 9])
    assert (request.init, request.mask, request.strength) == (Path("a.png"), Path("m.png"), 0.5)
    assert request.tag == [1, "x"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"', "not valid JSON"),
        ('{"promt": "a"}', "unknown key 'promt'"),
        ('{"seed": 1}', "no prompt"),
        ('{"prompt": "a" "seed": 7}', "not valid JSON: Expecting ',' delimiter at character 16"),
        ('{"prompt": ' + "[" * 100_000, "not valid JSON: it is nested too deeply"),
        ('{"prompt": "a", "seed": ' + "1" * 5000 + "}", "not valid JSON: a number has too many digits"),
        ('{"prompt": "a", "size": "64x64", "width": 32}', "size and width both say how large"),
        ("{}", "no prompt"),
        ('{"prompt": "a", "seed": "7"}', "seed must be a whole number"),
        ('{"prompt": "a", "seed": true}', "seed must be a whole number"),
        ('{"prompt": "a", "seed": -1}', "seed -1 is out of range"),
        ('{"prompt": "a", "n": 0}', "0 pictures per prompt"),
        ('{"prompt": "a", "steps": 0}', "0 denoising steps"),
        ('{"prompt": "a", "size": "big"}', "'big' is not a size"),
        ('{"prompt": "a", "guidance": 1' + "0" * 400 + "}", "guidance 10000000000000000"),
        ('{"prompt": "a", "guidance": NaN}', "guidance nan"),
        ('{"prompt": "a", "mask": "m.png"}', "a mask needs a picture"),
        ('{"prompt": 5}', "prompt must be a string"),
        ('{"prompt": "a", "strength": 0.5}', "strength needs a picture"),
        ('{"prompt": "a", "seed": 1, "seed": 2}', "the key 'seed' is there twice"),
        ('{"prompt": "a", "size": "0x64"}', "'0x64' is not a size"),
        ('{"prompt": "a", "size": "8x8"}', "width 8 is less than 16"),
        ('{"prompt": "a", "width": 60}', "width 60 is not a multiple of 8"),
    ],
)
def test_a_broken_line_is_one_clear_error(line: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_request(line, DEFAULTS)
    assert message in caught.value.message


@given(st.text(max_size=60).map(lambda text: '{"' + text))
@settings(max_examples=150, deadline=None)
def test_no_line_raises_anything_else(line: str) -> None:
    with contextlib.suppress(TiregError):
        read_request(line, DEFAULTS)


def test_the_last_seed_is_the_largest_number_there_is() -> None:
    last = 2**63 - 1
    assert read_request(f'{{"prompt": "a", "seed": {last}, "n": 1}}', DEFAULTS).seed == last
    for seed, count, named in ((last, 2, last + 1), (last + 1, 1, last + 1), (-1, 1, -1)):
        with pytest.raises(InvalidInput, match=f"seed {named} is out of range"):
            read_request(f'{{"prompt": "a", "seed": {seed}, "n": {count}}}', DEFAULTS)


def test_sizes() -> None:
    assert (parse_size(""), parse_size("64"), parse_size("64x32"), parse_size("64×32")) == (
        (0, 0),
        (64, 64),
        (64, 32),
        (64, 32),
    )
