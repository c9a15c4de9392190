"""What a job file says, typed: the sections of schema version 3 as frozen dataclasses.

Strings still hold their `{{ … }}` templates; the compiler renders them. Paths are as written.
A field that is None was not said, and the compiler decides. Minutes and dollars are floats.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from runpod_deploy.errors import Diagnostic, Position
from runpod_deploy.frozen import frozen
from runpod_deploy.schema.text_places import place_in_text

CloudType = Literal["SECURE", "COMMUNITY", "ANY"]
Prefer = Literal["gpu", "datacenter", "price"]
EndAction = Literal["delete", "stop", "preserve", "recycle"]
Ending = Literal["succeeded", "failed", "cancelled", "kept", "unknown", "leaked"]


@frozen
class JobSource:
    """Where a job came from: for positions in messages, never part of a plan.

    Attributes:
        path: The job file as the user named it.
        positions: JSON pointer of each value to its place; `locate` falls back to the parent.
        lines: The file's lines, for the caret view.
        texts: The lines of every file that the job is made of, by the name in positions.
        keys: JSON pointer of each value to the place of its key.
        version: The schema version that the file is written in.
        notes: What the reader should know although nothing is wrong, such as where a file of
            version 2 now means something safer.
        overrides: Variables of the command line, as they were given.
    """

    path: str
    positions: Mapping[str, Position]
    lines: tuple[str, ...]
    keys: Mapping[str, Position] = field(default_factory=dict)
    version: int = 3
    notes: tuple[Diagnostic, ...] = ()
    overrides: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def locate(self, pointer: str) -> Position:
        """Return the place of `pointer`, or of the nearest parent that is written in the file."""
        while pointer and pointer not in self.positions:
            pointer = pointer.rpartition("/")[0]
        return self.positions.get(pointer, Position(file=self.path, line=1, column=1))

    def locate_key(self, pointer: str) -> Position:
        """Return the place of the key of `pointer`, or what `locate` returns when it has none."""
        return self.keys.get(pointer) or self.locate(pointer)

    def locate_text(self, pointer: str, line: int, column: int = 1) -> Position:
        """Return the place of a character of the text at `pointer`.

        Args:
            pointer: JSON pointer of a text.
            line: Line within the text, from 1.
            column: Column within that line, from 1.

        Returns:
            The exact place; where an alias stands for the text, the place of the alias.
        """
        start = self.locate(pointer)
        place = place_in_text(
            self._lines(start),
            (start.line, start.column),
            (line, column),
            key_column=self.keys[pointer].column if pointer in self.keys else None,
        )
        return start if place is None else Position(file=start.file, line=place[0], column=place[1])

    def line(self, position: Position) -> str | None:
        """Return the text of the line at `position`, or None when it is beyond the file."""
        lines = self._lines(position)
        return lines[position.line - 1] if 0 < position.line <= len(lines) else None

    def _lines(self, position: Position) -> tuple[str, ...]:
        return self.texts.get(position.file, self.lines)


@frozen
class LocalSection:
    """Where the project lies on this machine; relative to the job file's folder."""

    project_root: str = "."
    required_paths: tuple[str, ...] = ()


@frozen
class Admission:
    """What the pod's hardware must show before anything is paid for beyond its boot."""

    enabled: bool = True
    gpu_name: str | None = None
    min_gpu_memory_gb: float | None = None
    min_driver: str | None = None
    min_cuda: str | None = None
    min_disk_gb: float | None = None


@frozen
class CpuSection:
    """A pod without a GPU: the flavor of the processor by RunPod's name, and how much of it."""

    flavor: str
    vcpus: int = 2


