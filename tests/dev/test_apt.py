"""Installing Debian packages, with a stand-in for apt-get that writes down how it was called."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local import LocalError, apt
from deploy.local.paths import State


@pytest.fixture
def calls(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log of an apt-get whose first `install` fails as with stale lists, and which knows no package `missing`."""
    calls, policy = home / "calls", home / "policy-rc.d"
    program = home / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$DEBIAN_FRONTEND $*" >>{calls}\n'
        f"[ -x {policy} ] && echo policy >>{calls}\n"
        f"[ $1 = update ] && touch {home}/fresh && exit 0\n"
        f'[ -e {home}/fresh ] && case "$*" in *missing) exit 100;; esac\n'
        f"[ -e {home}/fresh ]\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(apt, "POLICY", policy)
    return calls


def test_stale_lists_are_updated_and_services_are_not_started(state: State, calls: Path) -> None:
    apt.install(state, ["docker.io", "crun"], print)
    told = calls.read_text().splitlines()
    assert [line for line in told if line != "policy"] == [
        "noninteractive install -y -q --no-install-recommends docker.io crun",
        "noninteractive update -q",
        "noninteractive install -y -q --no-install-recommends docker.io crun",
    ]
    assert told.count("policy") == 3
    assert not apt.POLICY.exists()


def test_a_failure_names_the_log(state: State, calls: Path) -> None:
    with pytest.raises(LocalError, match=r"missing.*apt\.log"):
        apt.install(state, ["missing"], print)
    assert not apt.POLICY.exists()


def test_a_policy_of_the_machine_stays(state: State, calls: Path) -> None:
    apt.POLICY.write_text("#!/bin/sh\nexit 101\n")
    apt.install(state, ["docker.io"], print)
    assert apt.POLICY.read_text() == "#!/bin/sh\nexit 101\n"
