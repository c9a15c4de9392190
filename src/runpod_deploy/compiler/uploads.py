"""Where in a bucket an artifact goes, and which secret lets the pod send it there."""

from urllib.parse import urlsplit

from runpod_deploy.compiler.plan import PlanUpload
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.job import ArtifactEntry, SecretEntry

CREDENTIALS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
"""The variables without which no S3 client can sign."""

Place = tuple[str, ...]
"""A place in a bucket: its store, its name, and the parts of the path."""


def place_of(upload: str, endpoint: str | None) -> Place:
    """Return the place that `s3://BUCKET/PATH` means in a store.

    Amazon's own address is what is asked where none is said.
    """
    url = urlsplit(endpoint or "")
    store = f"{url.netloc.lower()}{url.path.rstrip('/')}"
    if (url.hostname or "").endswith(".amazonaws.com"):
        store = ""
    return (store, *upload.rstrip("/").split("/")[2:])


def shares(one: Place, other: Place) -> bool:
    """Return whether two places are one, or one is within the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def credentials(config: Resolved, artifact: ArtifactEntry) -> SecretEntry | None:
    """Return the secret that holds an artifact's credentials; None when there is no such secret."""
    for secret in config.secrets:
        if artifact.upload_secret is None:
            if secret.env and set(secret.env) >= CREDENTIALS:
                return secret
        elif secret.name == artifact.upload_secret:
            return secret
    return None


def upload_of(config: Resolved, artifact: ArtifactEntry) -> PlanUpload | None:
    """Return where an artifact is sent besides; None when it only comes home."""
    secret = credentials(config, artifact)
    if artifact.upload is None or secret is None:
        return None
    return PlanUpload(
        to=artifact.upload.rstrip("/"), endpoint=artifact.upload_endpoint, secret=secret.name
    )