@frozen
class PodSection:
    """Which machine is rented and how its container starts; `gpu_order` or `cpu`."""

    gpu_order: tuple[str, ...] = ()
    cpu: CpuSection | None = None
    image: str | None = None
    template_id: str | None = None
    registry_auth: str | None = None
    datacenters: tuple[str, ...] | Literal["any"] = "any"
    cloud_type: CloudType = "SECURE"
    prefer: Prefer = "gpu"
    gpu_count: int = 1
    min_cuda: str | None = None
    max_price_per_hour_usd: float | None = None
    container_disk_gb: int = 20
    ports: tuple[str, ...] = ("22/tcp",)
    env: Mapping[str, str] = field(default_factory=dict)
    start_command: str | None = None
    python_version: str | None = None
    admission: Admission = field(default_factory=Admission)


@frozen
class StorageSection:
    """What survives a stop of the pod; `none` has no mount at all."""

    mode: Literal["none", "ephemeral", "network_volume"] = "none"
    volume_mount: str = "/workspace"
    volume_name: str | None = None
    create: bool = False
    volume_gb: int | None = None


@frozen
class CapacitySection:
    """How long to go round the candidates; `attempts` None: as often as fits in `wait_minutes`."""

    wait_minutes: float = 0.0
    attempts: int | None = None


@frozen
class SshSection:
    """An additional key of the user's, put beside the run's own derived one."""

    key_path: str | None = None


@frozen
class BudgetSection:
    """What the run may cost, in USD, and how long it may take."""

    cost_cap_usd: float = 10.0
    soft_cap_fraction: float = 0.9
    max_runtime_minutes: float | None = None
    sweep_cap_usd: float | None = None
    assumed_hourly_rate_usd: float | None = None
    monthly_cap_usd: float | None = None
    idle_gpu_minutes: float | None = None
    poll_interval_sec: float = 60.0
    ssh_ready_timeout_sec: float = 900.0


@frozen
class RemoteEnvSection:
    """Environment of the remote commands: files on the pod that are sourced, and exports."""

    source_files: tuple[str, ...] = ()
    exports: Mapping[str, str] = field(default_factory=dict)


@frozen
class CommandEntry:
    """One command of `setup` or `preflight`; `strict`: bash runs it with `-eo pipefail`."""

    command: str
    timeout_sec: float = 600.0
    with_env: bool = True
    strict: bool = True


@frozen
class StagingEntry:
    """Local files that are put on the pod; `source` relative to the project root."""

    label: str
    source: str
    destination: str
    excludes: tuple[str, ...] = ()
    excludes_default: bool = True
    excludes_extra: tuple[str, ...] = ()
    gitignore: bool = True
    delete: bool = False


@frozen
class SecretEntry:
    """A secret by reference: local variables, a local file or command, or a secret of the account.

    `env` secrets lie on the pod as a shell file of exports at `destination`; with `export` the run,
    and preflight commands with `with_env`, get them without sourcing it themselves. What a file
    holds, a command prints, or RunPod keeps lies there byte for byte.
    """

    name: str
    destination: str
    env: tuple[str, ...] = ()
    file: str | None = None
    command: str | None = None
    runpod: str | None = None
    mode: str = "0600"
    export: bool = True


@frozen
class RunSection:
    """The job itself: `body` in the job file or `script`, a file of the project.

    `strict` is about a `body` without a `#!` line: bash runs it with `-eo pipefail`.
    """

    body: str | None = None
    script: str | None = None
    template: bool = False
    strict: bool = True
    workdir: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    script_path: str | None = None
    log_path: str | None = None
    success_marker: str | None = None
    failure_markers: tuple[str, ...] = (
        "Traceback",
        "OutOfMemoryError",
        "CUDA out of memory",
        "No space left on device",
        "Killed",
    )
    fail_on_markers: bool = False


@frozen
class ArtifactEntry:
    """Results that are pulled; `local_path` relative to the run folder, by default the label.

    `upload` is a place in a bucket, `upload_secret` the name of the secret for it.
    """

    label: str
    remote_path: str
    local_path: str | None = None
    required: bool = True
    excludes: tuple[str, ...] = ()
    delete: bool = False
    every_minutes: float | None = None
    upload: str | None = None
    upload_secret: str | None = None
    upload_endpoint: str | None = None


