"""Caption templates: the published lists, and what own templates must hold."""

from __future__ import annotations

import pytest

from tiregistry.captions import OBJECT_TEMPLATES, STYLE_TEMPLATES, templates_for
from tiregistry.errors import InvalidConfig


def test_the_lists_have_their_published_lengths() -> None:
    assert len(OBJECT_TEMPLATES) == 27
    assert len(STYLE_TEMPLATES) == 19


@pytest.mark.parametrize("kind", ["object", "style"])
def test_every_template_has_one_place_for_the_word(kind: str) -> None:
    assert all(t.count("{}") == 1 for t in templates_for(kind))  # type: ignore[arg-type]


def test_own_templates_replace_the_lists() -> None:
    assert templates_for("object", ["my {} here"]) == ("my {} here",)


@pytest.mark.parametrize("template", ["no place", "{} and {}"])
def test_a_template_without_one_place_is_refused(template: str) -> None:
    with pytest.raises(InvalidConfig, match="exactly once"):
        templates_for("object", [template])
