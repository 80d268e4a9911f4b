"""What a picture's recipe, which anybody may have written, says of the processor that made it."""

from __future__ import annotations

import pytest

from tiregistry.generation.processor import described


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ({"name": "AVX2", "threads": 1}, "AVX2 with 1 thread"),
        ({"name": "AVX2", "threads": 16}, "AVX2 with 16 threads"),
        ({"name": "AVX2", "threads": "many"}, "AVX2"),
        ({"name": "AVX2", "threads": [1]}, "AVX2"),
        ({"name": "NVIDIA H100"}, "NVIDIA H100"),
        ({"threads": 4}, ""),
        ("AVX2", ""),
    ],
)
def test_a_recorded_processor(recorded: object, told: str) -> None:
    assert described(recorded) == told
