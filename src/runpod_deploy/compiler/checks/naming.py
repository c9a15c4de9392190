"""Rules about names: labels, variables of the environment."""

import re
from collections.abc import Iterable, Iterator

from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.schema.plain import escape

# RunPod allows 50; PUBLIC_KEY, RUNPOD_DEPLOY_META and RUNPOD_DEPLOY_API_URL are ours, one is spare.
MAX_POD_ENV = 46
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def unique_labels(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Each staging, artifact and secret has a name of its own."""
    named: tuple[tuple[str, str, list[str]], ...] = (
        ("staging", "label", [entry.label for entry in config.staging]),
        ("artifacts", "label", [entry.label for entry in config.artifacts]),
        ("secrets", "name", [entry.name for entry in config.secrets]),
    )
    for section, key, names in named:
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Finding(
                    pointer=f"/{section}/{index}/{key}",
                    code="duplicate-name",
                    summary="A name is used twice",
                    detail=f"Two entries of `{section}` are called `{name}`; reports and later "
                    "commands could not tell them apart.",
                )


def environment_names(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """Environment variables have names that a shell can export."""
    places: list[tuple[str, str]] = []
    mappings: tuple[tuple[str, Iterable[str]], ...] = (
        ("/pod/env", config.pod.env),
        ("/remote_env/exports", config.remote_env.exports),
        ("/run/env", config.run.env),
    )
    for pointer, names in mappings:
        places += [(f"{pointer}/{escape(name)}", name) for name in names]
    for index, secret in enumerate(config.secrets):
        places += [(f"/secrets/{index}/env/{i}", name) for i, name in enumerate(secret.env)]
    for pointer, name in places:
        if not _VARIABLE.fullmatch(name):
            yield Finding(
                pointer=pointer,
                on_key=True,
                code="environment-name",
                summary="An environment variable has a name that no shell can export",
                detail=f"`{name}` may hold only letters, digits and `_`, a digit not first.",
            )


def reserved_pod_env(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """The pod's environment leaves alone what RunPod and the lease need."""
    for name in config.pod.env:
        if name == "PUBLIC_KEY" or name.startswith("RUNPOD_"):
            yield Finding(
                pointer=f"/pod/env/{escape(name)}",
                on_key=True,
                code="reserved-name",
                summary="An environment variable is reserved",
                detail=f"`{name}` is set by RunPod or by runpod-deploy: `PUBLIC_KEY` is the way "
                "into the pod, and names that begin with `RUNPOD_` describe the pod to itself.",
                help="To bring a key of your own as well, set `ssh.key_path`."
                if name == "PUBLIC_KEY"
                else None,
            )
    kept = {secret.runpod for secret in config.secrets if secret.runpod is not None}
    count = len(config.pod.env) + len(kept)
    if count > MAX_POD_ENV:
        yield Finding(
            pointer="/pod/env",
            code="environment-size",
            summary="The pod has too many environment variables",
            detail=f"RunPod takes 50 variables, of which {MAX_POD_ENV} are the job's; "
            f"here are {count}" + (f", {len(kept)} of them for secrets." if kept else "."),
            help="Move what only the job needs to `run.env` or `remote_env.exports`.",
        )
