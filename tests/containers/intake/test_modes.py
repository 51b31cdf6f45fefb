"""What is opened while an archive is rebuilt, what stays closed, and what a team reads about it."""

import hashlib
import io
import json
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from containers.intake import CheckedImage, check_archive, tar
from tests.containers.intake.build import (
    END,
    SOME_PROGRAM,
    Image,
    digest,
    entry,
    header,
    layer_of,
    link,
    padded,
    pax,
    second_name,
    sha256,
    tar_of,
)
from tests.containers.intake.conftest import Check

Entry = tuple[tarfile.TarInfo, bytes]
AS_USER = {"Entrypoint": [SOME_PROGRAM], "User": "user"}


def folder(name: str, mode: int, **fields: Any) -> Entry:
    return entry(name, tarfile.DIRTYPE, mode=mode, **fields)


def file(name: str, mode: int, **fields: Any) -> Entry:
    return entry(name, mode=mode, **{"data": b"#!/proc/self/exe"} | fields)


class Opened:
    """A checked image with the entries of its rebuilt layers."""

    def __init__(self, image: CheckedImage, rebuilt: Path) -> None:
        self.image = image
        self.layers: list[bytes] = []
        with tarfile.open(rebuilt) as archive:
            names = json.loads(archive.extractfile("manifest.json").read())[0]["Layers"]  # type: ignore[union-attr]
            for name in names:
                self.layers.append(archive.extractfile(name).read())  # type: ignore[union-attr]
                assert name == sha256(self.layers[-1]) + ".tar"
            config = archive.extractfile(image.image_id[7:] + ".json").read()  # type: ignore[union-attr]
        assert json.loads(config)["rootfs"]["diff_ids"] == [digest(layer) for layer in self.layers]

    def modes(self, layer: int = 0) -> dict[str, int]:
        with tarfile.open(fileobj=io.BytesIO(self.layers[layer])) as archive:
            return {member.name: member.mode for member in archive}

    @property
    def warnings(self) -> list[str]:
        return self.image.warnings


@pytest.fixture
def opened(check: Check, tmp_path: Path):
    def run(*layers: bytes, config: dict[str, Any] | None = None) -> Opened:
        image = check(Image(list(layers), config=config or {"Entrypoint": [SOME_PROGRAM]}).saved())
        return Opened(image, tmp_path / "rebuilt.tar")

    return run


def mode_of(opened, one: Entry, **config: Any) -> int:
    (mode,) = opened(layer_of(one), config=AS_USER | config).modes().values()
    return mode


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (0o600, 0o604),
        (0o700, 0o705),
        (0o400, 0o404),
        (0o500, 0o505),
        (0o640, 0o644),
        (0o750, 0o755),
        (0o710, 0o715),
        (0o100, 0o101),
        (0o200, 0o200),
        (0o000, 0o000),
        (0o070, 0o070),
        (0o666, 0o666),
        (0o4700, 0o4705),
        (0o2710, 0o2715),
        (0o1600, 0o1604),
    ],
)
def test_others_get_what_the_owner_may_read_and_execute_and_nothing_else(opened, before: int, after: int) -> None:
    assert mode_of(opened, file("opt/app/x", before)) == after
    assert mode_of(opened, folder("opt/app/x", before)) == after


@pytest.mark.parametrize(
    ("before", "file_after", "folder_after"),
    [(0o000, 0o004, 0o005), (0o200, 0o204, 0o205), (0o010, 0o015, 0o015), (0o600, 0o604, 0o605)],
)
@pytest.mark.parametrize("user", ["", "root", "0", "0:0", "root:root", "00"])
def test_where_the_images_user_is_root_its_bits_do_not_matter(
    opened, before: int, file_after: int, folder_after: int, user: str
) -> None:
    assert mode_of(opened, file("opt/x", before), User=user) == file_after
    assert mode_of(opened, folder("opt/x", before), User=user) == folder_after


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_devices_and_pipes_are_left_alone(opened, kind: bytes) -> None:
    assert mode_of(opened, entry("opt/x", kind, target="y", mode=0o600)) == 0o600


@pytest.mark.parametrize("top", ["etc", "var", "run", "proc", "sys", "dev", "boot"])
def test_places_of_the_system_stay_closed_and_cause_no_warning(opened, top: str) -> None:
    layer = layer_of(folder(top, 0o755), folder(f"{top}/secret", 0o700), file(f"{top}/secret/key", 0o600))
    image = opened(layer)
    assert image.layers == [layer]
    assert image.warnings == []


