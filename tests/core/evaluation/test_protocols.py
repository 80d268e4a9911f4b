"""What the protocols make, what a prompt says without its word, and what cannot be measured."""

from __future__ import annotations

import pytest

from tiregistry.errors import InvalidConfig
from tiregistry.evaluation.protocols import CUSTOM, PROTOCOLS, protocol, without_word
from tiregistry.evaluation.subjects import Subject


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("a photo of {} on the moon", "a photo of on the moon"),
        ("a photo of a {} on the beach", "a photo of on the beach"),
        ("an oil painting of the {}", "an oil painting of"),
        ("Elmo holding a {}", "Elmo holding"),
        ("a cat in the style of {}", "a cat"),
        ("a cat, in the style of {}, at night", "a cat , at night"),
    ],
)
def test_a_prompt_without_its_word(template: str, said: str) -> None:
    assert without_word(template) == said


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("kind", ["object", "style"])
@pytest.mark.parametrize("base", ["embedded", "stable-diffusion-v1-5/stable-diffusion-v1-5"])
def test_every_picture_has_a_noise_of_its_own(name: str, kind: str, base: str) -> None:
    made = protocol(name, kind, base)  # type: ignore[arg-type]
    shots = made.shots()
    assert len(shots) == made.total == {"quick": 24, "paper": 256}[name]
    assert len({shot.seed for shot in shots}) == len(shots)
    assert {shot.edit for shot in shots} == {None, *range(len(made.edits))}
    made.check()


def test_the_papers_prompts_are_for_models_that_know_them() -> None:
    assert "Elmo holding a {}" in protocol("paper", "object", "some/model").edits
    assert not any("Elmo" in edit for edit in protocol("paper", "object", "embedded").edits)


def test_what_a_user_changes_is_called_so() -> None:
    quick = protocol("quick", "object", "embedded")
    assert quick.changed() == quick
    assert quick.changed(pictures=8, edits=quick.edits).name == "quick"
    assert quick.changed(pictures=9).name.startswith(f"{CUSTOM}-")
    assert quick.changed(pictures=9) == quick.changed(pictures=9, seed=0)
    names = {quick.changed(**change).name for change in ({"pictures": 9}, {"seed": 9}, {"prompt": "my {}"})}  # type: ignore[arg-type]
    assert len({*names, quick.changed(pictures=9).custom("of these pictures").name}) == 4
    assert quick.changed(seed=5).shots()[0].seed == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": "a photo"}, "not one place for the word"),
        ({"edits": ("{} and {}",)}, "not one place for the word"),
        ({"pictures": 1}, "1 pictures are out of range"),
        ({"pictures": 0}, "0 pictures are out of range"),
        ({"edit_pictures": 0}, "0 pictures per edit"),
        ({"prompt": ""}, "not one place for the word"),
        ({"edit_pictures": 1001}, "1001 pictures per edit"),
        ({"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_measured(change: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        protocol("quick", "object", "embedded").changed(**change)  # type: ignore[arg-type]


def test_plain_words_and_nothing_in_a_prompt() -> None:
    assert Subject("x", phrase="a (red) vase").prompt("a photo of {}") == r"a photo of a \(red\) vase"
    assert Subject("x").prompt("a photo of a {} on the beach") == "a photo of on the beach"
