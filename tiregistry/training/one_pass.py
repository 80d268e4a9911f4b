"""What several words must have in common to be learned in one pass over one base model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tiregistry.errors import InvalidInput
from tiregistry.training.request import TrainingRequest, check_request

if TYPE_CHECKING:
    from tiregistry.registry.registry import Registry


def check_requests(registry: Registry, requests: Sequence[TrainingRequest]) -> list[TrainingRequest]:
    """`check_request` for every request, and `check_one_pass`.

    Raises:
        InvalidInput: there is none.
        As `check_request` and `check_one_pass`.
    """
    if not requests:
        raise InvalidInput("nothing to learn", "give at least one concept")
    checked = [check_request(registry, request) for request in requests]
    check_one_pass(checked)
    return checked


def check_one_pass(requests: Sequence[TrainingRequest]) -> None:
    """Whether checked requests can share a pass.

    Raises:
        InvalidInput: two of them name the same concept or token, or they differ in what a pass has only one of.
    """
    for what, keys in (
        ("the concept", [request.concept.casefold() for request in requests]),
        ("the placeholder token", [request.placeholder_token.casefold() for request in requests]),
    ):
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise InvalidInput(f"{what} {twice} is named twice", "give each concept once")
    first = requests[0]
    for request in requests[1:]:
        for what, one, other in (
            ("base model", first.base, request.base),
            ("device", first.device, request.device),
            ("precision", first.config.precision, request.config.precision),
            ("resolution", first.config.resolution, request.config.resolution),
        ):
            if one != other:
                raise InvalidInput(
                    f"{first.concept} and {request.concept} differ in their {what} ({one or 'default'}, "
                    f"{other or 'default'}), and one pass has only one",
                    "train them one after the other",
                )