@pytest.mark.parametrize("name", ["etc/shadow", "./etc/shadow", "/etc/shadow", "etc/../etc/shadow", "x/../etc/shadow"])
def test_etc_shadow_stays_closed_however_it_is_named(opened, name: str) -> None:
    assert opened(layer_of(file(name, 0o600))).modes() == {name: 0o600}


def test_a_later_layer_that_changes_the_mode_of_etc_shadow_stays_as_it_is(opened) -> None:
    image = opened(layer_of(file("etc/shadow", 0o640)), layer_of(file("etc/shadow", 0o600), file("a", 0o600)))
    assert image.modes(0) == {"etc/shadow": 0o640}
    assert image.modes(1) == {"etc/shadow": 0o600, "a": 0o604}


def test_a_place_of_the_system_reached_through_a_link_stays_closed(opened) -> None:
    entries = [folder("etc", 0o755), link("data", "/etc"), link("more", "data/../etc"), file("data/shadow", 0o600)]
    modes = opened(layer_of(*entries, file("more/gshadow", 0o600))).modes()
    assert (modes["data/shadow"], modes["more/gshadow"]) == (0o600, 0o600)


def test_a_place_reached_from_the_system_through_a_link_is_opened(opened) -> None:
    entries = [folder("opt", 0o755), folder("var", 0o755), link("var/app", "/opt"), file("var/app/run", 0o700)]
    assert opened(layer_of(*entries)).modes()["var/app/run"] == 0o705


def test_a_hard_link_to_a_file_of_the_system_stays_closed(opened) -> None:
    """An engine gives the mode of a link's entry to the file, which is one and the same by all its names."""
    entries = [file("etc/shadow", 0o600), second_name("app", "etc/shadow"), second_name("more", "app")]
    image = opened(layer_of(*(_with_mode(one, 0o600) for one in entries)))
    assert set(image.modes().values()) == {0o600}


def test_a_hard_link_to_any_other_file_is_opened_with_it(opened) -> None:
    entries = [file("opt/run", 0o700), second_name("usr/run", "opt/run"), second_name("etc/run", "usr/run")]
    image = opened(layer_of(*(_with_mode(one, 0o700) for one in entries)))
    assert image.modes() == {"opt/run": 0o705, "usr/run": 0o705, "etc/run": 0o705}


def _with_mode(one: Entry, mode: int) -> Entry:
    one[0].mode = mode
    return one


@pytest.mark.parametrize(
    "config",
    [
        {"Entrypoint": ["/var/app/run"]},
        {"Entrypoint": ["bash", "/var/app/run"]},
        {"Entrypoint": ["bash"], "Cmd": ["/var//app/./run"]},
        {"Entrypoint": [SOME_PROGRAM], "WorkingDir": "/var/app"},
        {"Entrypoint": [SOME_PROGRAM], "WorkingDir": "/var/app/"},
        {"Entrypoint": [SOME_PROGRAM], "Env": ["HOME=/var/app"]},
    ],
)
def test_what_the_configuration_names_is_opened_wherever_it_lies(opened, config: dict[str, Any]) -> None:
    entries = [folder("var", 0o700), folder("var/app", 0o700), file("var/app/run", 0o700), file("var/key", 0o600)]
    image = opened(layer_of(*entries), config=config | {"User": "user"})
    assert image.modes() == {"var": 0o705, "var/app": 0o705, "var/app/run": 0o705, "var/key": 0o600}


def test_the_home_that_passwd_gives_is_opened_wherever_it_lies(opened) -> None:
    users = entry("etc/passwd", data=b"root:x:0:0::/root:\nuser:x:5:5::/var/lib/app:/bin/sh\n", mode=0o644)
    home = [folder("var/lib/app", 0o700), file("var/lib/app/weights", 0o600)]
    image = opened(layer_of(users, *home), config=AS_USER)
    assert image.modes() == {"etc/passwd": 0o644, "var/lib/app": 0o705, "var/lib/app/weights": 0o604}
    assert image.image.config["home"] == "/var/lib/app"


