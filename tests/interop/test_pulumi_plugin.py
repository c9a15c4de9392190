"""Pulumi's plugin process, started as its command line does, against an emulated cloud."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pulumi")

from emulator_harness import KEY, RunningCloud, running_cloud
from runpod_deploy.executor.ownership import META, judge, look_at
from runpod_deploy.executor.ports import Pod
from runpod_deploy.executor.runpod.answers import pod_from
from runpod_deploy.pulumi.network_volume import NetworkVolumeProvider
from runpod_deploy.pulumi.pod_provider import PodProvider
from runpod_deploy.pulumi.registry_auth import RegistryAuthProvider
from runpod_deploy.pulumi.template import TemplateProvider
from support.pulumi_plugin import UNKNOWN, Plugin, PluginError, plugin

pytestmark = pytest.mark.interop

VOLUME = {"volume_name": "data", "size_gb": 20, "datacenter": "EU-RO-1"}
POD = {
    "identity": "organization/project/dev::box",
    "pod_name": "box",
    "image": "runpod/base:0.7.0-ubuntu2204",
    "gpu_order": ["NVIDIA L4"],
    "env": {"TOKEN": "env-secret-value"},
    "public_key": "ssh-ed25519 AAAAC3Nza test",
}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RunningCloud]:
    """An emulated account."""
    with running_cloud(tmp_path / "cloud") as running:
        yield running


@pytest.fixture
def started(cloud: RunningCloud, tmp_path: Path) -> Iterator[Plugin]:
    """A plugin with the account's key in its stack's config."""
    with plugin(tmp_path, RUNPOD_API_URL=cloud.url) as process:
        process.configure(**{"runpod:apiKey": KEY})
        yield process


def volumes(cloud: RunningCloud) -> list[dict[str, Any]]:
    """Return the account's network volumes."""
    rows: list[dict[str, Any]] = cloud.http.get("/v2/network-volumes").json()["networkVolumes"]
    return rows


def pods(cloud: RunningCloud) -> list[dict[str, Any]]:
    """Return the account's pods."""
    rows: list[dict[str, Any]] = cloud.http.get("/v2/pods").json()["pods"]
    return rows


def test_a_network_volume_goes_through_its_life(cloud: RunningCloud, started: Plugin) -> None:
    """Made, found unchanged, grown, looked at, removed."""
    volume = started.of(NetworkVolumeProvider())
    inputs = volume.checked(VOLUME)
    id_ = volume.create(inputs)
    assert [id_] == [row["id"] for row in volumes(cloud)]
    assert id_ == volume.kept["volume_id"]
    assert ("none", []) == volume.diff(id_, inputs)
    larger = volume.checked({**VOLUME, "size_gb": 30, "volume_name": "more"})
    assert ("update", []) == volume.diff(id_, larger)
    assert 30 == volume.update(id_, larger)["size"]
    assert [("more", 30)] == [(row["name"], row["size"]) for row in volumes(cloud)]
    assert ("none", []) == volume.diff(id_, larger)
    read_id, state, read_inputs = volume.read(id_)
    assert (id_, 30, "more") == (read_id, state["size"], read_inputs["volume_name"])
    volume.delete(id_)
    assert [] == volumes(cloud)
    assert "" == volume.read(id_)[0]


def test_a_volume_that_was_changed_elsewhere_shows_as_a_difference(
    cloud: RunningCloud, started: Plugin
) -> None:
    """After a refresh the program's size differs from the real one, and an update would follow."""
    volume = started.of(NetworkVolumeProvider())
    inputs = volume.checked(VOLUME)
    id_ = volume.create(inputs)
    cloud.http.patch(f"/v2/network-volumes/{id_}", json={"name": "renamed"}).raise_for_status()
    _, volume.kept, _ = volume.read(id_)
    assert ("update", []) == volume.diff(id_, inputs)
    volume.update(id_, inputs)
    assert ["data"] == [row["name"] for row in volumes(cloud)]


def test_a_volume_never_shrinks_and_moves_only_by_replacement(started: Plugin) -> None:
    """A smaller size is an error, another data center needs another volume."""
    volume = started.of(NetworkVolumeProvider())
    id_ = volume.create(volume.checked(VOLUME))
    with pytest.raises(PluginError, match="cannot shrink to 10 GB"):
        volume.diff(id_, volume.checked({**VOLUME, "size_gb": 10}))
    moved = volume.checked({**VOLUME, "datacenter": "EU-CZ-1"})
    assert ("replace", ["datacenter"]) == volume.diff(id_, moved)
    assert ("update", []) == volume.diff(id_, volume.checked({**VOLUME, "type": "STANDARD"}))
    with pytest.raises(PluginError, match="pulumi state delete"):
        volume.diff(id_, volume.checked({"existing": id_}))


