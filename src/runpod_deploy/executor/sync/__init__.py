"""Moves files between the project and a pod, each held against its sha256 on both sides."""