#: Images in which something that the settings name is closed in a place of the system: layers, settings, and where.
LINKED: dict[str, tuple[list[list[Entry]], dict[str, Any], str]] = {
    "home of passwd behind a link": (
        [
            [link("home", "var/home"), entry("etc/passwd", data=b"user:x:5:5::/home/user:\n", mode=0o644)],
            [folder("var/home/user", 0o700), file("var/home/user/x", 0o600)],
        ],
        {},
        "var/home/user/x",
    ),
    "HOME is a link": ([[link("me", "/var/me"), file("var/me/x", 0o600)]], {"Env": ["HOME=/me"]}, "var/me/x"),
    "HOME is a link that comes later": (
        [[file("var/me/x", 0o600)], [link("me", "var/me")]],
        {"Env": ["HOME=/me/"]},
        "var/me/x",
    ),
    "a home named by a passwd that comes later": (
        [
            [folder("var/me", 0o700), file("var/me/x", 0o600)],
            [entry("etc/passwd", data=b"user:x:5:5::/var/me:\n", mode=0o644)],
        ],
        {},
        "var/me/x",
    ),
    "WORKDIR behind links": (
        [
            [
                link("app", "opt/app"),
                link("opt/app", "../srv/app"),
                link("srv/app", "/var/app"),
                file("var/app/x", 0o600),
            ]
        ],
        {"WorkingDir": "/app"},
        "var/app/x",
    ),
    "the program is a chain of links": (
        [
            [
                link("bin", "usr/bin"),
                link("usr/bin/python", "python3"),
                link("usr/bin/python3", "/etc/alternatives/py"),
            ],
            [link("etc/alternatives/py", "/var/python/bin/python3.11"), file("var/python/bin/python3.11", 0o700)],
        ],
        {"Entrypoint": ["/bin/python"]},
        "var/python/bin/python3.11",
    ),
    "the program is found in PATH": (
        [[link("usr/bin/run", "../../var/run.py"), file("var/run.py", 0o700)]],
        {"Entrypoint": ["run"]},
        "var/run.py",
    ),
    "the interpreter of the program": (
        [[file("opt/run", 0o755, data=b"#!/opt/python -u\n"), link("opt/python", "../var/py"), file("var/py", 0o700)]],
        {"Entrypoint": ["/opt/run"]},
        "var/py",
    ),
    "a relative word": ([[file("var/x.py", 0o600)]], {"Cmd": ["var/x.py"], "WorkingDir": "/"}, "var/x.py"),
    "a script in a shell's text": (
        [[file("var/x.py", 0o600)]],
        {"Entrypoint": ["/proc/sh", "-c", "exec python3 '/var/x.py' --fast && true"]},
        "var/x.py",
    ),
    "an option's value": ([[file("var/w", 0o600)]], {"Cmd": ["--weights=/var/w"]}, "var/w"),
    "a variable": (
        [[link("models", "/var/nnunet"), file("var/nnunet/a/x", 0o600)]],
        {"Env": ["nnUNet_results=/models"]},
        "var/nnunet/a/x",
    ),
    "a list in a variable": ([[file("var/b/x", 0o600)]], {"Env": ["PYTHONPATH=/opt/a:/var/b"]}, "var/b/x"),
    "a link out of a place of the system": (
        [[folder("var", 0o700), link("var/app", "/opt/app"), file("opt/app/x", 0o600)]],
        {"WorkingDir": "/var/app"},
        "opt/app/x",
    ),
    "a folder over a link": (
        [[link("app", "var/a")], [folder("app", 0o700), file("app/x", 0o600)]],
        {"WorkingDir": "/app"},
        "app/x",
    ),
}


@pytest.mark.parametrize("name", LINKED)
def test_what_the_configuration_names_is_opened_where_links_lead(opened, name: str) -> None:
    layers, config, path = LINKED[name]
    secret = [folder("etc", 0o755), folder("var", 0o700), file("etc/shadow", 0o600), file("var/key", 0o600)]
    below = [layer_of(*secret)] + [layer_of(*entries) for entries in layers]
    image = opened(*below, config=AS_USER | config)
    modes: dict[str, int] = {}
    for number in range(len(below)):
        modes |= image.modes(number)
    assert (modes["etc/shadow"], modes["var/key"]) == (0o600, 0o600)
    assert modes[path] & 0o4, "the file itself"
    above = [folder for folder in modes if path.startswith(f"{folder}/")]
    assert all(modes[folder] & 0o1 for folder in above), modes
    assert not any("in places where nothing is opened" in warning for warning in image.warnings)


def test_links_in_circles_and_to_nowhere_open_nothing(opened) -> None:
    links = [link("a", "b"), link("b", "/a"), link("c", "../var/none")]
    config = AS_USER | {"WorkingDir": "/a", "Env": ["HOME=/c/x", "X=/a/b:/c"], "Cmd": ["../a", ".."]}
    image = opened(layer_of(*links, file("var/key", 0o600)), config=config)
    assert image.modes()["var/key"] == 0o600


