"""Rules about results that are sent to a bucket."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.uploads import CREDENTIALS, Place, credentials, place_of, shares
from runpod_deploy.schema.near_miss import near_miss

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


def upload_keys(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """What only an upload needs stands beside one."""
    for index, entry in enumerate(config.artifacts):
        for key in ("upload_secret", "upload_endpoint"):
            if entry.upload is None and getattr(entry, key) is not None:
                yield Finding(
                    pointer=f"/artifacts/{index}/{key}",
                    code="upload-missing",
                    summary="Nothing is uploaded",
                    detail=f"`{key}` is about `upload`, which `{entry.label}` does not have.",
                    on_key=True,
                )


def upload_credentials(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Each upload has a secret with its credentials."""
    for index, entry in enumerate(config.artifacts):
        if entry.upload is None:
            continue
        secret = credentials(config, entry)
        if secret is None:
            yield _without_secret(config, index)
        elif secret.env and not set(secret.env) >= CREDENTIALS:
            lacking = " and ".join(f"`{name}`" for name in sorted(CREDENTIALS - {*secret.env}))
            yield Finding(
                pointer=f"/artifacts/{index}/upload_secret",
                code="upload-credentials",
                summary="The secret cannot sign an upload",
                detail=f"The secret `{secret.name}` holds variables, and {lacking} is not among them.",
                help="Add what is missing to its `env`.",
            )


def _without_secret(config: Resolved, index: int) -> Finding:
    entry = config.artifacts[index]
    if entry.upload_secret is not None:
        return Finding(
            pointer=f"/artifacts/{index}/upload_secret",
            code="upload-credentials",
            summary="There is no such secret",
            detail=f"`secrets` has none that is called `{entry.upload_secret}`.",
            suggestion=near_miss(entry.upload_secret, [one.name for one in config.secrets]),
        )
    return Finding(
        pointer=f"/artifacts/{index}/upload",
        code="upload-credentials",
        summary="The pod could not sign the upload",
        detail="No secret of the job holds `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.",
        help="Name them below `secrets`, such as:\n  - name: bucket\n"
        "    destination: /root/.secrets/bucket.env\n"
        "    env: [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY]\n    export: false",
    )


def upload_endpoint(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Results do not travel in clear."""
    for index, entry in enumerate(config.artifacts):
        url = urlsplit(entry.upload_endpoint or "https://")
        if url.scheme != "https" and (url.hostname or "") not in _LOOPBACK:
            yield Finding(
                pointer=f"/artifacts/{index}/upload_endpoint",
                code="upload-endpoint",
                summary="The store is not asked over https",
                detail="What is uploaded would travel in clear. `http` is for rehearsals on this "
                "machine alone.",
            )


def upload_places(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Each artifact has a place of its own in a bucket, whose path means one thing everywhere."""
    taken: dict[Place, str] = {}
    for index, entry in enumerate(config.artifacts):
        if entry.upload is None:
            continue
        at = f"/artifacts/{index}/upload"
        place = place_of(entry.upload, entry.upload_endpoint)
        if {"", ".", ".."} & {*place[2:]}:
            yield Finding(
                pointer=at,
                code="upload-path",
                summary="A path in a bucket has a part without a name",
                detail="A bucket has no folders: `.`, `..` and an empty part between two slashes "
                "would be read one way by one program and another way by the next.",
            )
        other = next((one for one in taken if shares(one, place)), None)
        if other is not None:
            yield Finding(
                pointer=at,
                code="upload-twice",
                summary="Two artifacts go to one place",
                detail=f"`{taken[other]}` is sent there as well, or above or below: files of the same "
                "name would replace each other.",
            )
        taken[place] = entry.label
