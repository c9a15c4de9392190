"""Reads run folders, never writes them."""

from runpod_deploy.forensics.load import (
    Event,
    Manifest,
    iter_events,
    load_events,
    load_manifest,
    walk_run_dirs,
)

__all__ = ["Event", "Manifest", "iter_events", "load_events", "load_manifest", "walk_run_dirs"]
