"""Ids as RunPod makes them: lower-case letters and digits."""

import secrets

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

POD_LENGTH = 14
OTHER_LENGTH = 10


def new_id(length: int = OTHER_LENGTH) -> str:
    """Give a fresh random id."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
