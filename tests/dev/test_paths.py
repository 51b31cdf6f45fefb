"""The state folder and its private files."""

from __future__ import annotations

import stat

import pytest

from deploy.local import LocalError
from deploy.local.credentials import load_credentials
from deploy.local.paths import State, current_state, write_private


def test_the_folder_names_its_clone(state: State) -> None:
    assert (state.root / "clone").read_text() == f"{state.clone}\n"


def test_another_clones_folder_is_refused(state: State) -> None:
    with pytest.raises(LocalError, match="belongs to the clone"):
        State(clone=state.clone / "elsewhere", root=state.root).prepare()


def test_others_can_pass_through_the_folder_but_not_look_into_it(state: State) -> None:
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o711
    assert stat.S_IMODE(state.run.stat().st_mode) == 0o700


def test_outside_the_script_there_is_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REX_DEV_STATE", raising=False)
    with pytest.raises(LocalError, match=r"\./dev"):
        current_state()


def test_a_private_file_is_replaced_whole(state: State) -> None:
    path = state.root / "secret"
    write_private(path, "first")
    write_private(path, "second")
    assert path.read_text() == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in state.root.iterdir() if entry.name.startswith(".")] == []


def test_credentials_are_drawn_once_and_all_different(state: State) -> None:
    first = load_credentials(state)
    assert load_credentials(state) == first
    assert len(set(vars(first).values())) == len(vars(first))
