"""How finished pictures are told on stdout: a path per line, one JSON document, or a JSON document per line."""

from __future__ import annotations

from typing import Any, Protocol

from tireg_cli.generation.session import Made, Preview
from tireg_cli.messages import say
from tireg_cli.output import emit, emit_json, emit_json_line
from tiregistry.errors import TiregError


class Results(Protocol):
    """Where results go."""

    def made(self, made: Made, line: int | None, left: int) -> None:
        """A picture is done; `line` is where its prompt stood, `left` how many more of it will come."""

    def preview(self, preview: Preview, line: int | None) -> None:
        """A picture is on its way."""

    def failed(self, error: TiregError, line: int, tag: Any) -> None:
        """The prompt on `line` could not be used; `tag` is its own `id`, where that could be read."""

    def close(self) -> None:
        """Nothing more comes."""


def _why(error: TiregError) -> str:
    return f"{error.message} · {error.hint}" if error.hint else error.message


class Drawn:
    """Previews drawn in the terminal."""

    def preview(self, preview: Preview, line: int | None) -> None:
        from tireg_cli.pictures import show_picture

        what = f"{preview.job.variant.prompt} · {preview.seed}"
        show_picture(preview.image, caption=f"step {preview.step} of {preview.steps} · {what}")


class Paths(Drawn):
    """A path per line."""

    def made(self, made: Made, line: int | None, left: int) -> None:
        emit(str(made.path))

    def failed(self, error: TiregError, line: int, tag: Any) -> None:
        say(f"tireg: line {line}: {_why(error)}")

    def close(self) -> None:
        pass


class Document(Drawn):
    """One JSON list at the end, also when the work was interrupted."""

    def __init__(self) -> None:
        self._entries: list[dict[str, Any]] = []

    def made(self, made: Made, line: int | None, left: int) -> None:
        self._entries.append(_entry(made, line, left))

    def failed(self, error: TiregError, line: int, tag: Any) -> None:
        say(f"tireg: line {line}: {_why(error)}")
        self._entries.append(_failure(error, line, tag))

    def close(self) -> None:
        emit_json(self._entries)


class Lines:
    """A JSON object per line, written as soon as it is known."""

    def made(self, made: Made, line: int | None, left: int) -> None:
        emit_json_line(_entry(made, line, left))

    def preview(self, preview: Preview, line: int | None) -> None:
        said = {"prompt": preview.job.variant.prompt, "seed": preview.seed}
        steps = {"step": preview.step, "steps": preview.steps, "preview": str(preview.path)}
        emit_json_line(_place(line, preview.job.request.tag) | said | steps)

    def failed(self, error: TiregError, line: int, tag: Any) -> None:
        say(f"tireg: line {line}: {_why(error)}")
        emit_json_line(_failure(error, line, tag))

    def close(self) -> None:
        pass


def _entry(made: Made, line: int | None, left: int) -> dict[str, Any]:
    recipe = made.picture.recipe
    place = _place(line, made.job.request.tag) | ({} if line is None else {"left": left})
    return place | {"prompt": recipe["prompt"], "seed": recipe["seed"]} | made.as_dict()


def _failure(error: TiregError, line: int, tag: Any) -> dict[str, Any]:
    return _place(line, tag) | {"error": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}


def _place(line: int | None, tag: Any) -> dict[str, Any]:
    """The number of the line and the script's own `id`, where there are any."""
    return ({} if line is None else {"line": line}) | ({} if tag is None else {"id": tag})
