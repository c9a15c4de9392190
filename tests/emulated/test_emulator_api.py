"""The emulated API over real HTTP; pods are faked, so that only the API is tested."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator_harness import GPU, RunningCloud, pod_body, running_cloud
from runpod_deploy.emulator.options import RateLimits
from runpod_deploy.emulator.problems import HOST_FULL, NO_BALANCE, NO_CAPACITY

pytestmark = pytest.mark.emulated


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningCloud]:
    """A cloud with default settings."""
    with running_cloud(tmp_path) as running:
        yield running


def fault(served: RunningCloud, *texts: str) -> None:
    """Put faults in force at runtime."""
    answer = served.http.post("/_emulator/faults", json={"faults": list(texts)})
    assert 201 == answer.status_code, answer.text


def act(served: RunningCloud, pod_id: str, action: str) -> httpx.Response:
    """Ask for a state transition."""
    return served.http.post(f"/v2/pods/{pod_id}/action", json={"action": action})


class TestGate:
    """What every request meets first."""

    def test_missing_key(self, served: RunningCloud) -> None:
        """Without a key the answer is a 401 problem."""
        answer = httpx.get(f"{served.url}/v2/pods")
        assert (401, "missing bearer token") == (answer.status_code, answer.json()["detail"])
        assert "application/problem+json" == answer.headers["content-type"]

    def test_wrong_key(self, served: RunningCloud) -> None:
        """Another key is refused, for the admin API too."""
        for path in ("/v2/pods", "/_emulator/status"):
            answer = served.http.get(path, headers={"Authorization": "Bearer rpa_OTHER"})
            assert 401 == answer.status_code

    def test_urllib_agent(self, served: RunningCloud) -> None:
        """Python's own agent meets the error page of RunPod's front door."""
        answer = served.http.get("/v2/pods", headers={"User-Agent": "Python-urllib/3.11"})
        assert 403 == answer.status_code
        assert "error code: 1010" in answer.text

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "127.0.0.1.evil"])
    def test_foreign_host(self, served: RunningCloud, host: str) -> None:
        """A name that is not loopback is refused: no web page can reach the emulator."""
        assert 403 == served.http.get("/v2/pods", headers={"Host": host}).status_code

    @pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:9", "127.8.8.8"])
    def test_loopback_host(self, served: RunningCloud, host: str) -> None:
        """Every loopback name is fine."""
        assert 200 == served.http.get("/v2/pods", headers={"Host": host}).status_code

    def test_headers(self, served: RunningCloud) -> None:
        """Answers carry a request id and count down what is left."""
        first, second = (served.http.get("/v2/pods").headers for _ in range(2))
        assert first["x-request-id"] != second["x-request-id"]
        assert '"minute";r=5999;' in first["ratelimit"]
        assert '"minute";r=5998;' in second["ratelimit"]
        assert '"minute";q=6000;w=60' in first["ratelimit-policy"]

    def test_rate_limit(self, tmp_path: Path) -> None:
        """Beyond the quota the answer is 429 and says how long to wait."""
        with running_cloud(tmp_path, rate_limits=RateLimits(minute=2)) as served:
            statuses = [served.http.get("/v2/pods").status_code for _ in range(3)]
            assert [200, 200, 429] == statuses
            answer = served.http.get("/v2/pods")
            assert "rate limit exceeded for the minute window" == answer.json()["detail"]
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            assert '"minute";r=0;' in answer.headers["ratelimit"]
            assert 200 == served.http.get("/_emulator/status").status_code

    def test_large_body(self, served: RunningCloud) -> None:
        """A body above the limit answers 413."""
        answer = served.http.post("/v2/pods", json=pod_body(args="x" * 110_000))
        assert 413 == answer.status_code

    def test_no_json(self, served: RunningCloud) -> None:
        """A body that is no JSON answers 400."""
        assert 400 == served.http.post("/v2/pods", content=b"{").status_code

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v2/endpoints", 501),
            ("GET", "/v2/openapi.json", 501),
            ("POST", "/v2/serverless", 501),
            ("GET", "/v2/pods/a/b/c", 501),
            ("GET", "/graphql", 404),
            ("GET", "/_emulator/nothing", 404),
            ("PUT", "/v2/pods", 405),
            ("HEAD", "/v2/pods", 405),
        ],
    )
    def test_unknown(self, served: RunningCloud, method: str, path: str, status: int) -> None:
        """What is not emulated says so; a wrong method names the right ones."""
        answer = served.http.request(method, path)
        assert status == answer.status_code
        if status == 501:
            assert path in answer.json()["detail"]
        if status == 405:
            assert "GET, POST" == answer.headers["allow"]


class TestLife:
    """Create, poll, stop, start, restart, delete."""

    def test_live_profile(self, served: RunningCloud) -> None:
        """RUNNING at once; runtime and ssh.direct come after a poll."""
        pod = served.create()
        assert ("RUNNING", None, None) == (pod["status"], pod["runtime"], pod["ssh"]["direct"])
        first = served.http.get(f"/v2/pods/{pod['id']}").json()
        assert ("RUNNING", None, None) == (
            first["status"],
            first["runtime"],
            first["ssh"]["direct"],
        )
        ready = served.ready(pod["id"])
        assert {"host": "127.0.0.1", "port": 40001, "username": "root"} == {
            key: ready["ssh"]["direct"][key] for key in ("host", "port", "username")
        }
        rows = {row["ip"]: row["public"] for row in ready["runtime"]["ports"]}
        assert 40001 == rows["127.0.0.1"]
        assert any(ip.startswith("100.65.") for ip in rows)

    def test_spec_profile(self, tmp_path: Path) -> None:
        """PROVISIONING, STARTING, RUNNING; free when EXITED."""
        with running_cloud(tmp_path, profile="spec") as served:
            pod = served.create()
            assert ("PROVISIONING", ["stop", "terminate"]) == (pod["status"], pod["actions"])
            first = served.http.get(f"/v2/pods/{pod['id']}").json()
            assert "STARTING" == first["status"]
            assert "RUNNING" == served.ready(pod["id"])["status"]
            stopped = act(served, pod["id"], "stop").json()
            assert ("EXITED", 0.0) == (stopped["status"], stopped["cost"])

    def test_stop_and_start(self, served: RunningCloud) -> None:
        """A stopped pod keeps its price on show and comes back on another port."""
        pod = served.create()
        before = served.ready(pod["id"])
        stopped = act(served, pod["id"], "stop").json()
        assert "EXITED" == stopped["status"]
        assert (["start", "terminate"], None) == (stopped["actions"], stopped["runtime"])
        assert pod["cost"] == stopped["cost"] > 0
        started = act(served, pod["id"], "start").json()
        assert ("RUNNING", None) == (started["status"], started["ssh"]["direct"])
        after = served.ready(pod["id"])
        assert before["ssh"]["direct"]["port"] != after["ssh"]["direct"]["port"]

    def test_restart(self, served: RunningCloud) -> None:
        """A restart gives a new container on the same workspace."""
        mounts = {"persistent": {"size": 10, "path": "/data"}}
        pod = served.create(mounts=mounts)
        served.ready(pod["id"])
        assert 200 == act(served, pod["id"], "restart").status_code
        served.ready(pod["id"])
        old, new = served.host.specs
        assert (old.workspace, "/data") == (new.workspace, new.mount_path)

    @pytest.mark.parametrize(
        ("state", "action", "status"),
        [
            ("running", "start", 409),
            ("running", "restart", 200),
            ("exited", "stop", 409),
            ("exited", "restart", 409),
            ("exited", "start", 200),
            ("exited", "terminate", 204),
            ("error", "start", 200),
            ("error", "stop", 409),
        ],
    )
    def test_transitions(self, served: RunningCloud, state: str, action: str, status: int) -> None:
        """Each state allows its own transitions."""
        pod = served.create()
        if state != "running":
            served.http.post(f"/_emulator/pods/{pod['id']}/kill", params={"then": state})
        assert status == act(served, pod["id"], action).status_code

    def test_locked(self, served: RunningCloud) -> None:
        """A locked pod is not stopped."""
        pod = served.create()
        served.http.patch(f"/v2/pods/{pod['id']}", json={"locked": True})
        assert 409 == act(served, pod["id"], "stop").status_code
        served.http.patch(f"/v2/pods/{pod['id']}", json={"locked": False})
        assert 200 == act(served, pod["id"], "stop").status_code

    @pytest.mark.parametrize("by_action", [True, False])
    def test_delete(self, served: RunningCloud, by_action: bool) -> None:
        """A deleted pod is stopped, gone from the list and 404; its persistent folder too."""
        pod = served.create(mounts={"persistent": {"size": 10, "path": "/workspace"}})
        served.ready(pod["id"])
        folder = served.host.specs[0].workspace
        assert folder is not None
        assert folder.is_dir()
        if by_action:
            answer = act(served, pod["id"], "terminate")
        else:
            answer = served.http.delete(f"/v2/pods/{pod['id']}")
        assert (204, b"") == (answer.status_code, answer.content)
        assert 404 == served.http.get(f"/v2/pods/{pod['id']}").status_code
        assert [] == served.http.get("/v2/pods").json()["pods"]
        assert not folder.exists()
        assert served.host.processes[0]._over.is_set()

    def test_update(self, served: RunningCloud) -> None:
        """A PATCH changes what it names; container settings count from the next start."""
        pod = served.create()
        served.ready(pod["id"])
        changed = served.http.patch(
            f"/v2/pods/{pod['id']}", json={"name": "new", "args": "sleep 5", "disk": 7}
        ).json()
        assert ("new", "sleep 5", 7) == (changed["name"], changed["args"], changed["disk"])
        act(served, pod["id"], "restart")
        served.ready(pod["id"])
        assert "sleep 5" == served.host.specs[-1].args

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"mounts": {}}, 400),
            ({"mounts": {"network": [{"volumeId": "v", "path": "/w"}]}}, 400),
            ({"mounts": {"persistent": {"size": 20}}}, 422),
            ({"cost": 1}, 422),
            ({"image": "not an image"}, 422),
        ],
    )
    def test_update_refused(
        self, served: RunningCloud, change: dict[str, Any], status: int
    ) -> None:
        """What is fixed at create stays."""
        pod = served.create(mounts={"persistent": {"size": 10, "path": "/workspace"}})
        assert status == served.http.patch(f"/v2/pods/{pod['id']}", json=change).status_code

    def test_names_are_not_unique(self, served: RunningCloud) -> None:
        """Two creates of one name make two pods, newest first in the list."""
        ids = [served.create(name="twin")["id"] for _ in range(2)]
        assert ids[::-1] == [pod["id"] for pod in served.http.get("/v2/pods").json()["pods"]]

    def test_without_ssh_port(self, served: RunningCloud) -> None:
        """Without 22/tcp there is a runtime but no direct SSH, and no SSH server."""
        pod = served.create(ports=["8888/http"])
        seen = served.poll(pod["id"], lambda pod: pod["runtime"] is not None)
        assert seen["ssh"]["direct"] is None
        assert not served.host.specs[0].accept_ssh

    def test_failing_host(self, served: RunningCloud) -> None:
        """A pod that cannot be built turns to ERROR and its system log says why."""
        served.host.fails = True
        pod = served.create()
        served.until(pod["id"], "ERROR")
        lines = read_events(served, pod["id"], tail=50, source="system", until="no such machine")
        assert any("no such machine" in line["line"] for _, line in lines)

    def test_dying_process_is_restarted(self, served: RunningCloud) -> None:
        """A container that dies leaves the pod RUNNING without SSH, and comes back."""
        pod = served.create()
        served.ready(pod["id"])
        served.on_loop(served.host.processes[0].die, 3)
        deadline = time.monotonic() + 10
        while len(served.host.processes) < 2 and time.monotonic() < deadline:
            assert "RUNNING" == served.http.get(f"/v2/pods/{pod['id']}").json()["status"]
        assert 2 == len(served.host.processes)


class TestEnvironment:
    """What PID 1 of a pod sees."""

    def test_injected(self, served: RunningCloud) -> None:
        """RunPod's variables are there, and the request's."""
        pod = served.create(env={"PUBLIC_KEY": "ssh-ed25519 A", "MINE": "1"})
        served.ready(pod["id"])
        env = served.host.specs[0].env
        assert {"MINE": "1", "PUBLIC_KEY": "ssh-ed25519 A"} == pod["env"]
        assert (pod["id"], pod["dataCenterId"]) == (env["RUNPOD_POD_ID"], env["RUNPOD_DC_ID"])
        assert ("1", "1", "127.0.0.1") == (
            env["MINE"],
            env["RUNPOD_GPU_COUNT"],
            env["RUNPOD_PUBLIC_IP"],
        )

    def test_request_wins(self, served: RunningCloud) -> None:
        """A variable of the request replaces RunPod's own."""
        pod = served.create(env={"RUNPOD_DC_ID": "mine"})
        for _ in range(50):
            served.http.get(f"/v2/pods/{pod['id']}")
        assert "mine" == served.host.specs[0].env["RUNPOD_DC_ID"]

    @pytest.mark.parametrize(
        ("start_ssh", "env", "expected"),
        [
            (True, {}, "ssh-ed25519 ACCOUNT me"),
            (True, {"PUBLIC_KEY": "ssh-ed25519 OWN"}, "ssh-ed25519 OWN"),
            (False, {}, None),
        ],
    )
    def test_account_keys(
        self,
        served: RunningCloud,
        start_ssh: bool,
        env: dict[str, str],
        expected: str | None,
    ) -> None:
        """`startSsh` injects the account's keys unless the request brings one; never returned."""
        served.http.put("/v2/account/ssh-keys", json={"keys": ["ssh-ed25519 ACCOUNT me"]})
        pod = served.create(startSsh=start_ssh, env=env)
        served.ready(pod["id"])
        assert expected == served.host.specs[0].env.get("PUBLIC_KEY")
        assert "startSsh" not in pod
        assert (expected is not None) == served.host.specs[0].accept_ssh

    def test_pod_key(self, served: RunningCloud) -> None:
        """The key inside a pod opens that pod alone."""
        one, other = served.create(), served.create()
        served.ready(one["id"])
        key = served.host.specs[0].env["RUNPOD_API_KEY"]
        with httpx.Client(
            base_url=served.url, headers={"Authorization": f"Bearer {key}"}
        ) as inside:
            assert 200 == inside.get(f"/v2/pods/{one['id']}").status_code
            assert 403 == inside.get(f"/v2/pods/{other['id']}").status_code
            assert 403 == inside.get("/v2/pods").status_code
            assert 403 == inside.post("/v2/pods", json=pod_body()).status_code
            assert 403 == inside.get("/_emulator/status").status_code
            stop = inside.post(f"/v2/pods/{one['id']}/action", json={"action": "stop"})
            assert 200 == stop.status_code
            assert 204 == inside.delete(f"/v2/pods/{one['id']}").status_code
            assert 401 == inside.get(f"/v2/pods/{one['id']}").status_code