def test_a_volume_of_that_name_is_not_taken_over(cloud: RunningCloud, started: Plugin) -> None:
    """Its data may be somebody else's: the message says how to use it, and that never deletes it."""
    volume = started.of(NetworkVolumeProvider())
    id_ = volume.create(volume.checked(VOLUME))
    with pytest.raises(PluginError, match=f"existing='{id_}'") as caught:
        started.of(NetworkVolumeProvider()).create(volume.checked(VOLUME))
    assert "executor/" not in str(caught.value)
    other = started.of(NetworkVolumeProvider())
    assert id_ == other.create(other.checked({"existing": id_}))
    assert (20, "EU-RO-1") == (other.kept["size"], other.kept["location"])
    other.delete(id_)
    assert [id_] == [row["id"] for row in volumes(cloud)]


def test_a_template_goes_through_its_life(cloud: RunningCloud, started: Plugin) -> None:
    """Made with plain defaults, changed in place, read back, replaced only to lose its disk."""
    template = started.of(TemplateProvider())
    wanted = {"template_name": "base", "image": "runpod/base:0.7.0", "env": {"A": "env-value"}}
    inputs = template.checked(wanted)
    id_ = template.create(inputs)
    [row] = cloud.http.get("/v2/templates").json()["templates"]
    assert (id_, "base", ["22/tcp"], 50, False, {}) == tuple(
        row[name] for name in ("id", "name", "ports", "disk", "startJupyter", "mounts")
    )
    assert ("none", []) == template.diff(id_, inputs)
    other = {**wanted, "image": "runpod/base:0.8.0", "persistent_gb": 20, "mount": "/workspace"}
    changed = template.checked({**other, "env": {}, "args": "sleep 1"})
    assert ("update", []) == template.diff(id_, changed)
    template.update(id_, changed)
    row = cloud.http.get(f"/v2/templates/{id_}").json()
    assert ("runpod/base:0.8.0", {}, "sleep 1", {"size": 20, "path": "/workspace"}) == (
        row["image"],
        row["env"],
        row["args"],
        row["mounts"]["persistent"],
    )
    assert ("none", []) == template.diff(id_, changed)
    without = template.checked({**wanted, "image": "runpod/base:0.8.0"})
    kind, why = template.diff(id_, without)
    assert ("replace", {"persistent_gb", "mount"}) == (kind, set(why))
    cloud.http.patch(f"/v2/templates/{id_}", json={"disk": 70}).raise_for_status()
    _, template.kept, read_inputs = template.read(id_)
    assert 70 == read_inputs["container_disk_gb"]
    assert ("update", []) == template.diff(id_, changed)
    template.delete(id_)
    assert "" == template.read(id_)[0]
    assert {"mount"} == set(template.check({**wanted, "persistent_gb": 20})[1])


def test_a_registry_login_goes_through_its_life(cloud: RunningCloud, started: Plugin) -> None:
    """Every change replaces it; RunPod refuses to remove it while it is used, and says so."""
    login = started.of(RegistryAuthProvider())
    wanted = {"registry_name": "hub", "username": "me", "password": "hunter2222"}
    inputs = login.checked(wanted)
    id_ = login.create(inputs)
    assert [{"id": id_, "name": "hub"}] == cloud.http.get("/v2/registries").json()["registries"]
    assert ("none", []) == login.diff(id_, inputs)
    other = login.checked({**wanted, "password": "hunter3333"})
    assert ("replace", ["password"]) == login.diff(id_, other)
    assert (id_, "hunter2222") == (login.read(id_)[0], login.read(id_)[1]["password"])
    template = started.of(TemplateProvider())
    user = template.create(
        template.checked({"template_name": "t", "image": "a/b:1", "registry_auth": id_})
    )
    with pytest.raises(PluginError, match="in use") as caught:
        login.delete(id_)
    assert "hunter2222" not in str(caught.value)
    template.delete(user)
    login.delete(id_)
    assert "" == login.read(id_)[0]
    assert {"password": "is needed"} == login.check({"registry_name": "a", "username": "b"})[1]


