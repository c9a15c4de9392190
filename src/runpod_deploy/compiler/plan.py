"""The plan: plain frozen data that says everything that will be done, before any of it is done.

Nothing here knows how it was made or how it is carried out. Identity rules, for every field of
`Plan`: the same inputs give the same bytes on every machine, in every folder, at every hour. So no
absolute local path, time, host name, price or secret value may ever be put in; they belong to
`PlanFile.observed`. Local paths are relative to the project root with `/` separators. Values known
only while the plan is applied stand as late-bound tokens `@@rd:NAME@@` (see `late_bound`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from runpod_deploy.compiler.observed import Estimate, ObservedCatalog, ObservedImage
from runpod_deploy.frozen import frozen

PLAN_FORMAT = "runpod-deploy.plan/1"
POD_PROTOCOL = 1

Phase = Literal["pod", "setup", "preflight", "run"]
StepName = Literal[
    "check",
    "provision",
    "connect",
    "admit",
    "setup",
    "stage",
    "secrets",
    "preflight",
    "execute",
    "collect",
    "release",
]


@frozen
class PlanJob:
    """Which job this is.

    Attributes:
        file: The job file, relative to the project root.
        variables: The rendered variables, names to values.
    """

    name: str
    file: str
    schema_version: int
    run_id_prefix: str
    variables: Mapping[str, str] = field(default_factory=dict)


@frozen
class Candidate:
    """One place to try: the ring is walked in plan order.

    Attributes:
        gpu: Exact GPU id of the catalog; of a pod without a GPU the flavor of its processor.
        datacenter: Data center id; None lets RunPod choose; `@volume` is the network volume's own.
        cloud: `SECURE` or `COMMUNITY`.
    """

    gpu: str
    datacenter: str | None
    cloud: Literal["SECURE", "COMMUNITY"]

    def __str__(self) -> str:
        return f"{self.gpu} · {self.datacenter or 'any datacenter'} · {self.cloud}"


@frozen
class PlanAdmission:
    """What nvidia-smi and df must show on the pod; None asks nothing. Sizes in GB (10^9)."""

    enabled: bool
    gpu_count: int
    gpu_name: str | None
    min_gpu_memory_gb: float | None
    min_driver: str | None
    min_cuda: str | None
    min_disk_gb: float | None


@frozen
class PlanCpu:
    """A pod without a GPU: flavor by RunPod's name, and its number of vCPUs."""

    flavor: str
    vcpus: int


@frozen
class PlanPod:
    """The machine; `max_price_per_hour_usd` is the whole pod's rate.

    Attributes:
        gpu_count: 0 for a pod without a GPU; what stands for the GPU elsewhere is then the flavor.
        start_command: As the job file says it; None keeps the image's own.
        args: The container's command as RunPod is told it, None keeps the image's own. With the
            script `boot` in the plan it starts that watchdog beside the original command.
    """

    image: str | None
    template_id: str | None
    registry_auth: str | None
    gpu_count: int
    min_cuda: str | None
    max_price_per_hour_usd: float | None
    container_disk_gb: int
    ports: tuple[str, ...]
    env: Mapping[str, str]
    start_command: str | None
    args: str | None
    python_version: str | None
    prefer: Literal["gpu", "datacenter", "price"]
    ssh_key_path: str | None
    admission: PlanAdmission
    cpu: PlanCpu | None = None

    @property
    def units(self) -> int:
        """How many times the catalog's price the pod costs: by GPU, or by vCPU."""
        return self.gpu_count if self.cpu is None else self.cpu.vcpus


@frozen
class PlanStorage:
    """What survives a stop; `mount` is None for mode `none`. Sizes in GB."""

    mode: Literal["none", "ephemeral", "network_volume"]
    mount: str | None
    volume_name: str | None
    volume_gb: int | None


@frozen
class Script:
    """A file that will lie on the pod, in full.

    Attributes:
        name: Unique in the plan: `supervisor`, `env`, `setup-1`, `run`.
        phase: `pod` scripts are ours; the others hold the user's text, verbatim.
        path: Where it lies on the pod.
        mode: Four-digit octal permissions.
        command: The argument list that runs it; empty for a file that is sourced.
        timeout_sec: How long it may take; None has no limit of its own.
        with_env: Whether the exports of `remote_env` and the secrets reach it.
        text: Its content; late-bound tokens not yet filled.
        sha256: Hex digest of the UTF-8 bytes of `text`.
    """

    name: str
    phase: Phase
    path: str
    mode: str
    command: tuple[str, ...]
    timeout_sec: float | None
    with_env: bool
    text: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadEntry:
    """One file or symbolic link that will travel.

    Attributes:
        path: Relative to the staging source, `/` separators, never normalised; `""` when the source
            itself is a file.
        size: Bytes of content; for a link, bytes of its target.
        exec: git's one permission bit; False for links.
        sha256: Hex digest of the content; for a link, of its target text.
        target: Link target as written; None for files.
    """

    path: str
    type: Literal["file", "link"]
    size: int
    exec: bool
    sha256: str
    target: str | None = None


