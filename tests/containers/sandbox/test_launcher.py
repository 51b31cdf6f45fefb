"""The launcher on ordinary folders, as committed and as built anew: what home it makes, and what it starts."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers.sandbox import launcher

PATH = "/usr/local/bin:/usr/bin:/bin"
MOST_ENTRIES = 20_000
LARGEST_COPY = 64 << 10
ALL_COPIES = 8 << 20


@pytest.fixture
def program() -> Path:
    return launcher.PROGRAM


@pytest.fixture
def image_home(tmp_path: Path) -> Path:
    (tmp_path / "image").mkdir()
    return tmp_path / "image"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class Launch:
    """Runs programs behind the launcher."""

    def __init__(self, program: Path, image_home: Path | str, home: Path) -> None:
        self.program, self.image_home, self.home = program, image_home, home

    def __call__(self, *command: str | Path, folder: str | Path = "/", **environment: str) -> tuple[int, str, str]:
        arguments = [self.program, self.image_home, self.home, folder, *command]
        variables = {"PATH": PATH, "HOME": str(self.home), **environment}
        done = subprocess.run(arguments, env=variables, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def launch(program: Path, image_home: Path, home: Path) -> Launch:
    return Launch(program, image_home, home)


def write(path: Path, content: bytes | str = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- the home ---------------------------------------------------------------------------------------------------------


def test_the_committed_program_does_what_its_source_says(image_home: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc")
    subprocess.run(["sh", launcher.PROGRAM.with_name("build.sh"), tmp_path / "launcher"], check=True)
    write(image_home / ".config" / "settings")
    write(image_home / "weights", b"w" * (LARGEST_COPY + 1))
    homes = {}
    for name, program in (("committed", launcher.PROGRAM), ("rebuilt", tmp_path / "launcher")):
        said = Launch(program, image_home, tmp_path / name)("sh", "-c", "cd; find . -printf '%p %y %s %l\\n' | sort")
        homes[name] = said
    assert homes["committed"] == homes["rebuilt"]
    headers = subprocess.run(["readelf", "-lW", launcher.PROGRAM], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in headers  # no loader of the image is needed


def test_what_the_home_holds_is_found_under_its_names(launch: Launch, image_home: Path, home: Path) -> None:
    write(image_home / ".cache" / "torch" / "weights.pt", b"w" * (LARGEST_COPY + 1))
    write(image_home / ".config.json", "{}\n")
    code, said, _ = launch("sh", "-c", "cat ~/.config.json; wc -c < ~/.cache/torch/weights.pt")
    assert (code, said.split()) == (0, ["{}", str(LARGEST_COPY + 1)])


def test_folders_are_real_small_files_copies_and_large_ones_links(launch: Launch, image_home: Path, home: Path) -> None:
    small = write(image_home / "a" / "b" / "small", b"s" * LARGEST_COPY)
    large = write(image_home / "a" / "b" / "large", b"l" * (LARGEST_COPY + 1))
    os.utime(small, (1, 946_684_800))
    launch("true")
    assert (home / "a" / "b").is_dir()
    assert not (home / "a").is_symlink()
    assert (home / "a" / "b" / "small").read_bytes() == small.read_bytes()
    assert not (home / "a" / "b" / "small").is_symlink()
    assert (home / "a" / "b" / "small").stat().st_mtime == 946_684_800  # Python trusts its caches by it
    assert (home / "a" / "b" / "large").readlink() == large


def test_installed_packages_are_one_link_each(launch: Launch, image_home: Path, home: Path) -> None:
    site = Path(".local") / "lib" / "python3.11" / "site-packages"
    write(image_home / site / "torch" / "nn" / "modules.py")
    write(image_home / site / "six.py")
    write(image_home / ".local" / "lib" / "python3.11" / "other" / "x")
    launch("true")
    assert {path.name: path.is_symlink() for path in (home / site).iterdir()} == {"torch": True, "six.py": True}
    assert not (home / site).is_symlink()
    assert not (home / site.parent / "other" / "x").is_symlink()


def test_copies_together_are_bounded(launch: Launch, image_home: Path, home: Path) -> None:
    count = ALL_COPIES // LARGEST_COPY + 20  # also where links are short
    for number in range(count):
        write(image_home / f"{number}", b"x" * LARGEST_COPY)
    launch("true")
    copies = [path for path in home.iterdir() if not path.is_symlink()]
    assert len(copies) == ALL_COPIES // LARGEST_COPY
    assert len(list(home.iterdir())) == count


def test_copies_leave_most_of_a_small_space_to_the_program(
    program: Path, image_home: Path, tmp_path: Path, small_disk: Path
) -> None:
    for number in range(64):
        write(image_home / f"{number}", b"x" * LARGEST_COPY)
    Launch(program, image_home, small_disk / "home")("true")
    copies = [path for path in (small_disk / "home").iterdir() if not path.is_symlink()]
    assert 1 <= len(copies) <= 4  # an eighth of 2 MiB


def test_what_a_program_may_do_in_its_home_it_may_do(launch: Launch, image_home: Path, home: Path) -> None:
    original = write(image_home / ".totalsegmentator" / "config.json", "old")
    original.chmod(0o444)
    script = write(image_home / "tool", "#!/bin/sh\necho tool")
    script.chmod(0o755)
    code, said, complaint = launch(
        "sh",
        "-ec",
        "echo new > ~/.totalsegmentator/config.json; mkdir -p ~/.nv/cache; echo x > ~/.nv/cache/index;"
        "mv ~/.totalsegmentator ~/moved; cat ~/moved/config.json; ~/tool; rm -r ~/moved",
    )
    assert (code, said.split(), complaint) == (0, ["new", "tool"], "")
    assert original.read_text() == "old"


def test_links_point_within_the_home_where_they_pointed_within_the_images(
    launch: Launch, image_home: Path, home: Path
) -> None:
    write(image_home / "blobs" / "abc", "blob")
    (image_home / "snapshots").mkdir()
    (image_home / "snapshots" / "relative").symlink_to("../blobs/abc")
    (image_home / "absolute").symlink_to(image_home / "blobs")
    (image_home / "outside").symlink_to("/etc/hostname")
    (image_home / "dangling").symlink_to("nowhere")
    (image_home / "itself").symlink_to("itself")
    launch("true")
    assert (home / "snapshots" / "relative").readlink() == Path("../blobs/abc")
    assert (home / "absolute").readlink() == home / "blobs"
    assert (home / "outside").readlink() == Path("/etc/hostname")
    assert (home / "dangling").is_symlink()
    assert (home / "itself").is_symlink()


def test_a_large_tree_becomes_links_to_folders_once_there_are_many_entries(
    launch: Launch, image_home: Path, home: Path
) -> None:
    """As of an environment of conda; what lies near the top, such as settings, stays writable."""
    for folder in range(30):
        (image_home / "conda" / f"p{folder:02}").mkdir(parents=True)
        for number in range(1000):
            os.mknod(image_home / "conda" / f"p{folder:02}" / f"f{number}")
    write(image_home / ".config" / "tool" / "settings", "s")
    launch("true")
    entries = sum(1 for path in home.rglob("*") if not path.is_symlink())
    linked = [path for path in (home / "conda").iterdir() if path.is_symlink()]
    assert entries <= MOST_ENTRIES
    assert 5 <= len(linked) <= 15
    assert all(len(list(path.iterdir())) == 1000 for path in (home / "conda").iterdir())
    assert not (home / ".config" / "tool" / "settings").is_symlink()


def test_what_cannot_be_read_is_left_out_and_the_program_starts(launch: Launch, image_home: Path, home: Path) -> None:
    os.mkfifo(image_home / "pipe")
    write(image_home / ("n" * 255) / ("m" * 255) / "deep")
    (image_home / "file").write_text("x")
    shutil.rmtree(home, ignore_errors=True)
    home.write_text("a file where the home should be")
    assert launch("echo", "started")[:2] == (0, "started\n")


@pytest.mark.parametrize("elsewhere", ["relative", "/no/such/folder", "/etc/hostname", "/" + "x" * 5000])
def test_an_image_without_a_home_gets_an_empty_one(program: Path, home: Path, elsewhere: str) -> None:
    assert Launch(program, elsewhere, home)("sh", "-c", "echo x > ~/y; ls -A ~")[:2] == (0, "y\n")


def test_of_the_root_only_hidden_names_are_a_home(program: Path, home: Path) -> None:
    assert Launch(program, "/", home)("true")[0] == 0
    assert all(path.name.startswith(".") for path in home.iterdir())


def test_a_home_inside_the_images_home_does_not_fill_itself(program: Path, tmp_path: Path) -> None:
    assert Launch(program, tmp_path, tmp_path / "home")("true")[0] == 0
    assert list((tmp_path / "home").iterdir()) == []


# --- variables and working directory ----------------------------------------------------------------------------------


def test_a_variable_that_is_a_folder_of_the_home_follows_it(launch: Launch, image_home: Path, home: Path) -> None:
    write(image_home / ".totalsegmentator" / "config.json")
    write(image_home / "model.pt")
    variables = {
        "FOLDER": f"{image_home}/.totalsegmentator",
        "ITSELF": f"{image_home}",
        "FILE": f"{image_home}/model.pt",
        "LIST": f"{image_home}/.totalsegmentator:/usr/lib",
        "MISSING": f"{image_home}/nowhere",
        "BESIDE": f"{image_home}2",
    }
    said = launch("env", **variables)[1]
    after = dict(line.partition("=")[::2] for line in said.splitlines())
    assert after["FOLDER"] == f"{home}/.totalsegmentator"
    assert after["ITSELF"] == f"{home}"
    unchanged = ("FILE", "LIST", "MISSING", "BESIDE", "PATH")
    assert {name: after[name] for name in unchanged} == {name: ({"PATH": PATH} | variables)[name] for name in unchanged}


def test_a_working_directory_in_the_home_can_be_written_to(launch: Launch, image_home: Path, home: Path) -> None:
    write(image_home / "app" / "run.sh", "#!/bin/sh\npwd; echo x > log").chmod(0o755)
    assert launch("./run.sh", folder=image_home / "app")[:2] == (0, f"{home}/app\n")
    assert (home / "app" / "log").exists()
    assert not (image_home / "app" / "log").exists()


def test_where_the_home_lies_in_the_images_home_nothing_else_moves(program: Path, tmp_path: Path) -> None:
    """As of an image with HOME=/tmp, whose TMPDIR must stay."""
    said = Launch(program, tmp_path, tmp_path / "home")(
        "sh", "-c", "echo $TMPDIR; pwd", folder=tmp_path, TMPDIR=str(tmp_path)
    )
    assert said[:2] == (0, f"{tmp_path}\n{tmp_path}\n")


def test_any_other_working_directory_stays(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    assert launch("pwd", folder=tmp_path / "elsewhere")[1] == f"{tmp_path}/elsewhere\n"


# --- the program ------------------------------------------------------------------------------------------------------


def test_arguments_and_exit_code_are_the_programs_own(launch: Launch) -> None:
    assert launch("sh", "-c", 'echo "$0|$1|$2"; exit 42', "a b", "", "*")[:2] == (42, "a b||*\n")


def test_a_program_is_searched_in_the_images_path(launch: Launch, image_home: Path) -> None:
    write(image_home / "bin" / "mine", "#!/bin/sh\necho mine").chmod(0o755)
    assert launch("mine", PATH=f"/nowhere:{image_home}/bin:/usr/bin")[1] == "mine\n"


@pytest.mark.parametrize(
    ("content", "mode", "code", "words"),
    [
        (None, 0, 127, "no such file"),
        ("#!/bin/sh\r\necho", 0o755, 127, "carriage return"),
        ("#!/no/interpreter\n", 0o755, 127, "/no/interpreter, was not found"),
        ("#!/bin/sh\n", 0o644, 126, "permission denied"),
        ("echo without a first line", 0o755, 126, "#!/bin/sh"),
        ("", 0o755, 126, "#!/bin/sh"),
    ],
)
def test_a_program_that_cannot_start_says_why(
    launch: Launch, tmp_path: Path, content: str | None, mode: int, code: int, words: str
) -> None:
    path = tmp_path / "run"
    if content is not None:
        write(path, content).chmod(mode)
    ended, said, complaint = launch(path)
    assert (ended, said) == (code, "")
    assert complaint.startswith(f"The image's program could not be started: {path}: ")
    assert words in complaint
    assert complaint.count("\n") == 1


def test_a_name_that_is_nowhere_in_the_path_says_so(launch: Launch) -> None:
    assert launch("no-such-program")[0::2] == (
        127,
        "The image's program could not be started: no-such-program: not found in PATH\n",
    )


def test_a_wrong_call_does_nothing(program: Path, home: Path) -> None:
    assert subprocess.run([program, "/root", home, "/"], check=False).returncode == 2
    assert not home.exists()
