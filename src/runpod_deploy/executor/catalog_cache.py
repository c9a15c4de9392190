"""The catalog of each API, kept on disk for a while: one file for each address and question.

The address is part of a file's name and of its content, so that an emulator's prices are never taken
for RunPod's. What is kept is public: no key, and nothing of the account, is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from runpod_deploy.compiler.canonical import CanonicalError, canonical
from runpod_deploy.executor.ports import Cloud, GpuOffer, StockQuery
from runpod_deploy.executor.runpod.address import checked_base
from runpod_deploy.record.atomic import dump_json, write_atomic
from runpod_deploy.schema.plain import from_plain, to_plain

FORMAT = "runpod-deploy.catalog/1"
LARGEST_BYTES = 8 * 2**20
FORGOTTEN_AFTER_SEC = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The catalog as it was at one moment.

    Attributes:
        read_at: When the API was asked, seconds since the epoch.
        kept: Whether it was asked earlier, and the answer kept.
    """

    offers: tuple[GpuOffer, ...]
    read_at: float
    kept: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    """The content of a file."""

    format: str
    api_url: str
    query: StockQuery
    read_at: float
    offers: tuple[GpuOffer, ...]


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where catalogs are kept: below `XDG_CACHE_HOME`, else `~/.cache`."""
    base = environ.get("XDG_CACHE_HOME", "")
    # A relative path there is to be ignored, says the XDG specification.
    root = (
        Path(base) if base.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".cache"
    )
    return root / "runpod-deploy" / "catalog"


class CatalogCache:
    """Answers of one API.

    Args:
        folder: Created when something is kept; a folder that cannot be written is done without.
        api_url: Address of the API; what is kept for another one is never used.
        now: Returns seconds since the epoch.
    """

    def __init__(self, folder: Path, api_url: str, now: Callable[[], float]) -> None:
        self._folder = folder
        self._api_url = checked_base(api_url)[0]
        self._now = now

    async def read(self, cloud: Cloud, query: StockQuery, *, max_age_sec: float) -> Reading:
        """Return the kept answer if it is young enough, else ask and keep the answer.

        Args:
            cloud: The API at this cache's address.
            max_age_sec: 0 always asks.

        Raises:
            CloudError: The API could not be asked; an older answer is not used in its place.
            AccountError: The API refused the key.
        """
        kept = self._load(query)
        if kept is not None and 0 <= self._now() - kept.read_at < max_age_sec:
            return kept
        began = self._now()
        reading = Reading(offers=tuple(await cloud.catalog(query)), read_at=began, kept=False)
        self._keep(query, reading)
        return reading

    def _file(self, query: StockQuery) -> Path:
        identity = canonical({"api_url": self._api_url, "query": to_plain(query)})
        return self._folder / f"{hashlib.sha256(identity).hexdigest()[:32]}.json"

    def _load(self, query: StockQuery) -> Reading | None:
        try:
            with self._file(query).open("rb") as file:
                content = file.read(LARGEST_BYTES + 1)
            if len(content) > LARGEST_BYTES:
                return None
            kept = from_plain(_Kept, json.loads(content, parse_constant=_no_number))
        except (OSError, ValueError, RecursionError):
            return None
        if (kept.format, kept.api_url, kept.query) != (FORMAT, self._api_url, query):
            return None
        return Reading(offers=kept.offers, read_at=kept.read_at, kept=True)

    def _keep(self, query: StockQuery, reading: Reading) -> None:
        kept = _Kept(
            format=FORMAT,
            api_url=self._api_url,
            query=query,
            read_at=reading.read_at,
            offers=reading.offers,
        )
        with suppress(OSError, ValueError, CanonicalError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = self._file(query)
            write_atomic(file, dump_json(to_plain(kept)), mode=0o600)
            self._forget(besides=file)

    def _forget(self, *, besides: Path) -> None:
        """Drop what nobody asks for any more: each emulator has an address of its own."""
        for file in set(self._folder.glob("*.json")) - {besides}:
            with suppress(OSError):
                if self._now() - file.stat().st_mtime > FORGOTTEN_AFTER_SEC:
                    file.unlink()


def _no_number(name: str) -> NoReturn:
    msg = f"{name} is no number of JSON"
    raise ValueError(msg)
