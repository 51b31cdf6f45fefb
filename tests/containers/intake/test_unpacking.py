"""Layers that verify and still cannot be unpacked: refused at intake, and only those that an engine would not take.

Each line of the two tables is tried twice: by us, and by the real engine without our intake in front of it. The two
must agree, and so must they on layers made at random from few names.
"""

import io
import random
import tarfile
import tracemalloc
import uuid
from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError

from containers.intake import ImageRejected, layer_filesystem, tar
from containers.intake.layer_filesystem import LayerFilesystem
from tests.containers.intake.build import Image, entry, folder, layer_of, link, second_name
from tests.containers.intake.conftest import Check, Refusal

Entries = list[tuple[tarfile.TarInfo, bytes]]

IMPOSSIBLE: dict[str, tuple[bytes, str]] = {
    "below a file": (layer_of(entry("a"), entry("a/b")), "'a/b' lies below 'a', which is no folder"),
    "a folder below a file": (layer_of(entry("a"), folder("a/b")), "lies below 'a'"),
    "deep below a file": (layer_of(entry("x/a"), entry("x/a/b/c/d")), "lies below 'a'"),
    "below a pipe": (layer_of(entry("a", tarfile.FIFOTYPE), entry("a/b")), "no folder"),
    "below a whiteout": (layer_of(entry(".wh.a"), entry("a/b")), "no folder"),
    "below a link to nowhere": (layer_of(link("a", "nowhere"), entry("a/b")), "no folder"),
    "below a link to a file": (layer_of(entry("f"), link("a", "f"), entry("a/b")), "no folder"),
    "below a link to itself": (layer_of(link("a", "a"), entry("a/b")), "goes in circles"),
    "below links in a circle": (layer_of(link("a", "b"), link("b", "/a"), entry("a/b")), "goes in circles"),
    "a file twice": (layer_of(entry("a", data=b"1"), entry("a", data=b"22")), "it holds 'a' twice"),
    "a folder twice": (layer_of(folder("d/a"), entry("d/./a")), "it holds 'd/a' twice"),
    "a link as the root": (layer_of(link("/", "a")), "'/' takes the place of its root folder"),
    "a file that climbs to the root": (layer_of(entry("/a/..")), "'/a/..' takes the place"),
    "the root twice": (layer_of(folder("."), folder("./")), "it holds '/' twice"),
    "a name too long": (layer_of(entry("n" * 256)), "longer than 255 bytes"),
    "a name too long in bytes": (layer_of(entry("é" * 128)), "longer than 255 bytes"),
    "a folder's name too long": (layer_of(entry("n" * 256 + "/a")), "longer than 255 bytes"),
    "a path too long": (layer_of(entry("/".join(["n" * 200] * 21))), "longer than 4095 bytes"),
    "a hard link to nothing": (layer_of(second_name("a", "nothing")), "is a hard link to 'nothing'"),
    "a hard link to itself": (layer_of(second_name("a", "a")), "hard link"),
    "a hard link over its own file": (layer_of(entry("a"), second_name("/a", "a")), "hard link"),
    "a hard link to a later file": (layer_of(second_name("a", "b"), entry("b")), "hard link"),
    "a hard link to a folder": (layer_of(folder("d"), second_name("a", "d")), "hard link"),
    "a hard link to the root": (layer_of(second_name("a", "/")), "hard link"),
    "a hard link through a file": (layer_of(entry("f"), second_name("a", "f/b")), "no folder"),
    "a hard link to what was replaced": (
        layer_of(entry("d/f"), entry("d"), second_name("a", "d/f")),
        "no folder",
    ),
    "a symbolic link to nothing at all": (layer_of(link("a", "")), "empty or endless target"),
    "a symbolic link to an endless name": (layer_of(link("a", "n/" * 2048)), "empty or endless target"),
    "a whiteout of an own file": (layer_of(entry("a"), entry(".wh.a")), "deletes what the layer itself holds"),
    "a whiteout of an own folder": (layer_of(folder("a"), entry(".wh.a")), "deletes"),
    "a whiteout twice": (layer_of(entry(".wh.a"), entry("/.wh.a")), "deletes"),
    "a whiteout of nothing": (layer_of(entry("d/.wh.")), "or nothing"),
    "a whiteout of a folder by a dot": (layer_of(entry("d/.wh..")), "or nothing"),
    "a whiteout of the folder above": (layer_of(entry("d/.wh...")), "or nothing"),
}