def test_inputs_that_cannot_be_are_told_by_name(started: Plugin) -> None:
    """All of them at once, and nothing is asked of the cloud for it."""
    volume = started.of(NetworkVolumeProvider())
    _, failures = volume.check({"volume_name": "", "size_gb": 5, "datacenter": 3, "type": "FAST"})
    assert {
        "volume_name": "must be a text that is not empty",
        "size_gb": "must be from 10 to 4096",
        "datacenter": "must be a text that is not empty",
        "type": "must be one of STANDARD, HIGH_PERFORMANCE",
    } == failures
    assert {"size_gb", "datacenter"} == set(volume.check({"volume_name": "data"})[1])
    _, failures = volume.check({"existing": "vol1", "size_gb": 10})
    assert {"size_gb": "goes with a new volume, not with `existing`"} == failures


def test_values_that_are_not_known_yet_are_let_through(started: Plugin) -> None:
    """In a preview they are a change, and never a reason to replace."""
    volume = started.of(NetworkVolumeProvider())
    id_ = volume.create(volume.checked(VOLUME))
    inputs, failures = volume.check({**VOLUME, "datacenter": UNKNOWN})
    assert ({}, UNKNOWN) == (failures, inputs["datacenter"])
    assert ("update", []) == volume.diff(id_, {**inputs, "datacenter": UNKNOWN})


def test_a_pod_goes_through_its_life(cloud: RunningCloud, started: Plugin) -> None:
    """Made ready, unchanged, changed in place, gone when it was deleted elsewhere, removed."""
    pod = started.of(PodProvider())
    inputs = pod.checked(POD)
    id_ = pod.create(inputs)
    [row] = pods(cloud)
    assert (id_, "box-") == (row["id"], row["name"][:4])
    assert ("NVIDIA L4", "SECURE", 40_001) == tuple(
        pod.kept[name] for name in ("gpu", "cloud", "ssh_port")
    )
    assert "env-secret-value" == row["env"]["TOKEN"]
    assert ("none", []) == pod.diff(id_, inputs)
    other = pod.checked({**POD, "env": {"TOKEN": "another-value"}, "image": "runpod/base:0.8.0"})
    assert ("update", []) == pod.diff(id_, other)
    pod.update(id_, other)
    [row] = pods(cloud)
    assert (id_, "runpod/base:0.8.0", "another-value") == (
        row["id"],
        row["image"],
        row["env"]["TOKEN"],
    )
    assert POD["public_key"] == row["env"]["PUBLIC_KEY"]
    assert ("none", []) == pod.diff(id_, other)
    assert id_ == pod.read(id_)[0]
    pod.delete(id_)
    assert [] == pods(cloud)
    assert "" == pod.read(id_)[0]
    pod.delete(id_)


def test_a_pod_says_whose_it_is_and_how_long_it_may_stay(
    cloud: RunningCloud, started: Plugin
) -> None:
    """`reap` of its owner leaves it alone, or ends it once its hours are over; a change keeps that."""
    pod = started.of(PodProvider())
    id_ = pod.create(pod.checked(POD))
    [row] = pods(cloud)
    meta = json.loads(row["env"][META])
    owned = look_at(found(row), meta["owner"])
    assert (True, "unknown") == (owned.ours, judge(owned, meta["made"] + 1e9)[0])
    pod.update(id_, pod.checked({**POD, "max_hours": 2, "env": {}}))
    [row] = pods(cloud)
    owned = look_at(found(row), meta["owner"])
    assert ("wanted", "over") == tuple(
        judge(owned, meta["made"] + hours * 3600)[0] for hours in (1.9, 2.1)
    )


def found(row: dict[str, Any]) -> Pod:
    """Return a pod as the client reads it."""
    pod = pod_from(row)
    assert pod is not None
    return pod


def test_a_pod_moves_only_when_it_may_not_stay(started: Plugin) -> None:
    """More places to choose from replace nothing; a place it is not in does."""
    pod = started.of(PodProvider())
    id_ = pod.create(pod.checked(POD))
    wider = {**POD, "gpu_order": ["NVIDIA H200", "NVIDIA L4"], "cloud_type": "ANY"}
    assert ("update", []) == pod.diff(id_, pod.checked(wider))
    other = {**POD, "gpu_order": ["NVIDIA H200"], "gpu_count": 2, "cloud_type": "COMMUNITY"}
    kind, why = pod.diff(id_, pod.checked(other))
    assert ("replace", {"gpu_order", "gpu_count", "cloud_type"}) == (kind, set(why))
    assert ("none", []) == pod.diff(id_, pod.checked({**POD, "max_price_per_hour_usd": 9}))


