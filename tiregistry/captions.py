"""Caption templates of Textual Inversion (Gal et al. 2022, appendix) and the captions a concept is trained with.

The lists are the 27 object and the 19 style templates that the paper's code and the diffusers example share.
"""

from __future__ import annotations

from collections.abc import Sequence

from tiregistry.concepts import ConceptType
from tiregistry.errors import InvalidConfig

OBJECT_TEMPLATES: tuple[str, ...] = tuple(
    f"{start} {{}}"
    for start in (
        "a photo of a",
        "a rendering of a",
        "a cropped photo of the",
        "the photo of a",
        "a photo of a clean",
        "a photo of a dirty",
        "a dark photo of the",
        "a photo of my",
        "a photo of the cool",
        "a close-up photo of a",
        "a bright photo of the",
        "a cropped photo of a",
        "a photo of the",
        "a good photo of the",
        "a photo of one",
        "a close-up photo of the",
        "a rendition of the",
        "a photo of the clean",
        "a rendition of a",
        "a photo of a nice",
        "a good photo of a",
        "a photo of the nice",
        "a photo of the small",
        "a photo of the weird",
        "a photo of the large",
        "a photo of a cool",
        "a photo of a small",
    )
)

STYLE_TEMPLATES: tuple[str, ...] = tuple(
    f"{start} in the style of {{}}"
    for start in (
        "a painting",
        "a rendering",
        "a cropped painting",
        "the painting",
        "a clean painting",
        "a dirty painting",
        "a dark painting",
        "a picture",
        "a cool painting",
        "a close-up painting",
        "a bright painting",
        "a cropped painting",
        "a good painting",
        "a close-up painting",
        "a rendition",
        "a nice painting",
        "a small painting",
        "a weird painting",
        "a large painting",
    )
)

TEMPLATES: dict[ConceptType, tuple[str, ...]] = {"object": OBJECT_TEMPLATES, "style": STYLE_TEMPLATES}


def templates_for(concept_type: ConceptType, custom: Sequence[str] = ()) -> tuple[str, ...]:
    """The caption templates to train with; `{}` marks the placeholder token.

    Raises:
        InvalidConfig: a custom template has no `{}`, or more than one.
    """
    for template in custom:
        if template.count("{}") != 1:
            raise InvalidConfig(f"caption template {template!r} must contain {{}} exactly once", "it marks the word")
    return tuple(custom) or TEMPLATES[concept_type]
