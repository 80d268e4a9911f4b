"""Writes the lists in docs/training.md: recipes from their defaults, settings from the docstrings in `TrainingConfig`.

`python -m tools.training_options` rewrites the parts of the page between the marks; a test checks they are current.
"""

from __future__ import annotations

import ast
from itertools import pairwise, product
from pathlib import Path

from tiregistry.concepts import CONCEPT_TYPES
from tiregistry.training.config import TrainingConfig
from tiregistry.training.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "training.md"
SOURCE = ROOT / "tiregistry" / "training" / "config.py"
_DECIDED = (
    "max_steps",
    "batch_size",
    "learning_rate",
    "lr_scheduler",
    "stopping",
    "magnitude",
    "preconditioning",
    "flip",
)


def recipes_table() -> str:
    """What each recipe means where nothing is said."""
    lines = [f"| recipe | {' | '.join(_DECIDED)} |", "|---" * (len(_DECIDED) + 1) + "|"]
    for recipe in RECIPES:
        rows: dict[tuple[str, ...], list[str]] = {}
        for embedded, kind in product((True, False), CONCEPT_TYPES):
            config = TrainingConfig(recipe=recipe, concept_type=kind).resolved(embedded=embedded)
            # AdamW's vectors find their own length.
            unread = ("magnitude", "preconditioning") if recipe == "classic" else ()
            values = tuple("" if name in unread else str(getattr(config, name)) for name in _DECIDED)
            rows.setdefault(values, []).append(_where(embedded, kind))
        for values, places in rows.items():
            where = "" if len(rows) == 1 else f", {' and '.join(_together(places))}"
            lines.append(f"| `{recipe}`{where} | {' | '.join(values)} |")
    return "\n".join(lines)


def _where(embedded: bool, kind: str) -> str:
    return f"{kind} on {'the embedded base model' if embedded else 'any other'}"


def _together(places: list[str]) -> list[str]:
    """The places, without the concept type where every one is among them."""
    for embedded in (True, False):
        every = [_where(embedded, kind) for kind in CONCEPT_TYPES]
        if set(every) <= set(places):
            places = [place for place in places if place not in every] + [every[0].partition(" ")[2]]
    return places


def settings_list() -> str:
    """One list item per setting: name, what it is without being set, and its docstring."""
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "TrainingConfig").body
    lines = []
    for before, after in pairwise(body):
        if not isinstance(before, ast.AnnAssign) or not isinstance(after, ast.Expr) or before.value is None:
            continue
        text = ast.literal_eval(after.value)
        kind = ast.unparse(before.annotation).replace(" | None", "")
        usual = ast.unparse(before.value)
        lines.append(f"- **`{ast.unparse(before.target)}`** ({kind}, `{usual}`): {' '.join(text.split())}")
    return "\n".join(lines)


def updated(page: str) -> str:
    """The page with current lists between its marks."""
    for name, text in (("recipes", recipes_table()), ("settings", settings_list())):
        begin, end = f"<!-- {name}: written by tools/training_options.py -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{text}\n\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
