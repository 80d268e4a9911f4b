"""Estimates: from the embedded model's own files, from earlier trainings, and refused where memory is short."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.registry.making import add_version
from tiregistry.bases.device_facts import Device
from tiregistry.bases.locating import EMBEDDED, locate_base
from tiregistry.bases.tensor_files import read_tensors
from tiregistry.registry.registry import Registry
from tiregistry.training.config import TrainingConfig
from tiregistry.training.estimate import _RUNTIME, estimate, estimate_training
from tiregistry.training.request import TrainingRequest

CPU = Device("cpu", "CPU", "fp32", 8 * 10**9, 5e10)


def request(**settings: object) -> TrainingRequest:
    config = TrainingConfig(**settings).resolved()  # type: ignore[arg-type]
    return TrainingRequest("gnome", [], config, base=EMBEDDED)


def test_the_models_own_files_tell(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        found = estimate_training(registry, request(), CPU)
        weights = sum(path.stat().st_size for path in locate_base(EMBEDDED).glob("*/*.safetensors")) / 2
        assert 0.5 * weights < found.parameters < weights
        assert found.may_stop_earlier
        assert found.seconds is not None
        assert "reckoned" in found.basis
        twice = estimate_training(registry, request(max_steps=200), CPU)
        assert twice.seconds == pytest.approx(2 * found.seconds)
        larger = estimate_training(registry, request(batch_size=16), CPU)
        assert larger.memory > found.memory
        split = estimate_training(registry, request(batch_size=16, micro_batch=4), CPU)
        assert split.memory == found.memory
        halved = tmp_path / "halved"
        shutil.copytree(locate_base(EMBEDDED), halved)
        tokenizer = halved / "tokenizer" / "tokenizer_config.json"
        words = json.loads(tokenizer.read_text())
        tokenizer.write_text(json.dumps(words | {"model_max_length": words["model_max_length"] // 2}))
        shorter = estimate(registry, request(), halved, CPU)
        assert 0 < (shorter.seconds or 0) < found.seconds
        half = estimate_training(registry, request(precision="bf16"), CPU)
        assert half.memory < found.memory
        tight = estimate_training(registry, request(), replace(CPU, free_memory=10**8))
        assert "is free" in tight.problems[0]
        unknown = estimate_training(registry, request(), Device("cuda", "Unheard-of", "bf16"))
        assert unknown.seconds is None
        json.dumps(found.as_dict())


def test_on_a_gpu_the_vocabulary_takes_no_memory(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        here, there = (
            estimate_training(registry, request(), Device(kind, "x", "fp32", 0, 1.0)) for kind in ("mps", "cpu")
        )
        tables = [
            tensor.shape
            for file in locate_base(EMBEDDED).glob("text_encoder/*.safetensors")
            for tensor in read_tensors(file)
            if "token_embedding" in tensor.name
        ]
        runtime = _RUNTIME["mps"] - _RUNTIME["cpu"]
        assert there.memory - (here.memory - runtime) == 4 * sum(rows * width for rows, width in tables) > 0


def test_earlier_trainings_tell_better(tmp_path: Path) -> None:
    with Registry.open(tmp_path) as registry:
        version = add_version(registry, record={"seconds": 100.0, "steps": 50, "device": "cpu"})
        config = {"base": {"name": EMBEDDED}, "training": {"batch_size": 4}}
        run = registry.create_run("gnome", config, 50)
        registry.update_run(run.id, status="finished", version_id=version.id, finished_at=time.time())
        found = estimate_training(registry, request(batch_size=8, max_steps=100), CPU)
        assert found.seconds == pytest.approx(100 / (50 * 4) * 800)
        assert found.basis == "as in an earlier training on it"
        other = estimate_training(registry, request(), Device("cuda", "NVIDIA H100", "bf16", 0, 9e14))
        assert "reckoned" in other.basis


@pytest.mark.slow
def test_the_device_is_told_by_a_process_of_its_own() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    command = [sys.executable, "-m", "tiregistry.bases.device_facts"]
    done = subprocess.run([*command, "cpu"], capture_output=True, text=True, check=True, env=environment)
    device = Device(**json.loads(done.stdout))
    assert device.kind == "cpu"
    assert device.flops > 0
    refused = subprocess.run([*command, "cuda:99"], capture_output=True, text=True, check=False, env=environment)
    assert refused.returncode == 2
    assert "cuda:99" in refused.stderr
