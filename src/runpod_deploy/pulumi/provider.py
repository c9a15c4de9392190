"""What every dynamic provider here shares: Pulumi's calls on this side, the account on the other.

A provider travels by reference to its class and carries nothing: what Pulumi pickles goes into the
state, so no key, client or setting may hang on it. Renaming this package would orphan every stack.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import contains_unknowns

from runpod_deploy.errors import RunpodDeployError
from runpod_deploy.executor.run import Target
from runpod_deploy.executor.runpod.cloud import RunPodCloud
from runpod_deploy.pulumi.account import NAMESPACE, Settings, on_account, target_of
from runpod_deploy.pulumi.fields import Field, checked

T = TypeVar("T")
Props = Mapping[str, Any]


class Failed(Exception):
    """A call of Pulumi could not be carried out; the message is all that its user needs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """A resource as it is now.

    Attributes:
        outs: All that the stack's state keeps.
    """

    id: str
    outs: dict[str, Any]


class Provider(ResourceProvider):
    """Pulumi's calls, turned into the four that a kind of resource implements.

    Attributes:
        fields: Its inputs.
        delete_first: Whether the old one must be gone before the new one is made.
    """

    serialize_as_secret_always = False
    fields: ClassVar[tuple[Field, ...]] = ()
    delete_first: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self._settings = Settings()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, _state: dict[str, Any]) -> None:
        self._settings = Settings()

    async def made(self, cloud: RunPodCloud, props: Props) -> Seen:
        """Make it."""
        raise NotImplementedError

    async def found(self, cloud: RunPodCloud, id_: str, props: Props) -> Seen | None:
        """Look at it; None when it is gone."""
        raise NotImplementedError

    async def changed(self, cloud: RunPodCloud, id_: str, olds: Props, news: Props) -> Seen:
        """Change what differs; needed where a field does not replace."""
        raise NotImplementedError

    async def removed(self, cloud: RunPodCloud, id_: str, props: Props) -> None:
        """Remove it; returns once it is confirmed gone."""
        raise NotImplementedError

    def rules(self, _inputs: Props) -> list[CheckFailure]:
        """Return what is wrong with inputs that are each right by themselves, all of them known."""
        return []

    def replaces(self, field: Field, _olds: Props, _news: Props) -> bool:
        """Tell whether a change of `field` needs another resource."""
        return field.replaces

    def refused(self, _olds: Props, _news: Props) -> str | None:
        """Return why a change must not happen at all, None when it may."""
        return None

    def configure(self, req: ConfigureRequest) -> None:
        """Take the account from the stack's config."""
        self._settings = Settings(
            api_key=req.config.get(f"{NAMESPACE}:apiKey") or None,
            api_url=req.config.get(f"{NAMESPACE}:apiUrl") or None,
        )

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Hold inputs against what can be, before anything is made."""
        inputs, failures = checked(self.fields, news)
        if not failures and not any(map(contains_unknowns, inputs.values())):
            failures = self.rules(inputs)
        return CheckResult(inputs, failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        """Compare state and inputs; a value that is not known yet is a change, never a replacement."""
        changes, replaces = False, []
        for field in self.fields:
            new = _news.get(field.name)
            unknown = contains_unknowns(new)
            same = not unknown and field.settled(_olds.get(field.name)) == field.settled(new)
            if same or field.silent:
                continue
            changes = True
            if not unknown and self.replaces(field, _olds, _news):
                replaces.append(field.name)
        if changes and not any(map(contains_unknowns, _news.values())):
            problem = self.refused(_olds, _news)
            if problem is not None:
                raise Failed(problem)
        return DiffResult(changes, replaces, delete_before_replace=self.delete_first)

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make it."""
        seen = self._on_account(lambda cloud: self.made(cloud, props))
        return CreateResult(seen.id, seen.outs)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Look at it; what was changed elsewhere shows as a difference to the program."""
        seen = self._on_account(lambda cloud: self.found(cloud, id_, props))
        if seen is None:
            return ReadResult(None, {})  # the SDK fails on None for the outputs
        inputs = {field.name: seen.outs.get(field.name) for field in self.fields}
        return ReadResult(seen.id, seen.outs, inputs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        """Change it."""
        return UpdateResult(
            self._on_account(lambda cloud: self.changed(cloud, _id, _olds, _news)).outs
        )

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Remove it."""
        self._on_account(lambda cloud: self.removed(cloud, _id, _props))

    def target(self) -> Target:
        """Return the cloud and its key."""
        return target_of(self._settings, os.environ)

    def _on_account(self, work: Callable[[RunPodCloud], Any]) -> Any:
        return told(lambda: on_account(self.target(), work))


def told(work: Callable[[], T]) -> T:
    """Run `work`; an error of ours ends in its own words, without where in our code it arose.

    Raises:
        Failed: It went wrong.
    """
    try:
        return work()
    except RunpodDeployError as error:
        raise Failed("\n".join(filter(None, (error.message, error.help)))) from None
