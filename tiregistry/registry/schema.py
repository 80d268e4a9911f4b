"""What identifies a registry's database file; kept apart from the migrations, whose import is slow."""

from __future__ import annotations

APPLICATION_ID = 0x74697267  # "tirg", shown by file(1)
SCHEMA_VERSION = 3
"""`user_version` of a database to which every migration of `migrations.py` has been applied."""