class TestVolumes:
    """Network volumes and what hangs on them."""

    def make(self, served: RunningCloud) -> dict[str, Any]:
        """Create a volume in EU-RO-1."""
        body = {"name": "data", "size": 10, "dataCenter": "EU-RO-1"}
        volume: dict[str, Any] = served.http.post("/v2/network-volumes", json=body).json()
        return volume

    def test_outlives_its_pod(self, served: RunningCloud) -> None:
        """Files on a volume are there for the next pod."""
        volume = self.make(served)
        mounts = {"network": [{"volumeId": volume["id"], "path": "/workspace"}]}
        first = served.create(mounts=mounts)
        served.ready(first["id"])
        folder = served.host.specs[0].workspace
        assert folder is not None
        (folder / "kept").write_text("x", encoding="utf-8")
        served.http.delete(f"/v2/pods/{first['id']}")
        second = served.create(mounts=mounts)
        served.ready(second["id"])
        assert (folder, True) == (served.host.specs[1].workspace, (folder / "kept").exists())
        assert "EU-RO-1" == second["dataCenterId"]

    def test_attached_volume_stays(self, served: RunningCloud) -> None:
        """A volume cannot be deleted while a pod has it."""
        volume = self.make(served)
        pod = served.create(mounts={"network": [{"volumeId": volume["id"], "path": "/workspace"}]})
        path = f"/v2/network-volumes/{volume['id']}"
        assert 409 == served.http.delete(path).status_code
        served.http.delete(f"/v2/pods/{pod['id']}")
        assert 204 == served.http.delete(path).status_code
        assert 404 == served.http.get(path).status_code

    def test_only_grows(self, served: RunningCloud) -> None:
        """A volume's size can only go up."""
        path = f"/v2/network-volumes/{self.make(served)['id']}"
        assert 30 == served.http.patch(path, json={"size": 30}).json()["size"]
        assert 400 == served.http.patch(path, json={"size": 20}).status_code

    def test_place_without_volumes(self, served: RunningCloud) -> None:
        """A place that has no volumes is refused with those that have."""
        body = {"name": "d", "size": 10, "dataCenter": "US-TX-4"}
        answer = served.http.post("/v2/network-volumes", json=body)
        assert 400 == answer.status_code
        expected = 'Data center "US-TX-4" not found or does not support network volumes'
        assert expected in answer.json()["detail"]
        assert "EU-RO-1" in answer.json()["detail"]

    def test_kind_of_the_place(self, served: RunningCloud) -> None:
        """A volume gets the kind its place has; another one is refused."""
        body = {"name": "d", "size": 10, "dataCenter": "EU-FR-1"}
        made = served.http.post("/v2/network-volumes", json=body).json()
        assert "HIGH_PERFORMANCE" == made["type"]
        refused = served.http.post("/v2/network-volumes", json=body | {"type": "STANDARD"})
        assert 400 == refused.status_code


