"""The stub `nvidia-smi` of a pod: a POSIX shell script that knows the rented GPU."""

import shlex
import uuid

from runpod_deploy.emulator.ports import GpuModel

_COMPUTE_CAPABILITIES = (
    ("B200", "10.0"), ("B300", "10.3"), ("H100", "9.0"), ("H200", "9.0"), ("GH200", "9.0"),
    ("RTX PRO", "12.0"), ("RTX 50", "12.0"), ("RTX 40", "8.9"), ("Ada", "8.9"), ("L40", "8.9"),
    ("L4", "8.9"), ("A100", "8.0"), ("A30", "8.0"), ("V100", "7.0"), ("T4", "7.5"),
)  # fmt: skip
_DEFAULT_COMPUTE_CAPABILITY = "8.6"  # the Ampere cards: A40, RTX A4000 to A6000, RTX 30
_WIDTH = 89
_COLUMNS = (41, 24, 22)
_NAME_WIDTH = 29
_USED_MIB = 1
_RESERVED_MIB = 450

_SCRIPT = r"""#!/bin/sh
# Stands in for NVIDIA's tool in an emulated pod: what the rented GPUs say when they idle.
COUNT=@COUNT@
NAME=@NAME@
DRIVER=@DRIVER@
TOTAL=@TOTAL@
FREE=@FREE@
USED=@USED@
CAPABILITY=@CAPABILITY@

uuid() {
    case $1 in
@UUIDS@
    esac
}

# Sets HEAD, VALUE and UNIT for one field of one GPU.
field() {
    HEAD=$1 UNIT=
    case $1 in
        index) VALUE=$2 ;;
        count) VALUE=$COUNT ;;
        name|gpu_name) VALUE=$NAME; HEAD=name ;;
        uuid|gpu_uuid) VALUE=$(uuid "$2"); HEAD=uuid ;;
        serial|gpu_serial) VALUE='[N/A]' ;;
        driver_version) VALUE=$DRIVER ;;
        timestamp) VALUE=$(date '+%Y/%m/%d %H:%M:%S').000 ;;
        pstate) VALUE=P8 ;;
        compute_cap) VALUE=$CAPABILITY ;;
        compute_mode) VALUE=Default ;;
        persistence_mode) VALUE=Enabled ;;
        mig.mode.current|mig.mode.pending) VALUE='[N/A]' ;;
        pci.bus_id|gpu_bus_id) VALUE=$(printf '00000000:%02X:00.0' $(($2 + 1))); HEAD=pci.bus_id ;;
        temperature.gpu) VALUE=31 ;;
        temperature.memory) VALUE=N/A ;;
        fan.speed) VALUE=30 UNIT=%; HEAD='fan.speed [%]' ;;
        power.draw|power.draw.instant|power.draw.average) VALUE=16.42 UNIT=W; HEAD="$1 [W]" ;;
        power.limit|enforced.power.limit) VALUE=450.00 UNIT=W; HEAD="$1 [W]" ;;
        memory.total) VALUE=$TOTAL UNIT=MiB; HEAD='memory.total [MiB]' ;;
        memory.used) VALUE=$USED UNIT=MiB; HEAD='memory.used [MiB]' ;;
        memory.free) VALUE=$FREE UNIT=MiB; HEAD='memory.free [MiB]' ;;
        utilization.gpu|utilization.memory) VALUE=0 UNIT=%; HEAD="$1 [%]" ;;
        clocks.sm|clocks.gr|clocks.current.sm|clocks.current.graphics)
            VALUE=210 UNIT=MHz; HEAD="$1 [MHz]" ;;
        clocks.mem|clocks.current.memory) VALUE=405 UNIT=MHz; HEAD="$1 [MHz]" ;;
        ecc.mode.current|ecc.mode.pending) VALUE='[N/A]' ;;
        ecc.errors.corrected.*.total|ecc.errors.uncorrected.*.total)
            case $1 in
                *.volatile.total|*.aggregate.total) VALUE='[N/A]' ;;
                *) return 1 ;;
            esac ;;
        *) return 1 ;;
    esac
}

no_devices() {
    [ "$COUNT" -gt 0 ] && return
    echo 'No devices were found'
    exit 6
}

bad_arguments() {
    echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help."
    exit 1
}

# Prints one row: the heads for GPU "head", else the values.
row() {
    line=
    for name in $QUERY_FIELDS; do
        field "$name" "$1"
        if [ "$1" = head ]; then
            cell=$HEAD
        elif [ -n "$UNIT" ] && [ "$UNITS" = yes ]; then
            cell="$VALUE $UNIT"
        else
            cell=$VALUE
        fi
        line="$line${line:+, }$cell"
    done
    printf '%s\n' "$line"
}

query() {
    HEADER=yes UNITS=yes CSV=no
    for option in $(printf '%s' "$FORMAT" | tr ',' ' '); do
        case $option in
            csv) CSV=yes ;;
            noheader) HEADER=no ;;
            nounits) UNITS=no ;;
            *) bad_arguments ;;
        esac
    done
    [ "$CSV" = yes ] || {
        echo '"--format=" switch is missing. Please run nvidia-smi -h for help.'
        exit 1
    }
    QUERY_FIELDS=$(printf '%s' "$FIELDS" | tr ',' ' ')
    for name in $QUERY_FIELDS; do
        field "$name" 0 || {
            printf 'Field "%s" is not a valid field to query.\n\n' "$name"
            exit 2
        }
    done
    no_devices
    [ "$HEADER" = no ] || row head
    for gpu in $GPUS; do
        row "$gpu"
    done
}

query_apps() {
    no_devices
    case $FORMAT in
        *noheader*) ;;
        *) printf '%s\n' "$FIELDS" | sed 's/,/, /g; s/used_memory/used_gpu_memory [MiB]/' ;;
    esac
}

list() {
    no_devices
    for gpu in $GPUS; do
        echo "GPU $gpu: $NAME (UUID: $(uuid "$gpu"))"
    done
}

table() {
    no_devices
    date '+%a %b %e %H:%M:%S %Y       '
    cat <<'END_OF_TABLE'
@TABLE@
END_OF_TABLE
}

all_gpus() {
    gpu=0
    while [ "$gpu" -lt "$COUNT" ]; do
        echo "$gpu"
        gpu=$((gpu + 1))
    done
}

WHAT=table FIELDS= FORMAT= LOOP=
GPUS=$(all_gpus)
while [ $# -gt 0 ]; do
    case $1 in
        -L|--list-gpus) WHAT=list ;;
        --query-gpu=*) WHAT=query FIELDS=$(printf '%s' "${1#*=}" | tr -d ' ') ;;
        --query-compute-apps=*) WHAT=query_apps FIELDS=$(printf '%s' "${1#*=}" | tr -d ' ') ;;
        --format=*) FORMAT=$(printf '%s' "${1#*=}" | tr -d ' ') ;;
        -i|--id) [ $# -gt 1 ] || bad_arguments; shift; GPUS=$(printf '%s' "$1" | tr ',' ' ') ;;
        -i=*|--id=*) GPUS=$(printf '%s' "${1#*=}" | tr ',' ' ') ;;
        -l|--loop) [ $# -gt 1 ] || bad_arguments; shift; LOOP=$1 ;;
        -l=*|--loop=*) LOOP=${1#*=} ;;
        -h|--help) echo "NVIDIA System Management Interface -- v$DRIVER"; exit 0 ;;
        *) echo "ERROR: Option $1 is not recognized. Please run 'nvidia-smi -h'."; exit 1 ;;
    esac
    shift
done
for gpu in $GPUS; do
    [ "$gpu" -lt "$COUNT" ] 2>/dev/null || { echo 'No devices were found'; exit 6; }
done
while :; do
    "$WHAT"
    [ -n "$LOOP" ] || exit 0
    HEADER_OPTION=noheader
    [ "$WHAT" = table ] || FORMAT="$FORMAT,$HEADER_OPTION"
    sleep "$LOOP"
done
"""


