"""The holder's program on an ordinary folder, as committed and as built anew."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pytest

from containers.sandbox import holder


@pytest.fixture(params=["committed", "rebuilt"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "committed":
        return holder.PROGRAM
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    subprocess.run(["sh", holder.PROGRAM.with_name("build.sh"), tmp_path / "holder"], check=True)
    return tmp_path / "holder"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


@pytest.fixture
def running(program: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command: list[str | Path] = [program, "watch", folder, "a", "b", "c"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def line(process: subprocess.Popen[str]) -> str:
    return cast(IO[str], process.stdout).readline()


def test_it_is_tiny_and_static(program: Path) -> None:
    assert program.stat().st_size < 4096
    assert program.read_bytes()[:4] == b"\x7fELF"
    assert b"/lib" not in program.read_bytes()  # no loader, no library


def test_it_says_in_order_what_has_appeared(running: subprocess.Popen[str], folder: Path) -> None:
    (folder / "b").touch()
    (folder / "a").touch()
    assert [line(running), line(running)] == ["0\n", "1\n"]
    (folder / "c").touch()
    assert line(running) == "2\n"


def test_it_follows_no_link_and_opens_nothing(running: subprocess.Popen[str], folder: Path) -> None:
    (folder / "a").symlink_to("/does/not/exist")
    os.mkfifo(folder / "b")
    (folder / "c").mkdir(mode=0)
    assert [line(running), line(running), line(running)] == ["0\n", "1\n", "2\n"]


def test_it_ends_when_it_is_told_to(running: subprocess.Popen[str], folder: Path) -> None:
    (folder / "a").touch()
    line(running)
    running.send_signal(signal.SIGTERM)
    assert running.wait(2) == 0


def test_it_refuses_a_folder_that_is_not_there(program: Path) -> None:
    assert subprocess.run([program, "watch", "/does/not/exist", "a"], check=False, timeout=5).returncode == 1


@pytest.mark.parametrize("arguments", [[], ["watch"], ["dump"], ["dump", "/"], ["other", "/", "1", "a"]])
def test_it_refuses_what_it_does_not_understand(program: Path, arguments: list[str]) -> None:
    assert subprocess.run([program, *arguments], check=False, timeout=5).returncode == 2


def dump(program: Path, folder: Path, size: int = 1000) -> bytes:
    command: list[str | Path] = [program, "dump", folder, str(size), "a", "b", "c"]
    return subprocess.run(command, capture_output=True, check=True, timeout=5).stdout


def test_it_dumps_regular_files_and_says_what_else_there_is(program: Path, folder: Path) -> None:
    (folder / "a").write_bytes(b"content")
    (folder / "c").write_bytes(b"")
    (folder / "other").touch()
    (folder / "inner").mkdir()
    size = len(b"content").to_bytes(8, "little")
    data = dump(program, folder)
    assert data.startswith(b"Fa\0" + size + b"content" + b"Fc\0" + bytes(8))
    assert {b"Dinner", b"Xother"} <= set(data.split(b"\0"))
    assert data.endswith(b"E")


def test_it_dumps_no_links_pipes_or_folders_and_does_not_hang_on_them(program: Path, folder: Path) -> None:
    (folder / "a").symlink_to("/etc/passwd")
    os.mkfifo(folder / "b")
    (folder / "c").mkdir()
    assert dump(program, folder) == b"Na\0Nb\0Nc\0E"


def test_it_dumps_no_file_with_a_second_name(program: Path, folder: Path) -> None:
    (folder / "a").touch()
    (folder / "b").hardlink_to(folder / "a")
    assert dump(program, folder) == b"Na\0Nb\0E"


def test_its_dump_is_bounded(program: Path, folder: Path) -> None:
    for name in "abc":
        (folder / name).write_bytes(bytes(400))
    data = dump(program, folder)
    assert data.count(bytes(400)) == 2
    assert data.endswith(b"Bc\0E")


def test_its_dump_of_a_folder_it_cannot_open_is_empty(program: Path, folder: Path) -> None:
    assert dump(program, folder / "missing") == b"E"


def test_the_image_is_the_same_bytes_every_time() -> None:
    assert holder.archive("repository") == holder.archive("repository")