@frozen
class PlanStaging:
    """Local files that will be put on the pod; they are listed in `PlanFile.payload[label]`.

    Attributes:
        excludes: rsync filter patterns in effect, preset included, first match wins.
        tree_sha256: `sha256:` + hex over RFC 8785 of the payload list.
        bytes: Sum of the sizes of all files.
    """

    label: str
    source: str
    destination: str
    excludes: tuple[str, ...]
    gitignore: bool
    delete: bool
    tree_sha256: str
    files: int
    bytes: int


@frozen
class PlanSecret:
    """A secret by reference: never a value.

    Attributes:
        env: Names of local variables.
        file: A local file.
        command: A local command that prints it.
        runpod: Name of a secret of the RunPod account; RunPod gives it to the pod.
    """

    name: str
    destination: str
    env: tuple[str, ...]
    file: str | None
    command: str | None
    runpod: str | None
    mode: str
    export: bool


@frozen
class PlanRun:
    """How the run script is judged and where it works."""

    script: str
    workdir: str | None
    log_path: str
    success_marker: str | None
    failure_markers: tuple[str, ...]
    fail_on_markers: bool


@frozen
class PlanUpload:
    """Where the pod sends an artifact besides.

    Attributes:
        to: `s3://bucket/path`; each file goes below it.
        endpoint: Address of the store; None: what the secret says, else Amazon's.
        secret: Name of the secret that holds the credentials.
    """

    to: str
    endpoint: str | None
    secret: str


@frozen
class PlanArtifact:
    """Results to pull; `local_path` begins with a late-bound token, as a rule the run folder's."""

    label: str
    remote_path: str
    local_path: str
    required: bool
    excludes: tuple[str, ...]
    delete: bool
    every_minutes: float | None = None
    upload: PlanUpload | None = None


@frozen
class StepPlan:
    """A step of the run as data; the executor has one module for each name."""

    name: StepName
    timeout_sec: float | None
    retries: int = 0


@frozen
class PlanLifecycle:
    """What becomes of the pod, defaults decided.

    Attributes:
        on_success: `recycle` stops it and keeps it for the next run of the job.
        state_file: Where it is remembered then, relative to the project root; else None.
        retry: How many more attempts there are when a pod is lost.
    """

    on_success: Literal["delete", "stop", "preserve", "recycle"]
    on_failure: Literal["delete", "stop", "preserve"]
    on_orphaned: Literal["delete", "stop", "preserve"]
    accept_loss: bool
    keep_hours: float
    state_file: str | None = None
    retry: int = 0

    @property
    def may_stop(self) -> bool:
        """Whether the pod may be left stopped, which its persistent disk is billed for."""
        stopping = {"stop", "recycle"}
        return bool(stopping & {self.on_success, self.on_failure, self.on_orphaned})


@frozen
class PlanLease:
    """The watchdog on the pod, in minutes.

    Attributes:
        at_boot: Whether it watches from the pod's start on; else from the first login on.
        spares_results: Once the job has begun, silence does not act: the results lie on a disk that
            acting would wipe, so it waits until the money is spent.
    """

    silence_minutes: float
    boot_grace_minutes: float
    while_running: Literal["continue", "stop"]
    required: bool
    at_boot: bool
    spares_results: bool


@frozen
class PlanBudget:
    """Money in USD, times in the unit of their names; None has no limit of its own."""

    cost_cap_usd: float
    soft_cap_fraction: float
    max_runtime_minutes: float | None
    assumed_hourly_rate_usd: float | None
    poll_interval_sec: float
    ssh_ready_timeout_sec: float
    monthly_cap_usd: float | None = None
    idle_gpu_minutes: float | None = None


@frozen
class PlanCapacity:
    """How long to go round the ring; `attempts` None: as often as fits."""

    wait_minutes: float
    attempts: int | None


@frozen
class PlanTelemetry:
    """What is recorded beside the log."""

    enabled: bool
    sample_interval_sec: float
    capture_nvidia_smi: bool
    capture_dmesg: bool
    capture_pod_describe: bool
    capture_remote_env: bool
    capture_local_git: bool
    capture_payload_lockfile: bool