class TestCatalog:
    """Filters and stock."""

    def test_without_stock(self, served: RunningCloud) -> None:
        """Without include the three stock keys are absent."""
        rows = served.http.get("/v2/catalog/gpus").json()["gpus"]
        assert not {"availability", "dataCenters", "cudaVersions"} & set().union(*rows)

    def test_stock_shows_faults(self, served: RunningCloud) -> None:
        """A stock-out is on show: NONE and no data centers."""
        fault(served, f"stock-out:gpu={GPU}")
        path, query = f"/v2/catalog/gpus/{GPU}", {"include": "AVAILABILITY", "product": "POD"}
        row = served.http.get(path, params=query).json()
        assert "NONE" == row["availability"]
        assert "dataCenters" not in row

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("include=AVAILABILITY", 400),
            ("product=POD", 400),
            ("count=2", 400),
            ("countryCodes=US", 400),
            ("include=AVAILABILITY&product=POD&cudaVersions=12.8&minCudaVersion=12", 400),
            ("include=STOCK&product=POD", 422),
            ("include=AVAILABILITY&product=PODS", 422),
            ("include=AVAILABILITY&product=POD&countryCodes=us", 422),
            ("include=AVAILABILITY&product=POD&cudaVersions=12", 422),
            ("include=AVAILABILITY&product=POD&count=0", 422),
            ("include=AVAILABILITY&product=POD&minCudaVersion=12", 200),
            ("nobody=knows", 200),
        ],
    )
    def test_filter_rules(self, served: RunningCloud, query: str, status: int) -> None:
        """Filters that cannot stand alone or together are 400, malformed ones 422."""
        assert status == served.http.get(f"/v2/catalog/gpus?{query}").status_code

    def test_country(self, served: RunningCloud) -> None:
        """Countries narrow the data centers."""
        query = {"include": "AVAILABILITY", "product": "POD", "countryCodes": "NO,JP"}
        row = served.http.get(f"/v2/catalog/gpus/{GPU}", params=query).json()
        assert {"AP-JP-1", "EUR-NO-1", "EUR-NO-2"} == {dc["id"] for dc in row["dataCenters"]}

    @pytest.mark.parametrize(
        ("query", "inside", "outside"),
        [
            ("regions=EUROPE,OCEANIA", "OC-AU-1", "US-TX-3"),
            ("networkVolumeTypes=HIGH_PERFORMANCE", "EU-FR-1", "EU-RO-1"),
            ("globalNetwork=true", "US-TX-3", "AP-JP-1"),
        ],
    )
    def test_datacenters(self, served: RunningCloud, query: str, inside: str, outside: str) -> None:
        """Data centers can be filtered by what they have."""
        rows = served.http.get(f"/v2/catalog/datacenters?{query}").json()["dataCenters"]
        names = {row["id"] for row in rows}
        assert (True, False) == (inside in names, outside in names)


