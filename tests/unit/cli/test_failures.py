"""What is said when a command could not do its work."""

from runpod_deploy.cli.failures import _masked


def test_a_bug_report_shows_no_secret() -> None:
    """Whatever the environment calls a key, token or password is hidden in tracebacks."""
    environ = {"RUNPOD_API_KEY": "rpa_planted", "HF_TOKEN": "hf_planted", "HOME": "/home/me"}

    text = _masked("Bearer rpa_planted, hf_planted, /home/me", environ)

    assert text == "Bearer ***, ***, /home/me"
