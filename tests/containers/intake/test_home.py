"""HOME of an image's user, found in its own /etc/passwd as an engine finds it, and kept in what is rebuilt."""

from pathlib import Path
from typing import Any

import pytest

from containers.intake.home import home_of, is_root
from tests.containers.intake.build import SOME_PROGRAM, Image, entry, layer_of, second_name, tar_of
from tests.containers.intake.conftest import Check
from tests.containers.intake.test_archives import config_of

PASSWD = b"""root:x:0:0:root:/root:/bin/bash
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin

user:x:1000:1000:,,,:/home/user:/bin/bash
alias:x:1000:1000::/elsewhere:
toor:x:0:0::/toor:
nothing:x:5:5:::
relative:x:6:6::home:
broken:x:seven:7::/seven:
short:x:8
"""


@pytest.mark.parametrize(
    ("user", "home"),
    [
        ("", "/root"),
        ("root", "/root"),
        ("0", "/root"),
        ("0:0", "/root"),
        ("user", "/home/user"),
        ("user:staff", "/home/user"),
        ("1000", "/home/user"),
        ("1000:0", "/home/user"),
        ("alias", "/home/user"),  # by the number, of which the first entry counts
        ("toor", "/root"),
        ("4242", "/"),
        ("4242:4242", "/"),
        ("nobody-there", "/"),
        ("nothing", "/"),
        ("relative", "/"),
        ("broken", "/"),
        ("short", "/"),
        (":5", "/root"),
        ("-1", "/"),
        ("99999999999999999999", "/"),
    ],
)
def test_the_home_is_the_one_that_an_engine_finds(user: str, home: str) -> None:
    assert home_of(user, PASSWD) == home


@pytest.mark.parametrize(("user", "home"), [("", "/root"), ("0", "/root"), ("user", "/"), ("1000", "/")])
@pytest.mark.parametrize("passwd", [None, b"", b"\xff\xfe\0:::::", b"root"])
def test_without_a_passwd_root_alone_has_a_home(user: str, home: str, passwd: bytes | None) -> None:
    assert home_of(user, passwd) == home


def test_roots_home_is_where_passwd_says() -> None:
    assert home_of("", b"root:x:0:0::/var/root:") == "/var/root"


def test_an_endless_home_is_none() -> None:
    assert home_of("1", b"a:x:1:1::/" + b"h" * 5000 + b":") == "/"


@pytest.mark.parametrize("user", ["", "root", "0", "root:staff", "0:5", "+0", "00", ":5"])
def test_root_is_known_by_any_of_its_names(user: str) -> None:
    assert is_root(user)


@pytest.mark.parametrize("user", ["user", "1000", "roots", "1000:0", "user:root", "0x0"])
def test_others_are_not_root(user: str) -> None:
    assert not is_root(user)


# --- In an image ------------------------------------------------------------------------------------------------------


def passwd(home: str) -> bytes:
    return layer_of(entry("etc/passwd", data=f"root:x:0:0::/root:\nuser:x:5:5::{home}:\n".encode(), mode=0o644))


def home(check: Check, tmp_path: Path, *layers: bytes, **config: Any) -> str:
    image = check(Image(list(layers), config={"Entrypoint": [SOME_PROGRAM], "User": "user"} | config).saved())
    env: list[str] = config_of(image, tmp_path / "rebuilt.tar")["config"]["Env"]
    (found,) = (entry.removeprefix("HOME=") for entry in env if entry.startswith("HOME="))
    assert image.config["home"] == found
    return found


def test_the_last_layer_wins(check: Check, tmp_path: Path) -> None:
    assert home(check, tmp_path, passwd("/a"), tar_of({"x": b""}), passwd("/b")) == "/b"
    assert home(check, tmp_path, passwd("/a"), passwd("/b"), passwd("/a")) == "/a"  # the same layer twice


@pytest.mark.parametrize(
    "layer",
    [
        layer_of(entry("etc/.wh.passwd")),
        layer_of(entry(".wh.etc")),
        layer_of(entry("etc/.wh..wh..opq")),
        layer_of(entry(".wh..wh..opq")),
        layer_of(entry("etc/passwd", data=b"#" * 300_000 + b"\nuser:x:5:5::/a:\n")),
        layer_of(entry("etc/other", data=b"user:x:5:5::/a:"), second_name("etc/passwd", "etc/other")),
    ],
    ids=["whiteout", "whiteout of /etc", "opaque /etc", "opaque root", "too large", "hard link"],
)
def test_a_layer_can_take_passwd_away(check: Check, tmp_path: Path, layer: bytes) -> None:
    assert home(check, tmp_path, passwd("/a"), layer) == "/"
    assert home(check, tmp_path, layer, passwd("/a")) == "/a"


def test_an_opaque_folder_with_a_passwd_of_its_own_has_that(check: Check, tmp_path: Path) -> None:
    layer = layer_of(entry("etc/.wh..wh..opq"), entry("etc/passwd", data=b"user:x:5:5::/new:"))
    assert home(check, tmp_path, passwd("/a"), layer) == "/new"


@pytest.mark.parametrize("name", ["./etc/passwd", "/etc/passwd", "x/../etc/passwd"])
def test_passwd_is_known_by_any_of_its_names(check: Check, tmp_path: Path, name: str) -> None:
    assert home(check, tmp_path, layer_of(entry(name, data=b"user:x:5:5::/a:"))) == "/a"


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (["HOME=/mine"], "/mine"),
        (["HOME=/first", "HOME=/last"], "/last"),
        (["HOME="], "/a"),
        (["HOME=relative"], "/a"),
        (["HOMEPAGE=/x"], "/a"),
    ],
)
def test_home_in_env_wins_where_it_is_an_absolute_path(
    check: Check, tmp_path: Path, env: list[str], expected: str
) -> None:
    assert home(check, tmp_path, passwd("/a"), Env=env) == expected


def test_the_user_is_kept_and_said_what_of_it_is_not(check: Check, tmp_path: Path) -> None:
    image = check(Image([passwd("/a")], config={"Entrypoint": [SOME_PROGRAM], "User": "user:5"}).saved())
    assert config_of(image, tmp_path / "rebuilt.tar")["config"]["User"] == "user:5"
    (warning,) = image.warnings
    assert "the name, the home and its files are kept, the number is not" in warning


def test_home_in_env_is_no_warning(check: Check) -> None:
    assert check(Image(config={"Entrypoint": [SOME_PROGRAM], "Env": ["HOME=/x"]}).saved()).warnings == []
