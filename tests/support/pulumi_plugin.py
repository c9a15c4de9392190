"""Pulumi's own plugin process for dynamic resources, started and called as its engine does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime import proto
from pulumi.runtime.proto import provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR")


def struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return values as they travel: numbers as floats, none at all for None."""
    message = struct_pb2.Struct()
    message.update({key: value for key, value in values.items() if value is not None})
    return message


def plain(message: struct_pb2.Struct) -> dict[str, Any]:
    """Return what travelled, without the provider."""
    values: dict[str, Any] = json_format.MessageToDict(message)
    values.pop("__provider", None)
    return values


class PluginError(Exception):
    """The plugin answered with an error; the text is what Pulumi shows."""


@dataclass
class Plugin:
    """A plugin process and one kind of resource in it.

    Attributes:
        kept: The state of the resource, as an engine would keep it.
    """

    process: subprocess.Popen[bytes]
    stub: Any
    provider: str = ""
    kept: dict[str, Any] = field(default_factory=dict)

    def of(self, provider: Any) -> Plugin:
        """Return the same plugin for another kind of resource."""
        return Plugin(self.process, self.stub, serialize_provider(provider))

    def configure(self, **config: str) -> None:
        """Hand over the stack's config."""
        self._call("Configure", proto.ConfigureRequest(args=struct(config)))

    def check(
        self, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return the inputs as they came back, and failures by property."""
        request = proto.CheckRequest(olds=self._props(olds or {}), news=self._props(news))
        answer = self._call("Check", request)
        return plain(answer.inputs), {item.property: item.reason for item in answer.failures}

    def checked(self, news: Mapping[str, Any]) -> dict[str, Any]:
        """Return inputs that must be right."""
        inputs, failures = self.check(news)
        assert {} == failures
        return inputs

    def diff(self, id_: str, news: Mapping[str, Any]) -> tuple[str, list[str]]:
        """Return `none`, `update` or `replace`, and which properties need a replacement."""
        request = proto.DiffRequest(id=id_, olds=self._props(self.kept), news=self._props(news))
        answer = self._call("Diff", request)
        if answer.replaces:
            return "replace", list(answer.replaces)
        return ("update" if answer.changes == proto.DiffResponse.DIFF_SOME else "none"), []

    def create(self, inputs: Mapping[str, Any], *, timeout: float = 60) -> str:
        """Make it; returns its id and keeps its state."""
        answer = self._call("Create", proto.CreateRequest(properties=self._props(inputs)), timeout)
        self.kept = plain(answer.properties)
        return str(answer.id)

    def read(self, id_: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return id, state and inputs as they are now; the id is empty when it is gone."""
        answer = self._call("Read", proto.ReadRequest(id=id_, properties=self._props(self.kept)))
        return str(answer.id), plain(answer.properties), plain(answer.inputs)

    def update(self, id_: str, news: Mapping[str, Any]) -> dict[str, Any]:
        """Change it; returns and keeps its state."""
        request = proto.UpdateRequest(id=id_, olds=self._props(self.kept), news=self._props(news))
        self.kept = plain(self._call("Update", request).properties)
        return self.kept

    def delete(self, id_: str) -> None:
        """Remove it."""
        self._call("Delete", proto.DeleteRequest(id=id_, properties=self._props(self.kept)))

    def cancel(self) -> None:
        """Ask for the end of what is under way, as the engine does on Ctrl-C."""
        self._call("Cancel", empty_pb2.Empty())

    def later(self, inputs: Mapping[str, Any]) -> Any:
        """Begin to make it; the answer is asked for elsewhere, or never."""
        request = proto.CreateRequest(properties=self._props(inputs))
        return self.stub.Create.future(request, timeout=120)

    def _props(self, values: Mapping[str, Any]) -> struct_pb2.Struct:
        return struct({**values, "__provider": self.provider})

    def _call(self, method: str, request: Any, timeout: float = 60) -> Any:
        try:
            return getattr(self.stub, method)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise PluginError(error.details()) from None


@contextmanager
def plugin(folder: Path, **environ: str) -> Iterator[Plugin]:
    """Start the plugin in `folder` for as long as the block runs."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pulumi.dynamic", "127.0.0.1:1"],
        cwd=folder,
        env={**kept, "HOME": str(folder), "PULUMI_PROJECT": "project", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Plugin(process, provider_pb2_grpc.ResourceProviderStub(channel))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
