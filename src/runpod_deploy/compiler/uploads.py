"""Which secret lets the pod send an artifact to its bucket."""

from runpod_deploy.compiler.plan import PlanUpload
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.job import ArtifactEntry, SecretEntry

CREDENTIALS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
"""The variables without which no S3 client can sign."""


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
