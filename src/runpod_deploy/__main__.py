"""Entry point of ``python -m runpod_deploy`` and of the ``runpod-deploy`` script."""


def main() -> None:
    """Run the command line and exit with the status documented in ``errors.py``."""
    from runpod_deploy.cli.app import run  # noqa: PLC0415 - keeps `import runpod_deploy.__main__` free

    run()


if __name__ == "__main__":
    main()
