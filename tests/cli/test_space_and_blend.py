"""`tireg space` and `tireg blend`: what they print, the map, the strip, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.running import Tireg
from tests.core.evaluation.conftest import add_word, base_folder, loaded, registry  # noqa: F401
from tiregistry.concepts import Version

Add = Callable[..., Version]


def test_where_a_word_lives(tireg: Tireg, add_word: Add, tmp_path: Path) -> None:  # noqa: F811
    add_word()
    add_word(seed=1)
    add_word("imp", 2)
    result = tireg("space", "gnome@1", "--outputs", "--picture", str(tmp_path / "map.png"))
    text = result.out
    assert "gnome@2" in text
    assert "imp@1" in text
    assert "clip_l[1]\t" in text
    assert (tmp_path / "map.png").stat().st_size > 2000
    data = tireg("space", "gnome@1", "--nearest", "2", "--json").json
    assert [r["reference"] for r in data["relatives"]] == ["gnome@2", "imp@1"]
    (vector,) = data["vectors"]
    assert len(vector["nearest"]) == 2
    assert vector["initializer"] == "teapot"
    assert data["vocabulary_norms"]["clip_l"]["mean"] > 0


def test_a_word_without_initializer_started_from_the_name_of_its_type(tireg: Tireg, add_word: Add) -> None:  # noqa: F811
    add_word("plain", 3, training={"initializer": ""}, concept_type="style")
    add_word("foreign", 4, training=None, origin="imported")
    found = {}
    for name in ("plain", "foreign"):
        (vector,) = tireg("space", name, "--json").json["vectors"]
        found[name] = vector["initializer"], vector["to_initializer"] is not None
    assert found == {"plain": ("style", True), "foreign": ("", False)}


def test_lengths_that_are_all_alike_are_no_finding() -> None:
    from tiregistry.evaluation.space import Space, VectorPlace

    def line(norm: float, spread: float) -> str:
        from tireg_cli.commands.space import _length

        place = VectorPlace("clip_l", 0, norm, 0.25, ())
        vocabulary = {"clip_l": (0.7, 0.7 - spread, 0.7 + spread)}
        return _length(place, Space(None, "", vocabulary, (), ()))  # type: ignore[arg-type]

    assert line(0.7001, 0.0001) == " (as all words)"
    assert line(0.9, 0.0001) == line(0.7, 0.1) == " (longer than 25%)"


def test_near_duplicates_of_the_registry(tireg: Tireg, add_word: Add) -> None:  # noqa: F811
    add_word()
    add_word("twin")
    add_word("imp", 2)
    assert tireg("space", "--duplicates").lines == ["gnome@1\ttwin@1\t1.0000"]
    assert tireg("space", "--duplicates", "--json").json == [
        {"first": "gnome@1", "second": "twin@1", "cosine": pytest.approx(1)}
    ]


def test_a_blend_and_the_way_to_it(tireg: Tireg, add_word: Add, tmp_path: Path) -> None:  # noqa: F811
    add_word()
    add_word("imp", 2)
    result = tireg("blend", "gnome", "imp", "--at", "0.3")
    assert result.out == "gnome-imp@1\n"
    assert "--blend gnome@1 imp@1 --grid strip.png" in result.err
    shown = tireg("show", "gnome-imp").out
    assert "blended gnome@1" in shown
    assert "blended imp@1" in shown
    assert "0.3 of the way from gnome@1 to imp@1, along the arc" in shown
    assert "already there" not in result.err
    again = tireg("blend", "gnome", "imp", "--at", "0.3")
    assert (again.out, "gnome-imp@1 was already there" in again.err) == ("gnome-imp@1\n", True)
    assert tireg("history", "gnome-imp").out.splitlines()[-1].endswith("← blended gnome@1 + blended imp@1")
    data = tireg("blend", "gnome", "imp", "--linear", "--name", "mix", "--json").json
    assert (data["reference"], data["record"]["blend"]["way"]) == ("mix@1", "linear")
    strip = tmp_path / "strip.png"
    few = ["--frames", "3", "--steps", "1", "--device", "cpu", "--out", str(tmp_path), "--grid", str(strip)]
    made = tireg("gen", "a photo of a <>", "--blend", "gnome@1", "imp@1", *few)
    assert len(made.lines) == 3
    assert strip.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["space"], 2, "name a word, or ask for --duplicates"),
        (["space", "nobody"], 3, "no concept is named"),
        (["space", "gnome", "--picture", "nowhere/x.png"], 2, "cannot be saved"),
        (["blend", "gnome", "imp", "--at", "2"], 2, "not between the two words"),
        (["blend", "gnome", "gnome"], 2, "have the same vectors"),
        (["blend", "gnome", "nobody"], 3, "no concept is named"),
        (["blend", "gnome", "imp", "--name", "a b"], 2, "a b"),
    ],
)
def test_what_is_refused_in_one_line(
    tireg: Tireg,
    add_word: Add,  # noqa: F811
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    add_word()
    add_word("imp", 2)
    result = tireg(*arguments, code=code)
    assert said in result.err
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
