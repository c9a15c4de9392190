"""The script of `far/` on a pod that has python3: one for each connection, kept while there is work."""

from __future__ import annotations

import base64
import zlib
from functools import cache
from importlib import resources

from runpod_deploy.errors import StepFailed
from runpod_deploy.executor.ports import Transport
from runpod_deploy.executor.sync.agent import Agent
from runpod_deploy.executor.sync.remote import call

_PACKAGE = "runpod_deploy.executor.sync.far"
_MODULES = ("talk", "digesting", "packing", "moving", "taking", "giving", "serve")

# The system's own python3 comes first: what PATH names may be a wrapper that takes its time.
# Exit status 97 says that this one will not do, and that nothing was read yet.
_START = r"""
for p in /usr/bin/python3 /usr/local/bin/python3 "$(command -v python3 2>/dev/null)"; do
  [ -x "$p" ] || continue
  "$p" -IS -c "$1" "$2"
  s=$?
  case $s in 97 | 126 | 127) ;; *) exit $s ;; esac
done
printf 'none 0\n'
"""
_BOOT = """
import sys
if sys.version_info < (3, 8):
    sys.exit(97)
try:
    import base64, hashlib, os, zlib
    hashlib.sha256, os.memfd_create, os.posix_spawn, os.sendfile, os.sched_getaffinity
except (ImportError, AttributeError):
    sys.exit(97)
package, *texts = zlib.decompress(base64.b64decode(sys.argv[1])).decode().split("\\0")
top = sys.modules[package] = type(sys)(package)
for name, text in zip(texts[::2], texts[1::2]):
    module = sys.modules[package + "." + name] = type(sys)(package + "." + name)
    setattr(top, name, module)
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(module.main())
"""


@cache
def command() -> str:
    """Return the command that starts the script, or says `none` where no python3 can run it."""
    folder = resources.files(_PACKAGE)
    texts = [(name, folder.joinpath(f"{name}.py").read_text("utf-8")) for name in _MODULES]
    joined = "\0".join((_PACKAGE, *(part for pair in texts for part in pair)))
    packed = base64.b64encode(zlib.compress(joined.encode(), 9)).decode("ascii")
    return call(_START, _BOOT, packed)


class Workers:
    """Starts such a script on connections and keeps it; one that ended is started anew."""

    def __init__(self) -> None:
        # By identity; the connection is held beside, so that no other gets its place.
        self._agents: dict[int, tuple[Transport, Agent | None]] = {}

    async def of(self, transport: Transport) -> Agent | None:
        """Return the script that runs over a connection; None where the pod has no python3.

        Raises:
            StepFailed: It could not be started.
            TransportError: The connection broke.
        """
        if id(transport) in self._agents:
            _, known = self._agents[id(transport)]
            if known is None or not known.ended:
                return known
        agent = Agent(transport, command(), "the talk about files")
        try:
            word, _ = await agent.expect()
        except StepFailed:
            # Whatever stands there instead of python3: the shell has to do.
            word = "none"
        except BaseException:
            await agent.abandon()
            raise
        if word == "ready":
            self._agents[id(transport)] = transport, agent
            return agent
        await agent.abandon()
        self._agents[id(transport)] = transport, None
        return None

    def dismiss(self, transport: Transport) -> None:
        """Let the script of a connection end by itself."""
        _, agent = self._agents.pop(id(transport), (transport, None))
        if agent is not None:
            agent.goodbye()

    def close(self) -> None:
        """Let all of them end by themselves."""
        for transport, _ in list(self._agents.values()):
            self.dismiss(transport)
