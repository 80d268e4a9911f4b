"""A tokenizer in CLIP's format: every word of the world is one token, anything else is spelled in bytes."""

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
from transformers import CLIPTokenizer

from tools.embedded_base.world import captions
from tools.embedded_base.world.backgrounds import CONTEXTS
from tools.embedded_base.world.palette import COLOURS
from tools.embedded_base.world.things import KINDS

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 32
"""Token window, start and end included."""

_MORE_WORDS = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8")
"""Common English words that the world does not use, so that ordinary prompts stay short."""

_PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+")


def world_words() -> list[str]:
    """Every lower-case piece that a caption of the world or Textual Inversion's templates can contain, sorted."""
    texts = [*COLOURS, *KINDS, _MORE_WORDS]
    texts += captions.OBJECT_TEMPLATES + captions.MORE_OBJECT_TEMPLATES + captions.STYLE_TEMPLATES
    texts += captions.STYLED_OBJECT_TEMPLATES + captions.MEDIUM_TEMPLATES
    for table in (captions.CONTEXT_PHRASES, captions.MEDIUM_WORDS, captions.KIND_WORDS):
        texts += [phrase for phrases in table.values() for phrase in phrases]
    texts += CONTEXTS
    texts += [
        "horned",
        "winged",
        "one-eyed",
        "long-tailed",
        "fat",
        "tall",
        "one",
        "horn",
        "ears",
        "long",
        "legs",
        "square",
        "round",
        "long-necked",
        "wheels",
        "spiral",
        "feelers",
        "arms",
        "handle",
        "lid",
    ]
    texts += ["striped", "banded", "two-tone", "spotted"]
    plain = " ".join(texts).replace("{thing}", " ").replace("{style}", " ").replace("{}", " ").lower()
    return sorted({piece for piece in _PIECE.findall(plain) if piece.isalpha()})


def _byte_alphabet() -> list[str]:
    """The 256 printable characters that stand for bytes in CLIP's and GPT-2's vocabularies."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return sorted(chr(code) for code in (*printable, *range(256, 256 + 256 - len(printable))))


def _learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first and ties in alphabetical order, until every word is one piece."""
    pieces = [[*word[:-1], word[-1] + "</w>"] for word in words]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for word in pieces for pair in pairwise(word))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in pieces:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = ["".join(best)]
                i += 1


def build_tokenizer(folder: Path) -> None:
    """Writes vocab.json, merges.txt and tokenizer_config.json into `folder`, always the same bytes."""
    alphabet, merges = _byte_alphabet(), _learn_merges(world_words())
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet), *("".join(pair) for pair in merges), START, END]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text(
        "\n".join(["#version: 0.2", *(" ".join(pair) for pair in merges), ""]), encoding="utf-8"
    )
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": END,
        "model_max_length": LENGTH,
        "errors": "replace",
        "do_lower_case": True,
        "add_prefix_space": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


class CaptionEncoder:
    """Captions to token ids; the two name markers become the ids just past the vocabulary."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = CLIPTokenizer.from_pretrained(folder)
        self.size = len(self.tokenizer)
        self.start: int = self.tokenizer.bos_token_id
        self.end: int = self.tokenizer.eos_token_id
        self.thing_id, self.style_id = self.size, self.size + 1
        self._known: dict[str, list[int]] = {}

    def _pieces(self, word: str) -> list[int]:
        if word not in self._known:
            self._known[word] = self.tokenizer(word, add_special_tokens=False)["input_ids"]
        return self._known[word]

    def __call__(self, caption: str) -> np.ndarray:
        """(LENGTH,) int64, ended and padded with the end token."""
        ids = [self.start]
        for part in re.split(f"({captions.THING_NAME}|{captions.STYLE_NAME})", caption):
            if part == captions.THING_NAME:
                ids.append(self.thing_id)
            elif part == captions.STYLE_NAME:
                ids.append(self.style_id)
            else:
                for word in part.split():
                    ids += self._pieces(word)
        ids = ids[: LENGTH - 1]
        return np.array(ids + [self.end] * (LENGTH - len(ids)), np.int64)
