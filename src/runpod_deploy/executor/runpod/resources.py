"""What an account owns beside pods: network volumes, templates, registry credentials; one set of calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote

from runpod_deploy.errors import CloudError, EffectUnknown, NotFound
from runpod_deploy.executor.lost_answers import look_for
from runpod_deploy.executor.ports import Pod, Registry, Template, Volume
from runpod_deploy.executor.runpod.answers import (
    pod_from,
    registry_from,
    template_from,
    volume_from,
)
from runpod_deploy.executor.runpod.calls import Calls
from runpod_deploy.executor.runpod.problems import PODS


class Named(Protocol):
    """Anything the API knows by an id."""

    @property
    def id(self) -> str:
        """Its id, unique in the account."""

    @property
    def name(self) -> str:
        """Its name, which others may have too."""


T = TypeVar("T", bound=Named)

GONE_LOOKS_SEC = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind(Generic[T]):
    """A kind of thing, where it lies in the API, and how its JSON is read."""

    noun: str
    path: str
    envelope: str
    parse: Callable[[Any], T | None]


VOLUMES: Kind[Volume] = Kind(
    noun="network volume",
    path="/v2/network-volumes",
    envelope="networkVolumes",
    parse=volume_from,
)
TEMPLATES: Kind[Template] = Kind(
    noun="template", path="/v2/templates", envelope="templates", parse=template_from
)
REGISTRIES: Kind[Registry] = Kind(
    noun="registry credential", path="/v2/registries", envelope="registries", parse=registry_from
)
POD_SETTINGS: Kind[Pod] = Kind(noun="pod", path=PODS, envelope="pods", parse=pod_from)


class Resources:
    """Makes, reads, changes and removes; every method raises `CloudError` or `AccountError`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def all_of(self, kind: Kind[T]) -> list[T]:
        """Return all of a kind."""
        return await self._calls.rows(kind.path, kind.envelope, kind.parse)

    async def get(self, kind: Kind[T], id_: str) -> T | None:
        """Return one, None when the API says that it is not there."""
        try:
            answer = await self._calls.again("GET", _one(kind, id_))
        except NotFound:
            return None
        return _parsed(kind, answer, f"GET {_one(kind, id_)}")

    async def create(
        self, kind: Kind[T], body: Mapping[str, Any], *, secrets: tuple[str, ...] = ()
    ) -> T:
        """Make one, exactly one: after a lost answer it is looked for among those that are new.

        Args:
            kind: Not pods: those are made by `Cloud.create`.
            body: As the API wants it; holds `name`.
            secrets: Values of the body that no message may show.

        Raises:
            EffectUnknown: The answer was lost, and what was asked for cannot be found.
        """
        before = {row.id for row in await self.all_of(kind)}
        try:
            answer = await self._calls.api.send("POST", kind.path, json=body, secrets=secrets)
            return _parsed(kind, answer, f"POST {kind.path}")
        except EffectUnknown as error:
            lost = error

        async def ours() -> list[T]:
            rows = await self.all_of(kind)
            return [row for row in rows if row.id not in before and row.name == body["name"]]

        found = await look_for(ours, self._calls.clock)
        if not found:
            raise lost
        for extra in found[1:]:
            await self.remove(kind, extra.id)
        return found[0]

    async def change(
        self, kind: Kind[T], id_: str, body: Mapping[str, Any], *, secrets: tuple[str, ...] = ()
    ) -> T:
        """Change what `body` names, and nothing else.

        Raises:
            NotFound: There is no such thing any more.
        """
        answer = await self._calls.again("PATCH", _one(kind, id_), json=body, secrets=secrets)
        return _parsed(kind, answer, f"PATCH {_one(kind, id_)}")

    async def remove(self, kind: Kind[T], id_: str) -> None:
        """Remove one and ask until the API no longer knows it.

        Raises:
            Conflict: Something still uses it.
            CloudError: It is still there.
        """
        try:
            await self._calls.again("DELETE", _one(kind, id_))
        except NotFound:
            return
        for pause in GONE_LOOKS_SEC:
            await self._calls.clock.sleep(pause)
            if await self.get(kind, id_) is None:
                return
        raise CloudError(f"DELETE {_one(kind, id_)} succeeded, and the {kind.noun} is still there")


def _one(kind: Kind[T], id_: str) -> str:
    return f"{kind.path}/{quote(id_, safe='')}"


def _parsed(kind: Kind[T], answer: Any, where: str) -> T:
    row = kind.parse(answer)
    if row is None:
        msg = f"{where} succeeded without describing the {kind.noun}"
        raise (CloudError if where.startswith("GET") else EffectUnknown)(msg)
    return row