POSSIBLE: dict[str, bytes] = {
    "files without their folders": layer_of(entry("a/b/c", data=b"x"), entry("a/d")),
    "a file for a folder": layer_of(entry("a/b"), entry("a")),
    "a folder after its files": layer_of(entry("a/b"), folder("a"), entry("a/c")),
    "a file twice, by a link": layer_of(entry("d/a"), link("l", "d"), entry("l/a")),
    "a folder for a file": layer_of(entry("a"), folder("/a"), entry("a/b")),
    "a folder for a link": layer_of(link("a", "nowhere"), folder("/a"), entry("a/b")),
    "below a link to a folder": layer_of(folder("usr/lib"), link("lib", "usr/lib"), entry("lib/x"), entry("usr/lib/y")),
    "below an absolute link": layer_of(folder("usr/lib"), link("lib", "/usr/lib"), entry("lib/new/x")),
    "below a link upwards": layer_of(folder("a/b"), folder("c"), link("a/b/up", "../../c"), entry("a/b/up/x")),
    "below a link far above the root": layer_of(folder("c"), link("a", "../../../../c"), entry("a/x")),
    "absolute names": layer_of(entry("/a/b"), entry("//c"), entry("c")),
    "the root itself": layer_of(folder("./"), entry("./a")),
    "a link to nowhere": layer_of(link("a", "../../../nowhere"), link("b", "b")),
    "a hard link": layer_of(entry("d/a", data=b"x"), second_name("b", "d/a"), second_name("c", "/b")),
    "a hard link to a link": layer_of(link("a", "nowhere"), second_name("b", "a")),
    "a hard link through a link": layer_of(entry("d/a"), link("l", "d"), second_name("b", "l/a")),
    "whiteouts": layer_of(entry("d/.wh.a"), entry("d/.wh..wh..opq"), entry("d/b"), entry(".wh.usr")),
    "a file after its whiteout": layer_of(entry(".wh.a"), entry("a")),
    "devices and pipes": layer_of(
        entry("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
        entry("dev/sda", tarfile.BLKTYPE, devmajor=8, devminor=0),
        entry("pipe", tarfile.FIFOTYPE),
    ),
    "the longest name": layer_of(entry("n" * 255), entry("m" * 255 + "/x")),
    "bytes that are no text": layer_of(
        entry("\udcff\udcfe/x"), entry("\udcff\udcfe/y"), second_name("z", "\udcff\udcfe/x")
    ),
    "odd characters": layer_of(entry("a\nb\x1b[31m\u202e/x"), entry("=cmd()")),
    "all modes": layer_of(entry("a", mode=0o7777), entry("d", tarfile.DIRTYPE, mode=0), entry("d/x")),
    "large ids": layer_of(entry("a", uid=2**32 - 2, gid=2_000_000_000)),
    "a capability": layer_of(
        entry("ping", pax_headers={"SCHILY.xattr.security.capability": "\1\0\0\2\0\x20" + "\0" * 14})
    ),
}


@pytest.mark.parametrize(("layer", "sentence"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_it_refuses_what_cannot_be_unpacked(refusal: Refusal, layer: bytes, sentence: str) -> None:
    refused = refusal(Image([layer]).saved())
    assert refused.code == "not_unpackable"
    assert sentence in str(refused)
    assert str(refused).startswith("Layer 1 of 1 cannot be unpacked: ")


@pytest.mark.parametrize("there", [link(".rexgrounding", "/sys"), folder(".rexgrounding"), entry(".rexgrounding")])
def test_it_refuses_whatever_lies_where_the_servers_own_programs_go(
    refusal: Refusal, there: tuple[tarfile.TarInfo, bytes]
) -> None:
    refused = refusal(Image([layer_of(there)]).saved())
    assert refused.code == "reserved_path"
    assert "/.rexgrounding" in str(refused)


def test_it_refuses_links_that_lead_deeper_than_any_program_could(refusal: Refusal) -> None:
    """Each entry below them would cost as much again as the path is long."""
    deep = "a/" * 1500
    links = [folder(f"d/{deep}"), link("l0", f"d/{deep}"), folder(f"l0/{deep}")]
    refused = refusal(Image([layer_of(*links)]).saved())
    assert refused.code == "not_unpackable"
    assert "too deep" in str(refused)


def test_the_names_of_all_layers_together_are_bounded(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_filesystem, "_TEXT_BYTES", 60_000)
    layers = [layer_of(*(link(f"{layer}-{number}", "\U0001f600" * 100) for number in range(50))) for layer in range(3)]
    assert "too long altogether" in str(refusal(Image(layers).saved()))


@pytest.mark.parametrize("path", ["/input", "/output", "/tmp"])
@pytest.mark.parametrize("through", ["", "a/"], ids=["by its name", "through another link"])
def test_it_refuses_a_link_where_the_server_mounts_a_folder(refusal: Refusal, path: str, through: str) -> None:
    """Mounted over /etc, /proc or /dev, no container starts: the host would take the blame, again and again."""
    refused = refusal(Image([layer_of(link("a", "/"), link(through + path[1:], "/etc"))]).saved())
    assert refused.code == "reserved_path"
    assert f"Layer 1 of 1 holds {path} as a link" in str(refused)


def test_it_accepts_folders_where_the_server_mounts_its_own(check: Check) -> None:
    layer = layer_of(folder("input"), entry("output/readme"), folder("tmp"), link("opt/tmp", "/etc"))
    assert check(Image([layer]).saved()).layers == 1


@pytest.mark.parametrize("layer", POSSIBLE.values(), ids=POSSIBLE.keys())
def test_it_accepts_what_can_be_unpacked(check: Check, layer: bytes) -> None:
    assert check(Image([layer]).saved()).layers == 1


@pytest.mark.parametrize(
    ("entries", "path"),
    [
        ([entry("etc/passwd", tarfile.FIFOTYPE)], "/etc/passwd"),
        ([entry("etc/group", tarfile.CHRTYPE)], "/etc/group"),
        ([entry("pipe", tarfile.FIFOTYPE), entry("etc/group", tarfile.LNKTYPE, target="pipe")], "/etc/group"),
        ([folder("etc"), link("way", "etc"), link("way/passwd", "/proc/kmsg")], "/etc/passwd"),
        ([folder("etc/passwd")], "/etc/passwd"),
        ([link("etc", "/dev")], "/etc"),
        ([entry("etc/ld.so.conf.d/x.conf", tarfile.BLKTYPE)], "/etc/ld.so.conf.d/x.conf"),
    ],
)
def test_it_refuses_what_an_engine_would_open_for_its_harm(refusal: Refusal, entries: Entries, path: str) -> None:
    refused = refusal(Image([layer_of(*entries)]).saved())
    assert (refused.code, repr(path) in str(refused)) == ("unsafe_file", True), refused


@pytest.mark.parametrize("entries", [[entry(".wh.etc")], [entry("etc/.wh.passwd"), link("etc/mtab", "/proc/mounts")]])
def test_what_engines_open_may_be_absent_and_other_links_stay(check: Check, entries: Entries) -> None:
    assert check(Image([layer_of(*entries)]).saved()).layers == 1


def test_each_layer_is_a_world_of_its_own(check: Check) -> None:
    lower, upper = layer_of(entry("a"), folder("usr/lib")), layer_of(entry("a/b"), entry(".wh.usr"))
    assert check(Image([lower, upper]).saved()).layers == 2


def _attributes(**attributes: str) -> bytes:
    return layer_of(entry("a", pax_headers={f"SCHILY.xattr.{name}": value for name, value in attributes.items()}))


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (layer_of(entry("../a")), "'../a' leads out of it"),
        (layer_of(entry("a/../../b")), "leads out of it"),
        (_attributes(**{"user.big": "x" * 4000}), "more than 2048 bytes"),  # ext4: no space left on device
        (_attributes(**{"trusted.overlay.redirect": "/etc"}), "the engine itself marks"),
        (_attributes(**{"trusted.overlay.opaque": "y"}), "the engine itself marks"),
        (_attributes(**{"user.overlay.redirect": "/etc"}), "the engine itself marks"),
        (layer_of(entry("a", uid=2**32 - 1)), "cannot exist"),
        (layer_of(entry("a", gid=2**40)), "cannot exist"),
    ],
    ids=["out", "out, hidden", "large", "redirect", "opaque", "rootless redirect", "no user", "no group"],
)
def test_it_refuses_what_an_engine_may_take_to_its_own_harm(refusal: Refusal, layer: bytes, sentence: str) -> None:
    refused = refusal(Image([layer]).saved())
    assert (refused.code, sentence in str(refused)) == ("not_unpackable", True)


# --- The engine's word ------------------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


def _engine_unpacks(client: docker.DockerClient, layer: bytes) -> bool:
    """Whether the engine loads an image of this layer, given to it without our intake."""
    image = Image([layer, layer_of(entry("unique", data=uuid.uuid4().bytes))])
    try:
        for message in client.api.load_image(image.saved()):
            if "error" in message:
                return False
    except APIError:
        return False
    client.api.remove_image("team/algorithm:latest", force=True)
    return True


def _we_unpack(layer: bytes) -> bool:
    entry_limit = tar.EntryLimit(1000, what="", advice="")
    filesystem = LayerFilesystem(entry_limit, "It")
    try:
        for member in tar.members(_Bytes(layer), entry_limit, what="It"):
            filesystem.add(member)
    except ImageRejected:
        return False
    return True


class _Bytes(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        return super().read(size)

    def skip(self, size: int) -> int:
        return len(super().read(size))


@pytest.mark.engine
def test_the_engine_agrees_with_the_tables(client: docker.DockerClient) -> None:
    impossible = {name: _engine_unpacks(client, layer) for name, (layer, _) in IMPOSSIBLE.items()}
    possible = {name: _engine_unpacks(client, layer) for name, layer in POSSIBLE.items()}
    assert [name for name, unpacked in impossible.items() if unpacked] == []
    assert [name for name, unpacked in possible.items() if not unpacked] == []


def _random_layer(chance: random.Random) -> bytes:
    """Few names, so that entries meet: files below files, links in circles, whiteouts of what is there."""
    names = ["a", "b", "a/b", "b/a", "a/b/a", "b/a/b", ".wh.a", "a/.wh.b", "b/.wh..wh..opq", "./a", "/b", "a/../b"]
    targets = ["a", "b", "/a", "../b", "a/b", "..", ".", "/", "b/a"]
    kinds = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
    weights = [4, 4, 3, 2, 1]
    return layer_of(
        *(
            entry(chance.choice(names), chance.choices(kinds, weights)[0], target=chance.choice(targets))
            for _ in range(chance.randint(2, 7))
        )
    )


@pytest.mark.engine
@pytest.mark.parametrize("seed", range(3))
def test_the_engine_agrees_on_random_layers(client: docker.DockerClient, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(15):
        layer = _random_layer(chance)
        with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
            entries = [(one.name, one.type, one.linkname) for one in archive]
        assert (number, entries, _we_unpack(layer)) == (number, entries, _engine_unpacks(client, layer))


# --- Layers made to cost us -------------------------------------------------------------------------------------------


def test_folders_that_no_entry_names_count_as_entries(refusal: Refusal) -> None:
    layer = layer_of(*(entry(f"{number}/" + "a/" * 1000 + "b") for number in range(3)))
    assert refusal(Image([layer]).saved(), layer_members=2000).code == "too_many_entries"


def test_links_that_lead_through_links_cost_bounded_time(monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    monkeypatch.setattr("containers.intake.layer_filesystem._STEPS", 100_000)
    maze = [folder("d"), link("l0", "d/" + "../d/" * 300)]
    many = [link(f"l{n}", f"l{n - 1}/" + f"../l{n - 1}/" * 3) for n in range(1, 30)]
    assert "very many" in str(refusal(Image([layer_of(*maze, *many, entry("l29/x"))]).saved()))
    maze += [link(f"l{n}", "d/../" * 300 + f"l{n - 1}") for n in range(1, 40)]
    entries = [entry(f"l39/{n}/x") for n in range(9)]
    assert "too entangled" in str(refusal(Image([layer_of(*maze, *entries)]).saved()))


def test_long_names_cost_bounded_memory(monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    monkeypatch.setattr("containers.intake.layer_filesystem._TEXT_BYTES", 100_000)
    layer = layer_of(*(link(f"{n}", "t" * 4000) for n in range(50)))
    assert "too long altogether" in str(refusal(Image([layer]).saved()))


def test_a_file_costs_at_most_400_bytes_of_memory() -> None:
    files = 10_000
    entry_limit = tar.EntryLimit(2 * files, what="", advice="")
    filesystem = LayerFilesystem(entry_limit, "It")
    tracemalloc.start()
    try:
        for number in range(files):
            filesystem.add(tar.Member(f"usr/lib/python3/{number % 500}/module{number}.py", "file", 0o644, 1, 0, ""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 400 * files
