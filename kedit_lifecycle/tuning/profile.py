"""Profiles: an editor's settings for one model, and how they were found, stored by content."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import rfc8785

from kedit_lifecycle.blobs.folder import flush_folder, unwritable
from kedit_lifecycle.blobs.whole_file import replace_file
from kedit_lifecycle.errors import StoreError, UsageError

FOLDER = "profiles"
_PREFIX = re.compile(r"[0-9a-f]{4,64}")
_LIST = "kedit tune --list"


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings of `editor` for the model `base_digest` (`model` is its name), all of them in `config`.

    `made` says how: facts (digest of the data), seed, budget, rungs, scores.
    """

    editor: str
    base_digest: str
    model: str
    config: Mapping[str, Any]
    made: Mapping[str, Any]

    @property
    def content(self) -> dict[str, Any]:
        """The profile as JSON values."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def digest(self) -> str:
        """sha256 (hex) of the content as RFC 8785 JSON.

        Raises:
            ValueError: a value that such JSON cannot hold: NaN, infinity, an integer beyond 2^53.
        """
        return hashlib.sha256(rfc8785.dumps(self.content)).hexdigest()


def save_profile(store: Path, profile: Profile) -> Path:
    """Keep a profile in a store's folder; returns its file. The same content is one file.

    Raises:
        StoreUnwritableError: a full disk or a read-only folder.
    """
    path = store / FOLDER / f"{profile.digest}.json"
    with unwritable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, rfc8785.dumps({**profile.content, "digest": profile.digest}))
        flush_folder(path.parent)
    return path


def list_profiles(store: Path) -> list[Profile]:
    """All profiles of a store, by editor and digest.

    Raises:
        StoreError: one of them is damaged.
    """
    found = [_read(path) for path in sorted((store / FOLDER).glob("*.json"))]
    return sorted(found, key=lambda profile: (profile.editor, profile.digest))


def load_profile(store: Path, name: str, editor: str, base_digest: str) -> Profile:
    """A profile by the beginning of its digest (four digits or more) or by its file, for this use.

    Raises:
        UsageError: unknown or ambiguous; or made for another editor or another model.
        StoreError: the file is damaged.
    """
    profile = _read(_find(store, name))
    if profile.editor != editor:
        raise UsageError(
            f"the profile {profile.digest[:10]} is for the editor {profile.editor!r}, not {editor!r}",
            hint=f"--method {profile.editor}, or another profile: {_LIST}",
        )
    if profile.base_digest != base_digest:
        raise UsageError(
            f"the profile {profile.digest[:10]} was made for another model, {profile.model} "
            f"({profile.base_digest[:12]}); this store's is {base_digest[:12]}",
            hint=f"kedit tune --editor {editor}",
        )
    return profile


def _find(store: Path, name: str) -> Path:
    if _PREFIX.fullmatch(name):
        found = sorted((store / FOLDER).glob(f"{name}*.json"))
        if len(found) > 1:
            which = ", ".join(path.stem[:10] for path in found)
            raise UsageError(f"{name!r} begins several profiles: {which}", hint="give more digits")
        if found:
            return found[0]
    if Path(name).is_file():
        return Path(name)
    raise UsageError(f"no profile {name!r}: neither four or more digits of one nor a file", hint=_LIST)


def _read(path: Path) -> Profile:
    try:
        raw = json.loads(path.read_text("utf-8"))
        digest = raw.pop("digest")
        profile = Profile(**raw)
        intact = profile.digest == digest and _named_right(path, digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"the profile {path} cannot be read: {error}", hint=_HINT) from error
    if not intact:
        raise StoreError(f"the profile {path} is not what was written: its digest is another", hint=_HINT)
    return profile


_HINT = "delete it and tune again: kedit tune --editor NAME"


def _named_right(path: Path, digest: str) -> bool:
    """A file that is named by a digest holds that one; any other name is the user's own."""
    return path.stem == digest or not re.fullmatch(r"[0-9a-f]{64}", path.stem)