class TestFaults:
    """Each fault does what it says."""

    @pytest.mark.parametrize(
        ("text", "status", "detail"),
        [
            (f"stock-out:gpu={GPU}", 400, NO_CAPACITY),
            ("balance-too-low", 402, NO_BALANCE),
            ("image-refused", 422, "was not found"),
            ("create-5xx-before:status=503", 503, "Something went wrong"),
            ("create-5xx-after", 500, "Something went wrong"),
            ("server-error:method=POST", 503, "Something went wrong"),
        ],
    )
    def test_create_fails(self, served: RunningCloud, text: str, status: int, detail: str) -> None:
        """A create is refused, with or without a pod left behind."""
        fault(served, text)
        answer = served.http.post("/v2/pods", json=pod_body())
        assert status == answer.status_code
        assert detail in answer.json()["detail"]
        left = len(served.http.get("/v2/pods").json()["pods"])
        assert (1 if text == "create-5xx-after" else 0) == left

    def test_rate_limit(self, served: RunningCloud) -> None:
        """429 as often as asked, with Retry-After."""
        fault(served, "rate-limit:times=2,retry_after=7,path=/v2/pods*")
        answers = [served.http.get("/v2/pods") for _ in range(3)]
        assert [429, 429, 200] == [answer.status_code for answer in answers]
        assert "7" == answers[0].headers["retry-after"]

    def test_never_ready(self, served: RunningCloud) -> None:
        """The pod is RUNNING and stays out of reach."""
        fault(served, "never-ready:name=slow-*")
        pod = served.create(name="slow-1")
        path = f"/v2/pods/{pod['id']}"
        seen = [served.http.get(path).json() for _ in range(20)][-1]
        assert ("RUNNING", None, None) == (seen["status"], seen["runtime"], seen["ssh"]["direct"])
        served.ready(served.create(name="quick")["id"])

    def test_delete_fails(self, served: RunningCloud) -> None:
        """The first delete answers 500 and leaves the pod, the second one works."""
        fault(served, "delete-fails")
        path = f"/v2/pods/{served.create()['id']}"
        assert [500, 204] == [served.http.delete(path).status_code for _ in range(2)]

    def test_delete_lies(self, served: RunningCloud) -> None:
        """The first delete answers 204 and leaves the pod."""
        fault(served, "delete-lies")
        path = f"/v2/pods/{served.create()['id']}"
        assert 204 == served.http.delete(path).status_code
        assert 200 == served.http.get(path).status_code

    def test_slow(self, served: RunningCloud) -> None:
        """Requests wait."""
        fault(served, "slow:seconds=0.2,times=1")
        begun = time.monotonic()
        served.http.get("/v2/pods")
        assert time.monotonic() - begun >= 0.2

    def test_zero_gpus(self, served: RunningCloud) -> None:
        """After a start no GPU is left, though the API says one."""
        fault(served, "zero-gpus:when=start")
        pod = served.create()
        served.ready(pod["id"])
        act(served, pod["id"], "stop")
        act(served, pod["id"], "start")
        assert 1 == served.ready(pod["id"])["gpu"]["count"]
        assert [1, 0] == [spec.gpu.count for spec in served.host.specs]

    def test_wrong_price(self, served: RunningCloud) -> None:
        """The pod costs more than the catalog says."""
        fault(served, "wrong-price:factor=3")
        assert pytest.approx(1.47) == served.create()["cost"]

    def test_start_refused(self, served: RunningCloud) -> None:
        """A stopped pod does not get its GPU back the first time."""
        fault(served, "start-refused")
        pod = served.create()
        act(served, pod["id"], "stop")
        answer = act(served, pod["id"], "start")
        assert (400, HOST_FULL) == (answer.status_code, answer.json()["detail"])
        assert 200 == act(served, pod["id"], "start").status_code

    @pytest.mark.parametrize(("then", "status"), [("exited", "EXITED"), ("error", "ERROR")])
    def test_pod_killed(self, served: RunningCloud, then: str, status: str) -> None:
        """A pod dies by itself after a while."""
        fault(served, f"pod-killed:seconds=0,then={then}")
        served.until(served.create()["id"], status)

    def test_pod_vanishes(self, served: RunningCloud) -> None:
        """A pod can be gone altogether."""
        fault(served, "pod-killed:seconds=0,then=gone")
        path = f"/v2/pods/{served.create()['id']}"
        deadline = time.monotonic() + 5
        while served.http.get(path).status_code != 404:
            assert time.monotonic() < deadline

    def test_error_state(self, served: RunningCloud) -> None:
        """A pod turns to ERROR."""
        fault(served, "error-state:seconds=0")
        served.until(served.create()["id"], "ERROR")

    def test_ssh_drop(self, served: RunningCloud) -> None:
        """SSH connections are cut by fault and by the admin API; the pod stays."""
        fault(served, "ssh-drop:seconds=0")
        pod = served.create()
        served.ready(pod["id"])
        deadline = time.monotonic() + 5
        while served.host.processes[0].drops < 1:
            assert time.monotonic() < deadline
        served.http.post(f"/_emulator/pods/{pod['id']}/drop-ssh")
        assert 2 == served.host.processes[0].drops

    def test_no_sshd(self, served: RunningCloud) -> None:
        """An image without sshd has a mapped port on which nothing answers."""
        fault(served, "no-sshd")
        pod = served.create()
        served.ready(pod["id"])
        assert not served.host.specs[0].accept_ssh

    def test_stale_port(self, tmp_path: Path) -> None:
        """After a start the old port is on show once more."""
        with running_cloud(tmp_path, ready_polls=0) as served:
            pod = served.create()
            old = served.ready(pod["id"])["ssh"]["direct"]["port"]
            fault(served, "stale-port")
            act(served, pod["id"], "restart")
            # The first poll after the processes are up is the stale one.
            while served.cloud.fleet.find(pod["id"]).container.process is None:
                time.sleep(0.001)
            ports = [served.ready(pod["id"])["ssh"]["direct"]["port"] for _ in range(2)]
            assert [old, old + 1] == ports

    def test_pull_fails(self, served: RunningCloud) -> None:
        """An image that cannot be pulled leaves lines in the system log; the pod says RUNNING."""
        fault(served, "pull-fails")
        pod = served.create()
        lines = read_events(served, pod["id"], source="system", until="image pull")
        assert "pending" in lines[-1][1]["line"]
        assert "RUNNING" == served.http.get(f"/v2/pods/{pod['id']}").json()["status"]

    def test_bad_fault(self, served: RunningCloud) -> None:
        """A fault that cannot be understood is refused with the reason."""
        answer = served.http.post("/_emulator/faults", json="stock-owt")
        assert 400 == answer.status_code
        assert "did you mean 'stock-out'" in answer.json()["detail"]

    def test_clear(self, served: RunningCloud) -> None:
        """Faults can be taken away again."""
        fault(served, "balance-too-low")
        assert [] == served.http.delete("/_emulator/faults").json()["faults"]
        served.create()

    def test_from_the_start(self, tmp_path: Path) -> None:
        """Faults of flags and of a scenario file are in force from the start."""
        scenario = tmp_path / "scenario.json"
        scenario.write_text(json.dumps([{"kind": "never-ready"}]), encoding="utf-8")
        with running_cloud(tmp_path / "s", faults=("slow:seconds=0",), scenario=scenario) as served:
            faults = served.http.get("/_emulator/status").json()["faults"]
            assert ["slow", "never-ready"] == [entry["kind"] for entry in faults]


