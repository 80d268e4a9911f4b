"""`tireg gen` as scripts use it: stdout is data, broken prompts are reported, pictures repeat themselves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.learned import register_word
from tireg_cli.main import run
from tiregistry.concepts import NewVersion
from tiregistry.embeddings.embedding import Embedding
from tiregistry.generation.metadata import read_recipe
from tiregistry.registry.registry import Registry


def test_prompts_become_files_with_their_recipes(gen: Callable[..., Any], tmp_path: Path) -> None:
    code, out, err = gen("a {red|blue} <gnome@1>", "an <imp>", "-n", 2, "--seed", 5, "--out", tmp_path / "o")
    assert (code, err) == (0, "")
    paths = [Path(line) for line in out.splitlines()]
    assert [path.name for path in paths] == [
        "a-red-gnome-1-5.png",
        "a-red-gnome-1-6.png",
        "a-blue-gnome-1-5.png",
        "a-blue-gnome-1-6.png",
        "an-imp-5.png",
        "an-imp-6.png",
    ]
    assert read_recipe(paths[3])["prompt"] == "a blue <gnome@1>"
    with Registry.open() as registry:
        assert len(registry.pictures()) == 6
        assert registry.pictures(query="imp", limit=1)[0].path == str(paths[5])


def test_a_version_behind_its_word_is_text_and_asked_about(gen: Callable[..., Any], tmp_path: Path) -> None:
    with Registry.open() as registry:
        registry.set_alias("gnome@1", "best")
    prompt = "a <gnome>@best, <GNOME@1>@2. (<imp>@v1:1.2)"
    code, out, err = gen(prompt, "--out", tmp_path / "one.png", "--negative", "<gnome>@latest")
    assert (code, out) == (0, f"{tmp_path / 'one.png'}\n")
    late = {"<gnome>@best": "<gnome@best>", "<GNOME@1>@2": "<GNOME@2>", "<imp>@v1": "<imp@v1>"}
    late["<gnome>@latest"] = "<gnome@latest>"
    for line, (written, meant) in zip(err.splitlines(), late.items(), strict=True):
        assert line.startswith(f"warning: {written} holds the text")
        assert f"is written {meant}," in line
    plain = r"a <gnome@best>, <gnome>@best-of, <gnome>@9 <gnome> @best <gnome>\@best \<gnome>@best by <imp>@best"
    assert gen(plain, "--out", tmp_path / "two.png")[2] == ""


def test_json_is_one_document(gen: Callable[..., Any], tmp_path: Path) -> None:
    code, out, _ = gen("a <gnome>", "--json", "--out", tmp_path / "one.webp")
    (entry,) = json.loads(out)
    assert code == 0
    assert (entry["path"], entry["seed"], entry["gallery"]) == (str(tmp_path / "one.webp"), 0, 1)
    assert entry["recipe"]["words"][0]["reference"] == "gnome@2"


def test_pictures_that_cannot_be_kept_are_said_to_be_files_only(
    gen: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry of others, on a disk that is only read: its words are drawn all the same."""
    opened = Registry.open
    monkeypatch.setattr(Registry, "open", lambda home=None: opened(home, readonly=True))
    code, out, err = gen("a <gnome>", "--keep", "--out", tmp_path / "one.png")
    assert (code, out) == (0, f"{tmp_path / 'one.png'}\n")
    assert "cannot be written: the pictures are kept as files only" in err


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_lines_stream_and_a_bad_one_does_not_stop_the_rest(
    gen: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"a <gnome> number {n}" for n in range(10)]
    lines[4] = "a <gnome number 4"
    lines[6] = '{"prompt": "a <imp>", "seed": 9, "id": "six"}'
    lines[7] = "# left out"
    stdin(monkeypatch, "\n".join(lines).encode() + b"\n\xff\xfe\n{a|b} <nobody>")
    code, out, err = gen("-", "--out", tmp_path / "o")
    assert code == 1
    entries = [json.loads(line) for line in out.splitlines()]
    failed = {entry["line"]: entry for entry in entries if "error" in entry}
    assert set(failed) == {5, 11, 12}
    assert "character 3 is not closed" in failed[5]["error"]
    assert failed[12]["exit_code"] == 3
    made = [entry for entry in entries if "path" in entry]
    assert [entry["line"] for entry in made] == [1, 2, 3, 4, 6, 7, 9, 10]
    assert all(Path(entry["path"]).is_file() for entry in made)
    assert (made[5]["id"], made[5]["seed"]) == ("six", 9)
    assert "tireg: line 5: " in err
    assert err.endswith("tireg: 3 of 11 prompts failed\n")


