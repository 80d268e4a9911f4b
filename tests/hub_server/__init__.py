"""A Hub of our own on 127.0.0.1: it speaks the protocol that huggingface_hub speaks, and misbehaves when told to."""

from tests.hub_server.faults import Fault
from tests.hub_server.server import HubServer

__all__ = ["Fault", "HubServer"]
