"""Judges: what finds which, what they return, and what is said when one is not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.core.evaluation.conftest import picture
from tiregistry.bases.locating import EMBEDDED, embedded_folder
from tiregistry.errors import FileMissing, HubError, InvalidInput
from tiregistry.evaluation.judges import CLIP, DINO, JudgeSource, find_dino, find_judge


def test_a_base_model_with_towers_judges_itself(base_folder: Path, tmp_path: Path) -> None:
    assert find_judge("auto", "tiny", str(base_folder), base_folder).name == "tiny"
    assert find_judge("", EMBEDDED, EMBEDDED, embedded_folder()) == JudgeSource(
        EMBEDDED, str(embedded_folder()), has_towers=True
    )
    assert find_judge("auto", "sd15", "some/model", tmp_path) == JudgeSource(CLIP, CLIP)
    assert find_judge(EMBEDDED, "sd15", "some/model", tmp_path).name == EMBEDDED


def test_features_are_unit_vectors_and_texts_meet_pictures(
    base_folder: Path, clip_folder: Path, dino_folder: Path
) -> None:
    pictures = [picture(1), picture(2).resize((80, 48))]
    digests = set()
    for source, dim in (
        (find_judge("auto", "tiny", "", base_folder), 32),
        (find_judge(str(clip_folder), "tiny", "", base_folder), 16),
        (find_dino(str(dino_folder)), 24),
    ):
        judge = source.open()
        seen = judge.pictures(pictures)
        assert seen.shape == (2, dim)
        assert seen.dtype == np.float32
        assert np.allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
        # A batch changes nothing but the last bits.
        assert np.allclose(judge.pictures(pictures[1:]), seen[1:], atol=1e-5)
        digests.add(judge.digest)
        if isinstance(source, JudgeSource):
            judge = source.open()
            told = judge.texts(["a red cat", "snow " * 200])
            assert told.shape == (2, dim)
            assert not np.allclose(told[0], told[1])
    assert len(digests) == 3


def test_clip_features_are_those_of_transformers(clip_folder: Path) -> None:
    import torch
    from transformers import CLIPModel, CLIPTokenizer

    judge = find_judge(str(clip_folder), "", "", clip_folder).open()
    model = CLIPModel.from_pretrained(clip_folder)
    tokenizer = CLIPTokenizer.from_pretrained(clip_folder)
    ids = tokenizer(["a red cat"], padding="max_length", max_length=77, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        theirs = model.get_text_features(input_ids=ids, return_dict=True).pooler_output
    theirs = torch.nn.functional.normalize(theirs, dim=-1).numpy()
    assert np.allclose(judge.texts(["a red cat"]), theirs, atol=1e-5)


def test_no_judge_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HubError, match=f"{CLIP} is not on this disk and HF_HUB_OFFLINE is set") as caught:
        find_judge("auto", "sd15", "some/model", tmp_path).open()
    assert "--clip embedded" in caught.value.hint
    with pytest.raises(HubError, match=DINO) as caught:
        find_dino(DINO).open()
    assert "--dino-model FOLDER" in caught.value.hint
    with pytest.raises(FileMissing, match="no judge 'nowhere'"):
        find_judge("nowhere", "", "", tmp_path)
    with pytest.raises(InvalidInput, match="holds no CLIP model"):
        find_judge(str(tmp_path), "", "", tmp_path)
    with pytest.raises(FileMissing):
        find_dino("nowhere")


def test_folders_of_one_name_are_two_judges(clip_folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = tmp_path / clip_folder.name
    shutil.copytree(clip_folder, other)
    weights = load_file(other / "model.safetensors")
    save_file({name: tensor * 2 for name, tensor in weights.items()}, other / "model.safetensors", {"format": "pt"})
    one, two, again = (find_judge(str(f), "", "", f).open().name for f in (clip_folder, other, clip_folder))
    assert one == again != two
    assert one.startswith(f"{clip_folder.name}-")


def test_a_judge_that_cannot_read_is_refused(clip_folder: Path, tmp_path: Path) -> None:
    import shutil

    for file in ("config.json", "model.safetensors"):
        shutil.copy(clip_folder / file, tmp_path)
    with pytest.raises(InvalidInput, match="tokenizer knows no words") as caught:
        find_judge(str(tmp_path), "", "", tmp_path).open()
    assert "vocab.json" in caught.value.hint


def test_a_damaged_judge_is_one_line(clip_folder: Path, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(clip_folder, broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InvalidInput, match="cannot be used as a judge"):
        find_judge(str(broken), "", "", broken).open()