def test_a_pod_takes_the_first_place_that_has_it(tmp_path: Path) -> None:
    """Refusals go on to the next; when all refuse, each is told and nothing is left."""
    faults = ("stock-out:gpu=NVIDIA H200",)
    with (
        running_cloud(tmp_path / "cloud", faults=faults) as cloud,
        plugin(tmp_path, RUNPOD_API_URL=cloud.url, RUNPOD_API_KEY=KEY) as process,
    ):
        pod = process.of(PodProvider())
        pod.create(pod.checked({**POD, "gpu_order": ["NVIDIA H200", "NVIDIA L4"]}))
        assert "NVIDIA L4" == pod.kept["gpu"]
        other = process.of(PodProvider())
        wanted = {**POD, "identity": "other", "gpu_order": ["NVIDIA H200"]}
        with pytest.raises(PluginError, match=r"NVIDIA H200 · any datacenter · SECURE: POST"):
            other.create(other.checked(wanted))
        dear = {**POD, "identity": "dear", "max_price_per_hour_usd": 0.01}
        with pytest.raises(PluginError, match=r"\$0\.01/h is the most allowed"):
            other.create(other.checked(dear))
        assert 1 == len(pods(cloud))


def test_a_pod_that_never_gets_ready_is_given_back(tmp_path: Path) -> None:
    """It is confirmed gone before the error is told."""
    with (
        running_cloud(tmp_path / "cloud", faults=("never-ready",)) as cloud,
        plugin(tmp_path, RUNPOD_API_URL=cloud.url, RUNPOD_API_KEY=KEY) as process,
    ):
        pod = process.of(PodProvider())
        with pytest.raises(PluginError, match="no SSH port within"):
            pod.create(pod.checked({**POD, "ready_minutes": 0.02}))
        assert [] == pods(cloud)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something to become so."""
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to it")


@pytest.mark.parametrize("end", ["cancel", "SIGTERM", "SIGKILL"])
def test_a_plugin_that_ends_in_the_middle_leaks_no_pod(tmp_path: Path, end: str) -> None:
    """The pod is there and in no state; the next `up` finds it by its name and takes it up."""
    with running_cloud(tmp_path / "cloud", faults=("never-ready:times=1",)) as cloud:
        environ = {"RUNPOD_API_URL": cloud.url, "RUNPOD_API_KEY": KEY}
        with plugin(tmp_path, **environ) as process:
            pod = process.of(PodProvider())
            inputs = pod.checked(POD)
            call = pod.later(inputs)
            wait_until(lambda: len(pods(cloud)) == 1)
            if end == "cancel":
                process.cancel()
            process.process.send_signal(signal.SIGTERM if end == "SIGTERM" else signal.SIGKILL)
            process.process.wait()
            assert call.code() is not None
        [left] = pods(cloud)
        with plugin(tmp_path, **environ) as process:
            pod = process.of(PodProvider())
            changed = pod.checked({**POD, "env": {"TOKEN": "changed-meanwhile"}})
            id_ = pod.create(changed)
            assert [id_] == [row["id"] for row in pods(cloud)]
            assert id_ != left["id"]  # another environment: the one that was left does not fit
            again = process.of(PodProvider())
            assert id_ == again.create(changed)
            again.delete(id_)
        assert [] == pods(cloud)


def test_an_answer_that_was_lost_makes_no_second_pod(tmp_path: Path) -> None:
    """The pod behind a failed answer is found by its name."""
    with (
        running_cloud(tmp_path / "cloud", faults=("create-5xx-after",)) as cloud,
        plugin(tmp_path, RUNPOD_API_URL=cloud.url, RUNPOD_API_KEY=KEY) as process,
    ):
        pod = process.of(PodProvider())
        id_ = pod.create(pod.checked(POD))
        assert [id_] == [row["id"] for row in pods(cloud)]


def test_no_secret_is_in_what_pulumi_keeps_or_shows(started: Plugin) -> None:
    """The provider travels as a name; errors hold neither the key nor the environment's values."""
    pod = started.of(PodProvider())
    pickled = base64.b64decode(pod.provider)
    assert len(pickled) < 120
    assert b"runpod_deploy.pulumi.pod_provider" in pickled
    with pytest.raises(PluginError) as caught:
        pod.create(pod.checked({**POD, "image": "env-secret-value:no such:image"}))
    assert "env-secret-value" not in str(caught.value)
    started.configure(**{"runpod:apiKey": "rpa_wrong_key"})
    with pytest.raises(PluginError) as caught:
        started.of(NetworkVolumeProvider()).read("abc")
    assert "rpa_wrong_key" not in str(caught.value)