def read_events(
    served: RunningCloud, pod_id: str, *, until: str = "", headers: Any = None, **query: Any
) -> list[tuple[str, dict[str, Any]]]:
    """Read the log stream until a line holds a text, or to its end."""
    found: list[tuple[str, dict[str, Any]]] = []
    identity = ""
    path = f"/v2/pods/{pod_id}/logs"
    with served.http.stream("GET", path, params=query, headers=headers) as answer:
        assert 200 == answer.status_code
        assert "text/event-stream; charset=utf-8" == answer.headers["content-type"]
        for line in answer.iter_lines():
            if line.startswith("id: "):
                identity = line.removeprefix("id: ")
            elif line.startswith("data: "):
                found.append((identity, json.loads(line.removeprefix("data: "))))
                if until and until in found[-1][1]["line"]:
                    break
    return found


class TestLogs:
    """The stream of log lines."""

    def test_both_sources(self, served: RunningCloud) -> None:
        """System and container lines come in the order they were written."""
        pod = served.create()
        events = read_events(served, pod["id"], until="hello from")
        assert {"system", "container"} == {line["source"] for _, line in events}
        assert f"hello from {pod['id']}" == events[-1][1]["line"]
        assert [line["ts"] for _, line in events] == sorted(line["ts"] for _, line in events)

    def test_ends_with_the_pod(self, served: RunningCloud) -> None:
        """When the pod is deleted the stream ends."""
        pod = served.create()
        served.ready(pod["id"])
        fault(served, "pod-killed:seconds=0.1,then=gone")
        act(served, pod["id"], "restart")
        assert read_events(served, pod["id"])

    def test_resume(self, served: RunningCloud) -> None:
        """The time of an event resumes at that event, its whole id behind it."""
        pod = served.create()
        events = read_events(served, pod["id"], until="hello from")
        identity, line = events[1]
        at = read_events(
            served, pod["id"], headers={"Last-Event-ID": line["ts"]}, until="hello from"
        )
        behind = read_events(
            served, pod["id"], headers={"Last-Event-ID": identity}, until="hello from"
        )
        since = read_events(served, pod["id"], since=line["ts"], until="hello from")
        assert (events[1:], events[2:], events[1:]) == (at, behind, since)

    def test_tail(self, served: RunningCloud) -> None:
        """A tail of one is the last line."""
        pod = served.create()
        served.ready(pod["id"])
        events = read_events(served, pod["id"], tail=1, source="container", until="hello")
        assert 1 == len(events)

    def test_plain_ids(self, tmp_path: Path) -> None:
        """Ids can be the time alone."""
        with running_cloud(tmp_path, log_suffix=False) as served:
            events = read_events(served, served.create()["id"], until="hello from")
            assert all(identity == line["ts"] for identity, line in events)

    def test_cut(self, served: RunningCloud) -> None:
        """A fault cuts the stream after some events."""
        pod = served.create()
        served.ready(pod["id"])
        fault(served, "log-drop:events=2")
        assert 2 == len(read_events(served, pod["id"]))

    @pytest.mark.parametrize("query", ["tail=-1", "tail=5001", "tail=x", "source=x", "since=x"])
    def test_bad_query(self, served: RunningCloud, query: str) -> None:
        """Malformed parameters answer 422."""
        pod = served.create()
        assert 422 == served.http.get(f"/v2/pods/{pod['id']}/logs?{query}").status_code