@frozen
class PlanShard:
    """Which run of a sweep this is, and how its sweep is carried out; the latter is the same in all.

    Attributes:
        name: Of no other run of the sweep; fit for a folder's name.
        values: The axes and their values, and what else an `include` sets.
        max_parallel: Runs under way at a time; None: all.
        fail_fast: Whether a run that fails ends the sweep.
        cap_usd: What all runs of the sweep may cost together; None has no limit of its own.
    """

    name: str
    values: Mapping[str, str]
    max_parallel: int | None
    fail_fast: bool
    cap_usd: float | None


@frozen
class PlanCluster:
    """Several pods of one shape that are rented and deleted together; each is a node.

    Attributes:
        type: As RunPod calls it; `TRAINING` runs the script on every node.
        collect: Whose artifacts come home: the first node's, or every node's.
    """

    nodes: int
    type: Literal["TRAINING"]
    collect: Literal["first", "all"]


@frozen
class PlanNotify:
    """Who is told of the run's end; None is not told.

    Attributes:
        webhook_env: Name of the local variable that holds the webhook's address.
        webhook_file: Local file that holds it.
        command: A program here and its arguments, as the job file says them.
        on: The ends that are told, as words.
    """

    webhook_env: str | None
    webhook_file: str | None
    command: str | None
    on: tuple[Literal["succeeded", "failed", "cancelled", "kept", "unknown", "leaked"], ...]


@frozen
class PlanForward:
    """A port of this machine's loopback address that leads to a port of the pod."""

    local: int
    pod: int


@frozen
class Plan:
    """Everything that will be done; `plan_hash` is over exactly this.

    Attributes:
        protocol: Version of the agreement between pod scripts and executor.
        home: Folder of the run on the pod, holding scripts and job state; on the container disk.
        required_paths: Local paths, relative to the project root, that must exist at apply.
        matrix: Which run of a sweep this is; None for a job that is no sweep.
        cluster: The nodes that the job runs on; None for a single pod.
        notify: Who is told of the run's end; None: nobody.
        forward: What is reached on this machine while the run is watched.
    """

    protocol: int
    job: PlanJob
    candidates: tuple[Candidate, ...]
    capacity: PlanCapacity
    pod: PlanPod
    storage: PlanStorage
    home: str
    required_paths: tuple[str, ...]
    scripts: tuple[Script, ...]
    staging: tuple[PlanStaging, ...]
    secrets: tuple[PlanSecret, ...]
    run: PlanRun
    artifacts: tuple[PlanArtifact, ...]
    steps: tuple[StepPlan, ...]
    lifecycle: PlanLifecycle
    lease: PlanLease
    budget: PlanBudget
    telemetry: PlanTelemetry
    matrix: PlanShard | None = None
    cluster: PlanCluster | None = None
    notify: PlanNotify | None = None
    forward: tuple[PlanForward, ...] = ()

    @property
    def nodes(self) -> int:
        """How many pods the job runs on."""
        return 1 if self.cluster is None else self.cluster.nodes

    def script(self, name: str) -> Script:
        """Return the script called `name`; KeyError when the plan has none."""
        for script in self.scripts:
            if script.name == name:
                return script
        raise KeyError(name)


@frozen
class GitFacts:
    """The repository a plan was made from.

    Attributes:
        prefix: Project root relative to the repository's top level, `""` when they are the same.
        patch_sha256: Hex digest of `git diff HEAD --binary`; None when clean.
    """

    sha: str | None
    branch: str | None
    dirty: bool
    prefix: str
    patch_sha256: str | None = None


@frozen
class LockfileFacts:
    """The lock file of the project: name relative to the project root, hex digest of its bytes."""

    name: str
    sha256: str


@frozen
class Observed:
    """What was seen while compiling: for people and for drift, never part of the identity.

    Attributes:
        compiled_at: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
        overrides: Variables that were set on the command line, as they were given: with them the
            job file is compiled anew.
        catalog: Price and stock per candidate, when asked for live.
        estimate: What a run would cost by that.
        untracked_sha256: Hex digest of the archive beside a saved plan: files that it was made from
            and that git does not hold; None when there is none.
        image: What the image's tag pointed at; None when nobody asked or the registry did not say.
    """

    compiled_at: str
    tool_version: str
    git: GitFacts | None = None
    lockfile: LockfileFacts | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    catalog: ObservedCatalog | None = None
    estimate: Estimate | None = None
    untracked_sha256: str | None = None
    image: ObservedImage | None = None


@frozen
class PlanFile:
    """A plan as it is saved: the plan, what it commits to, and what was seen.

    Attributes:
        plan_hash: `sha256:` + hex over RFC 8785 of `plan` alone.
        plan_id: 128 random bits in hex, new at each compile; makes a saved plan single-use.
        payload: Staging label to its files, sorted by the bytes of `path`.
    """

    format: str
    plan_hash: str
    plan_id: str
    plan: Plan
    payload: Mapping[str, Sequence[PayloadEntry]]
    observed: Observed