def script(gpu: GpuModel, pod_id: str) -> str:
    """Write the stub for one pod; the same pod's GPUs keep their UUIDs."""
    uuids = [
        f"        {index}) echo GPU-{uuid.uuid5(uuid.NAMESPACE_URL, f'{pod_id}/{index}')} ;;"
        for index in range(gpu.count)
    ]
    values = {
        "COUNT": str(gpu.count),
        "NAME": shlex.quote(gpu.id),
        "DRIVER": shlex.quote(gpu.driver_version),
        "TOTAL": str(gpu.memory_mib),
        "FREE": str(max(gpu.memory_mib - _USED_MIB - _RESERVED_MIB, 0)),
        "USED": str(_USED_MIB),
        "CAPABILITY": _compute_capability(gpu.id),
        "UUIDS": "\n".join(uuids) or "        *) ;;",
        "TABLE": _table(gpu),
    }
    text = _SCRIPT
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _compute_capability(name: str) -> str:
    for part, capability in _COMPUTE_CAPABILITIES:
        if part in name:
            return capability
    return _DEFAULT_COMPUTE_CAPABILITY


def _row(*cells: str) -> str:
    return (
        "|"
        + "|".join(f" {cell:<{width - 2}} " for cell, width in zip(cells, _COLUMNS, strict=True))
        + "|"
    )


def _table(gpu: GpuModel) -> str:
    """Draw what `nvidia-smi` prints below the date."""
    rule = "|" + "+".join("-" * width for width in _COLUMNS) + "|"
    versions = (
        f" NVIDIA-SMI {gpu.driver_version:<22} Driver Version: {gpu.driver_version:<14} "
        f"CUDA Version: {gpu.cuda_version:<8}"
    )
    lines = [
        "+" + "-" * _WIDTH + "+",
        f"|{versions:<{_WIDTH}}|",
        f"{rule[:-1]}+",
        _row(
            "GPU  Name                 Persistence-M",
            "Bus-Id          Disp.A",
            "Volatile Uncorr. ECC",
        ),
        _row(
            "Fan  Temp   Perf          Pwr:Usage/Cap",
            "          Memory-Usage",
            "GPU-Util  Compute M.",
        ),
        _row("", "", "              MIG M."),
        rule.replace("-", "="),
    ]
    for index in range(gpu.count):
        bus = f"00000000:{index + 1:02X}:00.0 Off"
        memory = f"{_USED_MIB}MiB / {gpu.memory_mib:>6}MiB"
        lines += [
            _row(
                f"{index:>3}  {gpu.id[:_NAME_WIDTH]:<{_NAME_WIDTH}} On ",
                f"{bus:>22}",
                f"{'Off':>20}",
            ),
            _row(
                "30%   31C    P8             16W /  450W", f"{memory:>22}", "     0%      Default"
            ),
            _row("", "", f"{'N/A':>20}"),
            rule.replace("|", "+"),
        ]
    lines += [
        " " * (_WIDTH + 2),
        "+" + "-" * _WIDTH + "+",
        f"|{' Processes:':<{_WIDTH}}|",
        f"|{'  GPU   GI   CI              PID   Type   Process name':<70}{'GPU Memory ':>19}|",
        f"|{'        ID   ID':<70}{'Usage      ':>19}|",
        "|" + "=" * _WIDTH + "|",
        f"|{'  No running processes found':<{_WIDTH}}|",
        "+" + "-" * _WIDTH + "+",
    ]
    return "\n".join(lines)