class TestMoney:
    """The billing clock and its records."""

    def test_pod_and_volume(self, tmp_path: Path) -> None:
        """A fast clock bills hours in moments; totals are the sum of the records."""
        with running_cloud(tmp_path, billing_speed=36_000.0) as served:
            volume = {"name": "d", "size": 100, "dataCenter": "EU-RO-1"}
            served.http.post("/v2/network-volumes", json=volume)
            pod = served.create(disk=72)
            time.sleep(0.2)
            act(served, pod["id"], "stop")
            report = served.http.get("/v2/billing/pods", params={"podId": pod["id"]}).json()
            totals = report["metadata"]["totals"]
            hours = totals["gpuAmount"] / 0.49
            assert 2.0 < hours < 200.0
            assert pytest.approx(hours * 0.01) == totals["diskAmount"]
            assert (
                pytest.approx(sum(r["totalAmount"] for r in report["records"]))
                == (totals["totalAmount"])
            )
            time.sleep(0.05)
            again = served.http.get("/v2/billing/pods").json()["metadata"]["totals"]
            assert totals == again
            whole = served.http.get("/v2/billing").json()["metadata"]["totals"]
            assert pytest.approx(totals["gpuAmount"]) == whole["podGpuAmount"]
            assert whole["storageStandardAmount"] > 0

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("lastN=3&bucketSize=hour", 200),
            ("lastN=3&startTime=2026-01-01T00:00:00Z", 400),
            ("lastN=999999999", 400),
            ("lastN=0", 422),
            ("bucketSize=minute", 422),
            ("startTime=yesterday", 422),
            ("startTime=2026-02-01T00:00:00Z&endTime=2026-01-01T00:00:00Z", 400),
            ("startTime=2026-01-01T00:00:00%2B01:00", 200),
        ],
    )
    def test_query(self, served: RunningCloud, query: str, status: int) -> None:
        """Windows are checked."""
        for path in ("/v2/billing", "/v2/billing/pods"):
            assert status == served.http.get(f"{path}?{query}").status_code


