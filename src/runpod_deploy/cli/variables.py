"""Values for the job file's variables, from `--var` and `--vars-file`."""

from collections.abc import Sequence
from pathlib import Path

from runpod_deploy.errors import InvalidInput


def read_variables(pairs: Sequence[str], file: Path | None) -> dict[str, str]:
    """Return the values of a file, those of `pairs` laid over them, all as written.

    Args:
        pairs: `NAME=VALUE` each.
        file: A YAML or JSON mapping of names to scalars.

    Raises:
        InvalidInput: A pair has no `=`, the file cannot be read, or a value in it is no scalar.
    """
    values = {} if file is None else _from_file(file)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise InvalidInput(
                f"--var {pair}: expected NAME=VALUE",
                help="Give each variable on its own:\n  --var seed=7 --var epochs=40",
            )
        values[name.strip()] = value
    return values


def _from_file(path: Path) -> dict[str, str]:
    from runpod_deploy.schema.report import Report, Stop  # noqa: PLC0415 - only with --vars-file
    from runpod_deploy.schema.yaml_source import read_yaml  # noqa: PLC0415 - likewise

    report = Report(file=str(path))
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"--vars-file {path} cannot be read: {error.strerror or error}"
        ) from error
    values: dict[str, str] = {}
    try:
        root = read_yaml(raw, report).root
        if not isinstance(root.items, dict):
            report.error(
                "vars-file-shape",
                "A variables file holds a mapping",
                "The file must hold names and their values, such as `seed: 7`.",
                root.place,
            )
            raise Stop
        for name, item in root.items.items():
            if item.text is None:
                report.error(
                    "vars-file-shape",
                    "A variable holds one value",
                    f"The value of `{name}` is a list or a mapping; a variable is a text.",
                    item.place,
                )
            else:
                values[name] = item.text
    except Stop:
        pass
    if report.found:
        raise InvalidInput(f"--vars-file {path} is wrong", diagnostics=tuple(report.found))
    return values