@frozen
class LifecycleSection:
    """What becomes of the pod; None: stop where a mount keeps the disk, else delete."""

    on_success: EndAction = "delete"
    on_failure: Literal["delete", "stop", "preserve"] | None = None
    on_orphaned: Literal["delete", "stop", "preserve"] | None = None
    retry: int = 0
    accept_loss: bool = False
    keep_hours: float = 72.0


@frozen
class LeaseSection:
    """The watchdog on the pod, in minutes."""

    silence_minutes: float = 30.0
    boot_grace_minutes: float = 30.0
    while_running: Literal["continue", "stop"] = "continue"
    required: bool = False


@frozen
class TelemetrySection:
    """What is recorded beside the log."""

    enabled: bool = True
    sample_interval_sec: float = 30.0
    capture_nvidia_smi: bool = True
    capture_dmesg: bool = True
    capture_pod_describe: bool = True
    capture_remote_env: bool = True
    capture_local_git: bool = True
    capture_payload_lockfile: bool = True


@frozen
class MatrixSection:
    """A sweep: one run for each combination of the axes' values, which are variables."""

    axes: Mapping[str, tuple[str, ...]]
    include: tuple[Mapping[str, str], ...] = ()
    exclude: tuple[Mapping[str, str], ...] = ()
    max_parallel: int | None = None
    fail_fast: bool = False


@frozen
class ClusterSection:
    """Several pods that are one: how many, what distributes the work, whose results come home."""

    nodes: int
    type: Literal["TRAINING", "RAY", "SLURM"] = "TRAINING"
    collect: Literal["first", "all"] = "first"


@frozen
class WebhookReference:
    """Where a webhook's address is: a local variable or a local file."""

    env: str | None = None
    file: str | None = None


@frozen
class NotifySection:
    """Who is told of a run's end, and of which ends."""

    webhook: WebhookReference | None = None
    command: str | None = None
    on: tuple[Ending, ...] = ("succeeded", "failed", "cancelled", "kept", "unknown", "leaked")


@frozen
class LintSection:
    """Codes of the warnings and notes that are not told about this job."""

    ignore: tuple[str, ...] = ()


@frozen
class JobConfig:
    """A whole job file of schema version 3, defaults filled in, templates not yet rendered.

    Attributes:
        variables: Values for `{{ name }}`, those of the command line already laid over the file's.
        source: Places for diagnostics; does not take part in comparison.
    """

    name: str
    pod: PodSection
    run: RunSection
    source: JobSource = field(compare=False)
    schema_version: Literal[3] = 3
    run_id_prefix: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    local: LocalSection = field(default_factory=LocalSection)
    storage: StorageSection = field(default_factory=StorageSection)
    capacity: CapacitySection = field(default_factory=CapacitySection)
    ssh: SshSection = field(default_factory=SshSection)
    budget: BudgetSection = field(default_factory=BudgetSection)
    remote_env: RemoteEnvSection = field(default_factory=RemoteEnvSection)
    setup: tuple[CommandEntry, ...] = ()
    preflight: tuple[CommandEntry, ...] = ()
    staging: tuple[StagingEntry, ...] = ()
    secrets: tuple[SecretEntry, ...] = ()
    artifacts: tuple[ArtifactEntry, ...] = ()
    lifecycle: LifecycleSection = field(default_factory=LifecycleSection)
    lease: LeaseSection = field(default_factory=LeaseSection)
    telemetry: TelemetrySection = field(default_factory=TelemetrySection)
    state_file: str | None = None
    lint: LintSection = field(default_factory=LintSection)
    matrix: MatrixSection | None = None
    cluster: ClusterSection | None = None
    notify: NotifySection | None = None
    forward: tuple[str, ...] = ()