class TestAdmin:
    """What only the emulator has."""

    def test_status(self, served: RunningCloud) -> None:
        """The status says that this is an emulator, and which."""
        status = served.http.get("/_emulator/status").json()
        assert "emulator" in status["banner"]
        assert ("fake", "live", 0) == (status["pod_host"], status["profile"], status["pods"])

    def test_requests(self, served: RunningCloud) -> None:
        """Requests are remembered with their bodies, secrets hidden."""
        served.create(env={"TOKEN": "very secret"})
        served.http.post(
            "/v2/registries", json={"name": "n", "username": "u", "password": "also secret"}
        )
        rows = served.http.get("/_emulator/requests").json()["requests"]
        assert [("POST", "/v2/pods", 201), ("POST", "/v2/registries", 201)] == [
            (row["method"], row["path"], row["status"]) for row in rows
        ]
        assert {"TOKEN": "<redacted>"} == rows[0]["body"]["env"]
        assert "secret" not in json.dumps(rows)

    def test_history(self, served: RunningCloud) -> None:
        """Every pod is remembered, with its end and the highest number at once."""
        pods = [served.create() for _ in range(3)]
        for pod in pods[:2]:
            served.http.delete(f"/v2/pods/{pod['id']}")
        history = served.http.get("/_emulator/history").json()
        assert 3 == history["max_simultaneous"]
        assert ["deleted", "deleted", None] == [row["ended_by"] for row in history["pods"]]

    def test_polling_pods(self, served: RunningCloud) -> None:
        """The admin list does not count as a poll."""
        served.create()
        pod = [served.http.get("/_emulator/pods").json()["pods"][0] for _ in range(5)][-1]
        assert pod["runtime"] is None

    def test_state_survives(self, tmp_path: Path) -> None:
        """Volumes, keys, templates and history outlive the emulator; pods do not."""
        with running_cloud(tmp_path) as served:
            body = {"name": "data", "size": 10, "dataCenter": "EU-RO-1"}
            volume = served.http.post("/v2/network-volumes", json=body).json()
            served.http.put("/v2/account/ssh-keys", json={"keys": ["ssh-ed25519 A"]})
            served.http.post("/v2/templates", json={"name": "t", "image": "a/b:1"})
            served.create(env={"TOKEN": "very secret"})
        with running_cloud(tmp_path) as served:
            listed = served.http.get("/v2/network-volumes").json()["networkVolumes"]
            assert [volume] == listed
            assert ["ssh-ed25519 A"] == served.http.get("/v2/account/ssh-keys").json()["keys"]
            assert 1 == len(served.http.get("/v2/templates").json()["templates"])
            assert [] == served.http.get("/v2/pods").json()["pods"]
            ends = [p["ended_by"] for p in served.http.get("/_emulator/history").json()["pods"]]
            assert ["shutdown"] == ends
        written = "".join(p.read_text(encoding="utf-8") for p in tmp_path.iterdir() if p.is_file())
        assert "very secret" not in written
