"""What every resource class here shares: its type's name, typed outputs, whose it is."""

from __future__ import annotations

from typing import Any, TypeVar, cast

import pulumi
from pulumi.dynamic import Resource

T = TypeVar("T")


class RunPodResource(Resource):
    """A resource of the type `pulumi-python:dynamic/runpod_deploy:KIND`, which states are kept under."""

    def __init_subclass__(cls, kind: str, **kwargs: Any) -> None:
        super().__init_subclass__(module="runpod_deploy", name=kind, **kwargs)


def output(resource: pulumi.Resource, name: str, _kind: type[T]) -> pulumi.Output[T]:
    """Return an output of a resource, typed."""
    return cast("pulumi.Output[T]", pulumi.get(resource, name))


def identity(resource_name: str, opts: pulumi.ResourceOptions | None) -> pulumi.Input[str]:
    """Return what no other resource of any stack is called, and this one is called each time."""
    organization = pulumi.get_organization()
    parent = opts.parent if opts else None
    if parent is None:
        return f"{organization}/{pulumi.get_project()}/{pulumi.get_stack()}::{resource_name}"

    async def below() -> str:
        # As an output this would depend on the parent, and the parent waits for its children.
        return f"{organization}/{await parent.urn.future()}::{resource_name}"

    return pulumi.Output.from_input(below())
