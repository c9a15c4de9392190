"""The trained model on disk, signed, so that a file somebody else put there is not trusted."""

import hashlib
import hmac
import json
from pathlib import Path

from digits.network import Network

MODEL = "model.json"
SIGNATURE = "model.json.hmac"


def save(network: Network, folder: Path, token: str) -> None:
    """Write the weights and their HMAC-SHA256 under `token` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"hidden": network.hidden, "output": network.output})
    (folder / MODEL).write_text(text, encoding="ascii")
    (folder / SIGNATURE).write_text(_sign(text, token) + "\n", encoding="ascii")


def load(folder: Path, token: str) -> Network:
    """Read the weights back.

    Raises:
        ValueError: The signature does not fit: another token, or the file was changed.
    """
    text = (folder / MODEL).read_text(encoding="ascii")
    signature = (folder / SIGNATURE).read_text(encoding="ascii").strip()
    if not hmac.compare_digest(signature, _sign(text, token)):
        message = f"{folder / MODEL} was not signed with this TRAIN_TOKEN"
        raise ValueError(message)
    weights = json.loads(text)
    return Network(weights["hidden"], weights["output"])


def _sign(text: str, token: str) -> str:
    return hmac.new(token.encode(), text.encode("ascii"), hashlib.sha256).hexdigest()
