"""Programs `date` and `sleep` for pods whose time runs fast, as the billing clock does."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from runpod_deploy.emulator.ports import PodClock

_DATE = """\
#!/bin/sh
# Time runs {speed:g} times as fast in this emulated pod.
case "$*" in *-d* | *-r* | *-s* | *-f*) exec {program} "$@" ;; esac
read -r up _ </proc/uptime
passed=$(({fast} * (${{up%.*}}${{up#*.}} - {began}) / 100000))
exec {program} -d "@$(({origin} + passed))" "$@"
"""

_SLEEP = """\
#!/bin/sh
# Time runs {speed:g} times as fast in this emulated pod.
milliseconds=0
for word in "$@"; do
  case "$word" in *[!0-9.smhd]* | '') exec {program} "$@" ;; esac
  number=${{word%[smhd]}}
  case "$word" in *m) unit=60 ;; *h) unit=3600 ;; *d) unit=86400 ;; *) unit=1 ;; esac
  case "$number" in *.*) part=${{number#*.}}000 ;; *) part=000 ;; esac
  part=1${{part%"${{part#???}}"}}
  whole=${{number%%.*}}
  milliseconds=$((milliseconds + (${{whole:-0}} * 1000 + part - 1000) * unit))
done
real=$((milliseconds * 1000 / {fast}))
exec {program} "$((real / 1000)).$(printf %03d "$((real % 1000))")"
"""


def shims(clock: PodClock) -> Mapping[str, str]:
    """Give the text of each program by its name; none where time runs as it does outside."""
    if clock.speed == 1:
        return {}
    uptime = Path("/proc/uptime").read_text("ascii").split()[0].replace(".", "")
    texts = {"date": _DATE, "sleep": _SLEEP}
    return {
        name: text.format(
            program=shutil.which(name) or name,
            speed=clock.speed,
            fast=round(clock.speed * 1000),
            origin=round(clock.now),
            began=int(uptime),
        )
        for name, text in texts.items()
    }
