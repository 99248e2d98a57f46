"""The user's cache folder: converted models, and statistics shared by stores."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """`KEDIT_CACHE`, else the platform's cache folder for kedit."""
    chosen = os.environ.get("KEDIT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kedit", appauthor=False))
