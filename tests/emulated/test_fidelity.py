"""What the user wrote is what the pod gets, byte for byte; what is secret stays secret."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from support.command import Bench

pytestmark = pytest.mark.emulated

HOSTILE_BODY = r"""
a=(one two three)
echo "home=${HOME} count=${#a[@]}"
printf '{%s}\n' braces
echo first second | awk '{print $1}'
echo '{# x #}' '{% raw %}'
cat <<'OUTER'
BASH
EOF
"
'
OUTER
: '
BASH
EOF
'
echo done
"""

SECRETS = {
    "PLANTED_PLAIN": "planted-plain-secret-value",
    "PLANTED_HOSTILE": "a b'c\"d$(touch /tmp/owned)`x`\\ planted-hostile",
}


def test_shell_text_reaches_the_pod_untouched(bench: Bench) -> None:
    """Braces, quotes, comments that look like templates and heredoc words survive."""
    bench.job(run={"body": HOSTILE_BODY})

    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")

    assert status == 0, output
    expected = "home=/root count=3\n{braces}\nfirst\n{# x #} {% raw %}\nBASH\nEOF\n\"\n'\ndone\n"
    assert (bench.last_run() / "run.log").read_text() == expected


def test_file_names_and_kinds_survive_the_way_there_and_back(bench: Bench) -> None:
    """Spaces, newlines, non-ASCII letters, an empty file, a link and the executable bit survive."""
    names = [
        "a space.txt",
        "new\nline.txt",
        "naïve-日本.txt",
        "-dash",
        "q'uo\"te",
        "$HOME",
        "deep/er/x",
    ]
    for name in names:
        bench.write(f"src/{name}", f"content of {name!r}")
    bench.write("src/empty", b"")
    bench.write("src/tool", "#!/bin/sh\necho tool ran\n", executable=True)
    (bench.project / "src" / "link").symlink_to("a space.txt")
    bench.job(
        staging=[{"label": "src", "source": "src", "destination": "/root/src dir"}],
        run={"body": '"/root/src dir/tool"\nreadlink "/root/src dir/link"\n'},
        artifacts=[{"label": "back", "remote_path": "/root/src dir"}],
    )

    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")
    back = bench.last_run() / "back"

    assert status == 0, output
    assert (bench.last_run() / "run.log").read_text() == "tool ran\na space.txt\n"
    for name in [*names, "empty", "tool"]:
        assert (back / name).read_bytes() == (bench.project / "src" / name).read_bytes()
    assert os.access(back / "tool", os.X_OK)
    assert not os.access(back / "empty", os.X_OK)
    assert (back / "link").readlink() == Path("a space.txt")


def test_no_secret_is_in_any_file_or_on_the_screen(bench: Bench) -> None:
    """Planted values of secrets, API key and private key turn up nowhere, while the job gets them."""
    bench.extra.update(SECRETS)
    bench.extra["RUNPOD_API_KEY"] = "rpa_PLANTEDAPIKEY0123456789"
    bench.extra["RUNPOD_SECRET_kept"] = "planted-runpod-secret"
    bench.write("token.txt", "planted-file-secret\n")
    bench.job(
        secrets=[
            {"name": "env", "env": list(SECRETS), "destination": "/root/.secrets/env"},
            {"name": "file", "file": "token.txt", "destination": "/root/.secrets/token"},
            {
                "name": "command",
                "command": "printf planted; echo -command-secret",
                "destination": "/root/.secrets/command",
                "mode": "0440",
            },
            {"name": "kept", "runpod": "kept", "destination": "/root/.secrets/kept"},
        ],
        setup=[{"command": "env; cat /proc/1/environ | tr '\\0' '\\n'"}],
        run={
            "body": "env\ncat /root/.secrets/*\nbase64 /root/.secrets/command\n"
            "cat /root/.secrets/kept | sha256sum\nstat -c '%a %n' /root/.secrets/*\n"
            'printf %s "$PLANTED_HOSTILE" | sha256sum\n'
        },
        artifacts=[{"label": "out", "remote_path": "/root/out", "required": False}],
    )

    planned, plan_text = bench.run("plan", "job.yaml", "-o", "plan.json")
    status, output = bench.run(
        "apply", "plan.json", "--cloud", "emulator", "--yes", "--allow-commands"
    )
    everything = plan_text + output + (bench.project / "plan.json").read_text()
    for path in bench.last_run().rglob("*"):
        if path.is_file():
            everything += path.read_bytes().decode("utf-8", "replace")

    assert (planned, status) == (0, 0), output
    for value in [
        "planted-plain",
        "planted-hostile",
        *("planted-file", "planted-command", "planted-runpod"),
        base64.b64encode(b"planted-command-secret").decode()[:28],
        "PLANTEDAPIKEY",
        "PRIVATE KEY",
    ]:
        assert value not in everything
    log = (bench.last_run() / "run.log").read_text()
    assert "600 /root/.secrets/env" in log
    assert "440 /root/.secrets/command" in log
    assert hashlib.sha256(b"planted-runpod-secret").hexdigest() in log
    assert "***" in log
    assert hashlib.sha256(SECRETS["PLANTED_HOSTILE"].encode()).hexdigest() in log
    assert not Path("/tmp/owned").exists()


def test_script_file_travels_verbatim(bench: Bench) -> None:
    """`run.script` is not a template unless asked for, and runs by its own first line."""
    text = "#!/usr/bin/env python3\nprint('{{ not_a_template }}')\n"
    bench.write("job.py", text)
    bench.write(
        "job.yaml",
        (
            "schema_version: 3\nname: script\npod:\n  image: runpod/base:0.7.0\n"
            "  gpu_order: [NVIDIA L4]\nrun:\n  script: job.py\n"
        ),
    )

    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")

    assert status == 0, output
    assert (bench.last_run() / "run.log").read_text() == "{{ not_a_template }}\n"


def test_log_larger_than_any_buffer_comes_whole(bench: Bench) -> None:
    """Forty thousand lines printed at once, and the last one without a newline, are all in run.log."""
    bench.job(run={"body": "seq 1 40000\nprintf last\n"})

    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")
    expected = "".join(f"{number}\n" for number in range(1, 40_001)) + "last"

    assert status == 0, output[-2000:]
    assert (bench.last_run() / "run.log").read_text() == expected


def test_remote_scripts_know_their_run(bench: Bench) -> None:
    """Late-bound values are exported, and the pod's own environment is there."""
    bench.job(
        pod={"env": {"FROM_POD": "pod value"}},
        run={
            "body": 'echo "$RUNPOD_DEPLOY_RUN_ID|$RUNPOD_DEPLOY_GPU_ID|$FROM_POD|$RUNPOD_POD_ID"\n'
        },
    )

    status, output = bench.run("run", "--cloud", "emulator", "job.yaml")
    manifest = bench.manifest()
    log = (bench.last_run() / "run.log").read_text().strip()

    assert status == 0, output
    assert log == f"{manifest['run_id']}|NVIDIA L4|pod value|{manifest['pod_id']}"
