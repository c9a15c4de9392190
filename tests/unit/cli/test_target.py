"""Which cloud, which address, which key."""

from pathlib import Path

import pytest

from runpod_deploy.cli.target import CloudName, choose_cloud, runpod_target
from runpod_deploy.errors import AccountError, InvalidInput


def profile(home: Path, text: str) -> dict[str, str]:
    """Write RunPod's own configuration below `home` and return the environment."""
    (home / ".runpod").mkdir()
    (home / ".runpod" / "config.toml").write_text(text)
    return {"HOME": str(home)}


def test_the_flag_comes_before_the_environment() -> None:
    """--cloud, then RUNPOD_DEPLOY_CLOUD, then RunPod."""
    environ = {"RUNPOD_DEPLOY_CLOUD": "emulator"}
    assert CloudName.RUNPOD is choose_cloud(CloudName.RUNPOD, environ)
    assert CloudName.EMULATOR is choose_cloud(None, environ)
    assert CloudName.RUNPOD is choose_cloud(None, {})


def test_an_unknown_cloud_in_the_environment_is_refused() -> None:
    """A slip there must not rent a GPU."""
    with pytest.raises(InvalidInput, match="'emu', which is no cloud"):
        choose_cloud(None, {"RUNPOD_DEPLOY_CLOUD": "emu"})


@pytest.mark.parametrize(
    "text",
    [
        '[default]\napi_key = "rpa_X"\n',
        '[default]\napikey = "rpa_X"\n',
        'apikey = "rpa_X"\napiurl = "https://x"\n',
        'api_key = " rpa_X "\n',
        'api_key = "rpa_top"\n[default]\napi_key = "rpa_X"\n',
    ],
)
def test_the_key_of_runpods_own_tools_is_found(tmp_path: Path, text: str) -> None:
    """Both spellings, in the profile and above it; the profile comes first."""
    assert "rpa_X" == runpod_target(profile(tmp_path, text)).api_key


def test_another_profile_can_be_named(tmp_path: Path) -> None:
    """Then only its key counts; one that is not there is told with those that are."""
    environ = profile(
        tmp_path,
        'apikey = "rpa_top"\n[default]\napi_key = "rpa_X"\n[team]\napi_key = "rpa_T"\n[bare]\n',
    )
    named = {**environ, "RUNPOD_DEPLOY_PROFILE": "team"}
    assert "rpa_T" == runpod_target(named).api_key
    with pytest.raises(InvalidInput, match="'other'") as caught:
        runpod_target({**environ, "RUNPOD_DEPLOY_PROFILE": "other"})
    assert "It has: bare, default, team." == caught.value.help
    with pytest.raises(AccountError):
        runpod_target({**environ, "RUNPOD_DEPLOY_PROFILE": "bare"})


def test_the_environment_comes_before_the_profile(tmp_path: Path) -> None:
    """RUNPOD_API_KEY and RUNPOD_API_URL decide where they are set."""
    environ = profile(tmp_path, 'api_key = "rpa_X"\n')
    target = runpod_target(
        {**environ, "RUNPOD_API_KEY": "rpa_Y", "RUNPOD_API_URL": "http://127.0.0.1:1"}
    )
    assert ("rpa_Y", "http://127.0.0.1:1") == (target.api_key, target.api_url)
    assert "rpa_Y" not in repr(target)


@pytest.mark.parametrize(
    "text", ["", "api_key = 7\n", "default = 1\n", '[default]\napi_key = ""\n']
)
def test_without_a_key_the_emulator_is_named(tmp_path: Path, text: str) -> None:
    """The message says what to set and how to go on without an account."""
    with pytest.raises(AccountError) as caught:
        runpod_target(profile(tmp_path, text))
    assert "RUNPOD_API_KEY" in caught.value.message
    assert "--cloud emulator" in (caught.value.help or "")


def test_a_broken_profile_is_told_and_not_skipped(tmp_path: Path) -> None:
    """A file that cannot be read may hold the key that was meant."""
    with pytest.raises(InvalidInput, match=r"config\.toml cannot be read"):
        runpod_target(profile(tmp_path, "api_key = \n"))
