"""Lints about secrets and variables: whether they arrive, and whether they stay secret."""

import re
from collections.abc import Iterator

from runpod_deploy.compiler.checks.lint import Lint
from runpod_deploy.compiler.checks.shell_text import shell_texts
from runpod_deploy.compiler.facts import Facts
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.pod_paths import inside, normal
from runpod_deploy.compiler.resolve import Resolved
from runpod_deploy.compiler.secret_looking import all_secrets, named_secret
from runpod_deploy.compiler.uploads import credentials
from runpod_deploy.schema.pointer import child

SECRET_NOT_SOURCED = Lint(
    code="secret-not-sourced",
    summary="Nothing reads a secret",
    why="A file of secrets on the pod does nothing by itself. The run does not get the variables, "
    "and usually ends after setup and staging have been paid for.",
    cure="Let it reach the run by itself:\n  export: true",
)
SOURCE_FILE_UNMADE = Lint(
    code="source-file-unmade",
    summary="A file is sourced that nothing makes",
    why="A pod's disk is empty when it starts, apart from the image. Sourcing a file that is not "
    "there ends the command before it begins.",
    cure="Let a secret, a staging or a setup command put it there.",
)
SECRET_IN_JOB = Lint(
    code="secret-in-job",
    summary="The job file holds what looks like a secret",
    why="What stands in the job file stands in every plan, in the run folder and in git. A plan can "
    "be shown to everybody only because secrets in it are references.",
    cure="Take it back where it was issued, and name a variable of your environment below "
    "`secrets`, such as:\n  - {name: hub, destination: /root/.secrets/hub.env, env: [HF_TOKEN]}",
)
LITERAL_VARIABLE = Lint(
    code="literal-variable",
    summary="A variable in a value is not filled in",
    why="Values of `env` and `exports` are taken as they are written, so `$PATH` in them is a dollar "
    "sign and four letters. A PATH that is set so holds no program, and not even the shell is found.",
    cure="Fill it in where a shell reads it, in the script or in a file of "
    "`remote_env.source_files`:\n  export PATH=/opt/bin:$PATH",
)
LINTS = (SECRET_NOT_SOURCED, SOURCE_FILE_UNMADE, SECRET_IN_JOB, LITERAL_VARIABLE)
_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)")


def unread_secrets(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """A secret of variables reaches the run, or is named by something that reads it."""
    sends = [credentials(config, entry) for entry in config.artifacts if entry.upload]
    quiet = [
        (i, one)
        for i, one in enumerate(config.secrets)
        if one.env and not one.export and one not in sends
    ]
    if not quiet:
        return
    said = "\n".join(text.text for text in shell_texts(config, facts))
    sourced = {normal(path) for path in config.remote_env.source_files}
    old = config.source.version == 2
    for index, secret in quiet:
        name = secret.destination.rpartition("/")[2]
        if normal(secret.destination) not in sourced and name not in said:
            yield SECRET_NOT_SOURCED.at(
                f"/secrets/{index}/destination",
                f"`{secret.destination}` is neither below `remote_env.source_files` nor named by a "
                "command, so the run does not get its variables.",
                help=f"Write:\n  remote_env: {{source_files: [{secret.destination}]}}"
                if old
                else None,
            )


def unmade_files(config: Resolved, facts: Facts) -> Iterator[Finding]:
    """A file that is sourced is one that something puts there."""
    kept = config.storage.mode == "network_volume"
    mount = normal(config.storage.volume_mount)
    said = "\n".join(text.text for text in shell_texts(config, facts))
    for index, path in enumerate(config.remote_env.source_files):
        made = (
            any(normal(secret.destination) == normal(path) for secret in config.secrets)
            or any(inside(path, entry.destination) for entry in config.staging)
            or path.rpartition("/")[2] in said
        )
        # What lies in a tool's own folder (~/.cargo/env) is made by installing the tool.
        made = made or "/." in path.rpartition("/")[0] + "/"
        ours = inside(path, mount) or inside(path, "/root") or inside(path, "/tmp")  # noqa: S108 - the pod's
        if not made and ours and not (kept and inside(path, mount)):
            yield SOURCE_FILE_UNMADE.at(
                f"/remote_env/source_files/{index}",
                f"No secret, staging or command puts `{path}` on the pod.",
            )


def secrets_in_job(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """No value in the job file looks like a secret; the value itself is not repeated."""
    mappings = {
        "/pod/env": config.pod.env,
        "/remote_env/exports": config.remote_env.exports,
        "/run/env": config.run.env,
        "/variables": config.variables,
    }
    places = [
        (child(at, key), key, text) for at, held in mappings.items() for key, text in held.items()
    ]
    places += [(f"/setup/{i}/command", "", entry.command) for i, entry in enumerate(config.setup)]
    places += [
        (f"/preflight/{i}/command", "", one.command) for i, one in enumerate(config.preflight)
    ]
    places.append(("/run/body", "", config.run.body or ""))
    for pointer, key, text in places:
        content = text.encode("utf-8", "replace")
        found = list(all_secrets(content))
        if not found and key and named_secret(key, text):
            found = [("a secret, by its name", 0)]
        for kind, offset in found:
            before = content[content.rfind(b"\n", 0, offset) + 1 : offset]
            yield SECRET_IN_JOB.at(
                pointer,
                f"It looks like {kind}.",
                line=content.count(b"\n", 0, offset) + 1,
                column=len(before.decode(errors="replace")) + 1,
                hidden=True,
            )


def literal_variables(config: Resolved, facts: Facts) -> Iterator[Finding]:  # noqa: ARG001 - a rule
    """No value of an environment looks as if a shell read it."""
    mappings = {
        "/pod/env": config.pod.env,
        "/remote_env/exports": config.remote_env.exports,
        "/run/env": config.run.env,
    }
    for at, held in mappings.items():
        for key, text in held.items():
            found = _VARIABLE.search(text)
            if found is not None:
                yield LITERAL_VARIABLE.at(
                    child(at, key),
                    f"`{key}` is exported with `{found[0]}` in it, letter by letter.",
                )


RULES = (unread_secrets, unmade_files, secrets_in_job, literal_variables)
