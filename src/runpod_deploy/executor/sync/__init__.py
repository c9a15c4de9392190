"""Moves files between this machine and a pod, each one held against its sha256."""
