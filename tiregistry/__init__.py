"""tiregistry: a home for learned words. Public names are resolved on first use, so importing it costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "BaseModel": "tiregistry.concepts",
    "Concept": "tiregistry.concepts",
    "Version": "tiregistry.concepts",
    "Run": "tiregistry.concepts",
    "Embedding": "tiregistry.embeddings.embedding",
    "Generator": "tiregistry.generation.generator",
    "Registry": "tiregistry.registry.registry",
    "TiregError": "tiregistry.errors",
    "TrainingConfig": "tiregistry.training.config",
    "train": "tiregistry.training.run",
}

__all__ = [
    "BaseModel",
    "Concept",
    "Embedding",
    "Generator",
    "Registry",
    "Run",
    "TiregError",
    "TrainingConfig",
    "Version",
    "__version__",
    "train",
]

if TYPE_CHECKING:
    from tiregistry.concepts import BaseModel, Concept, Run, Version
    from tiregistry.embeddings.embedding import Embedding
    from tiregistry.errors import TiregError
    from tiregistry.generation.generator import Generator
    from tiregistry.registry.registry import Registry
    from tiregistry.training.config import TrainingConfig
    from tiregistry.training.run import train


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tiregistry' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """The public names too that nobody has used yet."""
    return sorted({*globals(), *_PUBLIC})