def test_paths_made_deep_and_many_cost_little(check: Check) -> None:
    """A megabyte of configuration that names folders by the hundred thousand."""
    words = ["/" + "a/" * 45_000, *("/" + "b/" * 2000 + str(number) for number in range(100))]
    config = {"Entrypoint": [SOME_PROGRAM], "Cmd": words, "Env": ["PATH=" + ":".join(map(str, range(15_000)))]}
    upload = Image([layer_of(folder("b/" * 2000, 0o700))], config=config).saved()
    tracemalloc.start()
    check(upload)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("named", ["/", "/etc", "/etc/", "/var/..", "//etc"])
def test_naming_a_whole_place_of_the_system_opens_nothing(opened, named: str) -> None:
    config = AS_USER | {"WorkingDir": named, "Env": [f"HOME={named}"], "Cmd": [named]}
    assert opened(layer_of(file("etc/shadow", 0o600)), config=config).modes() == {"etc/shadow": 0o600}


def test_the_root_folder_of_an_image_is_opened(opened) -> None:
    image = opened(layer_of(folder("./", 0o700), file("run", 0o755)))
    assert image.modes() == {".": 0o705, "run": 0o755}
    assert "'/'" in image.warnings[0]


def test_marks_of_deletion_are_left_alone(opened) -> None:
    layer = layer_of(file("opt/.wh.old", 0o600), file("opt/.wh..wh..opq", 0o600))
    assert opened(layer).layers == [layer]


def test_a_layer_with_nothing_to_open_keeps_its_bytes(opened) -> None:
    layers = [layer_of(folder("opt", 0o755), file("opt/x", 0o644)), layer_of(file("opt/y", 0o600))]
    image = opened(*layers)
    assert image.layers[0] == layers[0]
    assert image.image.original_diff_ids == [digest(layer) for layer in layers]
    changed = [at for at, (old, new) in enumerate(zip(layers[1], image.layers[1], strict=True)) if old != new]
    assert changed
    assert all(100 <= at < 108 or 148 <= at < 156 for at in changed), "nothing but a mode and a checksum"


@pytest.mark.parametrize("piece", [1, 511, 512, 513, 4000])
def test_headers_that_fall_between_two_pieces_are_opened(opened, piece: int, check: Check, tmp_path: Path) -> None:
    import gzip

    entries = [file(f"opt/{n}", 0o600, data=b"d" * n * 97) for n in range(12)]
    layer = layer_of(*entries)
    files = Image([layer]).oci_files(
        store=lambda data: b"".join(gzip.compress(data[at : at + piece], 1) for at in range(0, len(data), piece))
    )
    pieces = Opened(check(tar_of(files)), tmp_path / "rebuilt.tar")
    assert pieces.layers == opened(layer).layers
    assert set(pieces.modes().values()) == {0o604}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_their_headers_are_handled(opened, form: int) -> None:
    long = "opt/" + "n" * (120 if form == tarfile.USTAR_FORMAT else 240)
    long = long if form != tarfile.USTAR_FORMAT else "opt/" + "n" * 60 + "/" + "m" * 90
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name in (long, "etc/" + "n" * 90, "opt/short"):
            member = tarfile.TarInfo(name)
            member.mode, member.size = 0o600, 3
            archive.addfile(member, io.BytesIO(b"abc"))
    assert list(opened(buffer.getvalue()).modes().values()) == [0o604, 0o600, 0o604]


def test_a_pax_header_that_takes_the_place_of_size_and_name_is_followed(opened) -> None:
    hidden = header(b"etc/shadow", 0)  # the content of a file, which looks like a header
    layer = pax(path="opt/real", size="512") + _closed(header(b"etc/x", 512)) + hidden + _closed(header(b"b", 0)) + END
    image = opened(layer)
    assert hidden in image.layers[0]
    assert image.modes() == {"opt/real": 0o604, "b": 0o604}


def _closed(block: bytes) -> bytes:
    return tar.with_mode(block, 0o600)


@pytest.mark.parametrize(
    "field", [b"0000600\0", b"000600 \0", b"   600 \0", b"00000600", b"0100600\0", b"\x80" + bytes(5) + b"\x01\x80"]
)
def test_every_form_of_a_mode_keeps_its_other_bits(opened, field: bytes) -> None:
    block = bytearray(header(b"opt/x", 0))
    block[100:108] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    image = opened(bytes(block) + END)
    with tarfile.open(fileobj=io.BytesIO(image.layers[0])) as archive:
        (member,) = archive
    assert member.mode == (0o100604 if field == b"0100600\0" else 0o604)