def test_a_warning_belongs_to_the_line_whose_word_it_is_of(
    gen: Callable[..., Any], loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Registry.open() as registry:
        role, dim = loaded.towers[0].role, loaded.towers[0].dim
        for name, width in (("wide", dim + 8), ("found", dim)):
            rows = np.full((1, width), 0.01, dtype=np.float32)
            registry.add_version(NewVersion(name, f"<{name}>", "object", "imported"), Embedding({role: rows}))
    stdin(monkeypatch, b"<wide>\n<gnome>\n<found>\n<found> <imp>\n")
    code, _, err = gen("-", "--out", tmp_path / "o")
    assert code == 1
    about = [line for line in err.splitlines() if "base model is not recorded" in line]
    assert len(about) == 1
    assert "line 3: found@1: its base model is not recorded" in about[0]


def test_a_prompt_file_prints_paths(gen: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("a <gnome>\n\na <imp>\n", encoding="utf-8")
    code, out, _ = gen("--from", tmp_path / "prompts.txt", "--out", tmp_path / "o", "--format", "jpg")
    assert code == 0
    assert [Path(line).name for line in out.splitlines()] == ["a-gnome-0.jpg", "a-imp-0.jpg"]
    assert gen("--from", tmp_path / "none.txt")[0] == 3
    (tmp_path / "empty.txt").write_text("# nothing\n")
    assert gen("--from", tmp_path / "empty.txt")[0] == 2


def test_the_prompt_that_says_nothing_is_asked_for_by_name(gen: Callable[..., Any], tmp_path: Path) -> None:
    code, out, _ = gen("()", "--out", tmp_path)
    assert (code, Path(out.strip()).name) == (0, "picture-0.png")


def test_previews_are_saved_and_told(gen: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b'{"prompt": "a {red|blue} <gnome>", "steps": 4, "id": 7}\n')
    code, out, err = gen("-", "--out", tmp_path / "o", "--previews", 2)
    assert (code, err) == (0, "")
    entries = [json.loads(line) for line in out.splitlines()]
    assert [("preview" in entry, entry["id"], entry["prompt"]) for entry in entries] == [
        (True, 7, "a red <gnome>"),
        (False, 7, "a red <gnome>"),
        (True, 7, "a blue <gnome>"),
        (False, 7, "a blue <gnome>"),
    ]
    assert (entries[0]["step"], entries[0]["steps"]) == (2, 4)
    assert Path(entries[0]["preview"]) == tmp_path / "o" / "previews" / "a-red-gnome-0-step002.png"
    with Image.open(entries[0]["preview"]) as image:
        assert image.size == (64, 64)


def test_show_says_why_nothing_is_drawn(gen: Callable[..., Any], tmp_path: Path) -> None:
    code, out, err = gen("a <gnome>", "-n", 2, "--show", "--out", tmp_path)
    assert (code, len(out.splitlines())) == (0, 2)
    assert err == "--show draws nothing here (no terminal) · tireg doctor tells more\n"


def test_grids(gen: Callable[..., Any], tmp_path: Path) -> None:
    grid = tmp_path / "grid.png"
    assert gen("a <>", "--words", "gnome@*,imp", "-n", 2, "--grid", grid, "--out", tmp_path / "o")[0] == 0
    with Image.open(grid) as image:
        assert image.height > 3 * 128
    inside = tmp_path / "new" / "grid.webp"  # into the folder that --out makes
    assert gen("{a|b}", "-n", 2, "--grid", inside, "--out", tmp_path / "new")[0] == 0
    assert inside.is_file()
    assert gen("a", "--grid", tmp_path / "nowhere" / "grid.png", "--out", tmp_path / "o")[0] == 2
    code, out, _ = gen("a <>", "--blend", "gnome", "imp", "--frames", 3, "--grid", grid, "--out", tmp_path / "b")
    assert code == 0
    assert [Path(line).name for line in out.splitlines()] == [
        "a-gnome-imp-0-0.png",
        "a-gnome-imp-0-5-0.png",
        "a-gnome-imp-1-0.png",
    ]


def test_files_of_the_users_stay_and_only_what_was_made_the_same_way_is_replaced(
    gen: Callable[..., Any], tmp_path: Path
) -> None:
    dog, sheet = tmp_path / "dog.jpg", tmp_path / "sheet.png"
    for path in (dog, sheet):
        Image.effect_noise((16, 16), 80).convert("RGB").save(path)
    before = {path: path.read_bytes() for path in (dog, sheet)}
    code, _, err = gen("a <gnome>", "--out", dog)
    assert (code, err.count("\n")) == (4, 1)
    assert f"{dog} exists and is not a picture that tireg gen made, so it stays" in err
    code, _, err = gen("a <gnome>", "--grid", sheet, "--out", tmp_path / "o")
    assert code == 4
    assert "is not a grid that tireg made" in err
    assert not (tmp_path / "o").exists()

    one, grid = tmp_path / "one.png", tmp_path / "grid.webp"
    for seed in (1, 2):
        assert gen("a <gnome>", "--seed", seed, "--out", one, "--grid", grid)[0] == 0
        assert read_recipe(one)["seed"] == seed
    assert gen("a <gnome>", "--out", tmp_path / "o", "--grid", one)[0] == 4
    assert gen("a <gnome>", "--out", grid)[0] == 4
    assert read_recipe(one)["seed"] == 2
    assert {path: path.read_bytes() for path in (dog, sheet)} == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "a.png", "--grid", "./a.png"), "--grid and --out are the same file"),
        (("--out", "start.png", "--init", "start.png"), "--out and --init are the same file"),
        (("--out", "start.png", "--mask", "start.png"), "--out and --mask are the same file"),
        (("--grid", "start.png", "--init", "start.png"), "--grid and --init are the same file"),
        (("--out", "a.png", "--format", "jpg"), "--out a.png and --format jpg contradict each other"),
        (("--out", "start.png/sub"), "start.png/sub cannot be made: a part of it is a file"),
    ],
)
def test_results_take_the_place_of_nothing_else(
    gen: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert gen("a <gnome>", "--out", "start.png")[0] == 0
    before = Path("start.png").read_bytes()
    code, _, err = gen("a <imp>", *options)
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["start.png"]
    assert Path("start.png").read_bytes() == before


def test_a_mistake_in_the_negative_prompt_is_said_of_it(gen: Callable[..., Any], tmp_path: Path) -> None:
    for negative, message in (
        ("<nobody>", "the negative prompt names <nobody> at character 1"),
        ("a (b", "the negative prompt: the ( at character 3 is not closed"),
        ("{x|y}", "the negative prompt holds {…|…}"),
        ("x <gnome@9>", "<gnome@9> at character 3 of the negative prompt: "),
    ):
        code, _, err = gen("a <gnome>", "--negative", negative, "--out", tmp_path)
        assert code in (2, 3)
        assert message in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give prompts, or -"),
        (("-", "a"), 2, "only one of them"),
        (("a", "--like", "x.png"), 2, "only one of them"),
        (("--like", "none.png"), 3, "none.png does not exist"),
        (("a <nobody>",), 3, "<nobody> at character 3"),
        (("a (b",), 2, "the ( at character 3 is not closed"),
        (("a <gnome@9>",), 3, "<gnome@9> at character 3 of the prompt: "),
        (("a <gn ome>",), 2, "the word that opens at character 3 holds a blank"),
        (("a __none__",), 3, "there is no none.txt"),
        (("a __x__", "--wildcards", "nowhere"), 3, "--wildcards nowhere does not exist"),
        (("a", "--size", "big"), 2, "'big' is not a size"),
        (("a", "--size", "100000x100000"), 2, "width 100000 is too large · multiples of 8 from 16 to 8192"),
        (("a", "--size", "8x8"), 2, "width 8 is less than 16 · multiples of 8 from 16 to 8192"),
        (("",), 2, "the prompt is empty"),
        ((" \t",), 2, "the prompt is empty"),
        (("a", "--taesd", "x"), 2, "add --previews"),
        (("a", "--previews", "1", "--taesd", "nowhere"), 3, "no TAESD 'nowhere'"),
        (("a", "--frames", "3"), 2, "add --blend A B"),
        (("a", "--steps", "0"), 2, "0 denoising steps"),
        (("a", "--strength", "0.5"), 2, "strength needs a picture to start from · give it with --init"),
        (("a", "--mask", "m.png"), 2, "a mask needs a picture to change · give it with --init"),
        (("a", "--init", "o/none.png"), 3, "the picture to start from, o/none.png, does not exist · check the path"),
        (("a", "--grid", "grid.gif"), 2, "--grid grid.gif cannot be saved"),
        (("a", "--out", "x.gif"), 2, "PNG, WebP or JPEG"),
        (("a", "--words", "gnome"), 2, "has no <>"),
        (("a <>",), 2, "names no word"),
        (("a <>", "--words", "gnome,"), 2, "empty entry"),
        (("{a|b}" * 20,), 2, "more than 10,000"),
        (("a", "-n", "0"), 2, "0 pictures per prompt"),
        (("a\x00b",), 2, "U+0000 at character 2 is no text"),
        (("a\x9bb",), 2, "U+009B at character 2 is no text"),
        (("a \udcff",), 2, "U+DCFF"),
        (("a", "--base", "nowhere"), 3, "nowhere"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    loaded: Any,
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with Registry.open() as registry:
        registry.add_base(loaded.identity)
        register_word(registry, loaded, "gnome")
    assert run(["gen", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert list(tmp_path.rglob("*.png")) == []


def test_help_imports_nothing_heavy() -> None:
    check = (
        "import sys; from tireg_cli.main import run; run(['gen', '--help']);"
        " bad = {'torch', 'diffusers', 'transformers', 'PIL', 'numpy'} & set(sys.modules);"
        " sys.exit(str(bad) if bad else 0)"
    )
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def start(model: Path, *arguments: object, source: bytes | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tireg_cli", "gen", *map(str, arguments), "--base", str(model)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell's background job ignores Ctrl-C and hands that down.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    if source is not None:
        assert process.stdin is not None
        process.stdin.write(source)
        process.stdin.flush()
    return process


@pytest.mark.slow
def test_results_come_while_stdin_is_open_and_ctrl_c_ends_cleanly(model: Path, tmp_path: Path) -> None:
    process = start(model, "-", "--steps", "1", "--out", tmp_path / "o", source=b"a red cat\n")
    assert process.stdout is not None
    assert process.stdin is not None
    first = json.loads(process.stdout.readline())
    assert Path(first["path"]).is_file()
    process.stdin.write(b'{"prompt": "a dog", "n": 5000, "steps": 50}\n')
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["line"] == 2
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err.decode().strip() == "tireg: interrupted"
    assert [p.name for p in (tmp_path / "o").iterdir() if p.name.startswith(".")] == []


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(model: Path, tmp_path: Path) -> None:
    source = b"".join(b"a red cat %d\n" % n for n in range(200))
    process = start(model, "-", "--steps", "1", "--out", tmp_path / "o", source=source)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stdin is not None
    process.stdin.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait() in (141, -signal.SIGPIPE)
    assert err == b""
    assert len(list((tmp_path / "o").iterdir())) < 200


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_shell_loop_of_200_prompts_with_a_broken_one_in_the_middle(model: Path, tmp_path: Path) -> None:
    loop = (
        "for i in $(seq 200); do"
        ' if [ "$i" = 100 ]; then echo "a red (cat $i"; else echo "a {red|blue} cat $i"; fi;'
        f' done | "{sys.executable}" -m tireg_cli gen - --random 1 --steps 1 --size 16 --out o --base "{model}"'
    )
    result = subprocess.run(
        loop,
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 1
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert [entry["line"] for entry in entries] == list(range(1, 201))
    assert [entry["line"] for entry in entries if "error" in entry] == [100]
    assert len({entry["path"] for entry in entries if "path" in entry}) == len(list((tmp_path / "o").iterdir())) == 199
    assert result.stderr.splitlines()[0].startswith("tireg: line 100: the ( at character 7 is not closed")
    assert result.stderr.splitlines()[1] == "tireg: 1 of 200 prompts failed"
