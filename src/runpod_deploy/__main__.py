"""Entry point of ``python -m runpod_deploy`` and of the ``runpod-deploy`` script."""

import gc

# A command makes many objects and hardly a cycle: to look for some after every 700, as Python does, is
# felt where many job files are validated.
_OBJECTS_BETWEEN_LOOKS = 50_000


def main() -> None:
    """Run the command line and exit with the status documented in ``errors.py``."""
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS, 10, 10)
    from runpod_deploy.cli.app import run  # noqa: PLC0415 - keeps `import runpod_deploy.__main__` free

    run()


if __name__ == "__main__":
    main()