def test_two_images_that_differ_by_modes_alone_become_one(check: Check, tmp_path: Path) -> None:
    closed, already_open = (layer_of(file("opt/x", mode)) for mode in (0o600, 0o604))
    one, other = check(Image([closed]).saved()), check(Image([already_open]).saved())
    assert (one.image_id, one.blob) == (other.image_id, other.blob)
    assert one.original_image_id != other.original_image_id
    assert one.original_diff_ids == [digest(closed)] != other.original_diff_ids
    both = Opened(check(Image([closed, already_open, closed]).saved()), tmp_path / "rebuilt.tar")
    assert (both.image.layers, both.image.uncompressed_bytes) == (3, len(closed))


# --- What is said ---------------------------------------------------------------------------------------------------


def test_a_base_with_an_empty_home_is_no_warning(opened) -> None:
    base = [folder("root", 0o700), file("root/.bashrc", 0o644), file("root/.profile", 0o600)]
    image = opened(layer_of(*base, folder("home/user", 0o750), file("home/user/.bash_logout", 0o640)))
    assert image.warnings == []
    assert image.modes()["root"] == 0o705


def test_the_warning_says_what_was_opened_and_how_much(opened) -> None:
    base = layer_of(folder("root", 0o700), file("root/.bashrc", 0o644))
    more = layer_of(
        file("root/.cache/torch/w.pt", 0o644, data=bytes(3 << 20)),
        file("root/.cache/torch/v.pt", 0o600, data=bytes(1000)),
        file("opt/app/run.sh", 0o600, data=b"#!/bin/sh\n"),
    )
    (warning,) = opened(base, more).warnings
    assert "were opened" in warning
    assert "'/root' (3 files, 3.15 MB), '/opt/app/run.sh' (10 bytes)" in warning


def test_the_warning_is_bounded(opened) -> None:
    entries = [file(f"opt/{'long' * 30}{n}/\x1b[31m{n}", 0o600, data=bytes(n % 9)) for n in range(2000)]
    (warning,) = opened(layer_of(*entries)).warnings
    assert len(warning) < 900
    assert "and 995 more" in warning
    assert "\x1b" not in warning


def test_large_files_that_nobody_will_read_are_a_warning(opened) -> None:
    closed = [folder("var/lib/model", 0o700), file("var/lib/model/weights", 0o644, data=bytes(3 << 20))]
    (warning,) = opened(layer_of(*closed, file("etc/large", 0o600, data=bytes(2 << 20)))).warnings
    assert "'/var/lib/model' (3.15 MB), '/etc/large' (2.1 MB)" in warning
    assert "chmod -R a+rX" in warning


def test_what_is_named_below_a_folder_of_the_servers_is_a_warning(opened) -> None:
    files = [
        file("tmp/weights/w.pt", 0o644),
        folder("tmp/cache", 0o755),
        file("opt/run", 0o755),
        link("w", "/tmp/weights"),
    ]
    config = {"Entrypoint": ["/opt/run", "--w=/w"], "Env": ["CACHE=/tmp/cache", "TMPDIR=/tmp", "OUT=/output/none"]}
    about_tmpdir, hidden = opened(layer_of(*files), config=config).warnings
    assert "TMPDIR" in about_tmpdir
    assert hidden == (
        "The server mounts folders of its own over /tmp, so these paths, which the image's settings name, will not be "
        "there: '/tmp/weights'. Put them elsewhere, below /opt for example."
    )


# --- What is made to cost -------------------------------------------------------------------------------------------


def test_a_layer_of_closed_files_costs_little_memory_and_time(tmp_path: Path) -> None:
    """5,000 headers to be written anew, each right after the other."""
    count = 5_000
    layer = b"".join(_closed(header(b"opt/%d/%d" % (n % 500, n), 0)) for n in range(count)) + END
    config = Image([layer]).config_bytes
    manifest = json.dumps([{"Config": sha256(config) + ".json", "RepoTags": None, "Layers": ["layer.tar"]}]).encode()
    source = tmp_path / "upload.tar"
    with source.open("wb") as target:
        for name, data in ((sha256(config) + ".json", config), ("manifest.json", manifest), ("layer.tar", layer)):
            target.write(header(name.encode(), len(data)) + padded(data))
        target.write(END)
    del config, manifest, layer
    tracemalloc.start()
    image = check_archive(source, tmp_path / "rebuilt.tar")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    rebuilt = hashlib.sha256((tmp_path / "rebuilt.tar").read_bytes()).hexdigest()
    assert image.blob == "sha256:" + rebuilt
    assert Opened(image, tmp_path / "rebuilt.tar").modes()["opt/7/7"] == 0o604
