"""A real PyTorch image, as a team of this field has one: built once a machine, as `docker save` would write it.

`archive()` gives the file's path. A test takes the fixture `pytorch_archive` (that path) or `pytorch_checked` (the
CheckedImage, whose `image_id` the tests' engine has), and the mark `xdist_group("pytorch")`, so that one process loads
it for all of them. PyTorch's CPU wheel and what it needs come from pip; they lie in
the user site of the image's own user, as `pip install --user` puts them, below a home of mode 0700, with weights in
~/.cache/torch. The program imports them all, asks for the user's name, writes below its home, and writes one mask per
case; what it found it prints as one line of JSON.

The archive lies beside the state folders of ./dev, for all clones of this machine. It is made anew when this file or
the base image's changes; one that nobody uses any more goes after a day.
"""

import fcntl
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.containers import baseimage

VERSION = "2.13.0"
REQUIREMENTS = (f"torch=={VERSION}+cpu", "numpy")
HOME = "home/user"
UID = 1000
WEIGHTS = bytes(range(256)) * (16 << 10)  # 4 MiB, of which the program makes a tensor
KEPT_SECONDS = 24 * 3600  # since its last use
_STATE = Path(sys.prefix).parent  # of ./dev, whose environment runs these tests
_PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
_SITE = f"{HOME}/.local/lib/{_PYTHON}/site-packages"
_LEFT_OUT = ("torch/include/", "torch/share/", "torch/test/", "torch/bin/protoc")  # no program needs them
_LIBRARIES = ("libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1")

PROGRAM = '''
import getpass, gzip, json, os, pathlib, struct
import numpy
import torch

HOME = pathlib.Path.home()
weights = (HOME / ".cache/torch/hub/checkpoints/weights.bin").read_bytes()
scale = torch.frombuffer(bytearray(weights), dtype=torch.uint8).float().mean()
settings = HOME / ".totalsegmentator/config.json"
settings.parent.mkdir(exist_ok=True)
settings.write_text(json.dumps({"prediction_counter": 1}))
volume = torch.nn.functional.conv3d(torch.ones(1, 1, 8, 8, 8), torch.ones(1, 1, 3, 3, 3))
print(json.dumps({
    "torch": torch.__version__, "where": torch.__file__, "home": str(HOME), "user": getpass.getuser(),
    "mean": float(scale), "sum": float(volume.sum()), "threads": torch.get_num_threads(),
}), flush=True)

def nifti(shape):
    """An empty mask (F, H, W, D) of uint8."""
    dim = struct.pack("<8h", len(shape), *shape, *[1] * (7 - len(shape)))
    header = struct.pack("<i36s16s", 348, b"", dim) + bytes(14) + struct.pack("<hhh", 2, 8, 0)
    header += struct.pack("<8f", *[1.0] * 8) + struct.pack("<3f", 352, 1, 0)
    return header.ljust(344, b"\\0") + b"n+1\\0" + bytes(4) + bytes(int(numpy.prod(shape)))

for case in json.loads(pathlib.Path("/input/cases.json").read_text()):
    shape = [len(case.get("findings", "1")), *case.get("shape", (4, 4, 4))]
    temporary = pathlib.Path("/output") / (case["name"] + ".part")
    temporary.write_bytes(gzip.compress(nifti(shape)))
    temporary.rename(temporary.with_suffix(""))
'''


class NoWheel(Exception):
    """pip knows no CPU wheel of PyTorch for this machine and Python."""


def archive() -> Path:
    """The archive, made on the first call on this machine. Raises NoWheel."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (sys.modules[__name__], baseimage))
    key = hashlib.sha256(sources + sys.version.encode()).hexdigest()[:12]
    folder = _folder()
    made = folder / f"pytorch-{_PYTHON}-{key}.tar"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker of these tests makes it now
        if not made.exists():
            for old in folder.glob(f"pytorch-{_PYTHON}-*"):
                if time.time() - old.stat().st_mtime > KEPT_SECONDS:  # nor another clone's, of another commit
                    old.unlink()
            with tempfile.TemporaryDirectory(dir=folder) as temporary:
                _write(Path(temporary) / "image.tar", _wheels(Path(temporary)))
                (Path(temporary) / "image.tar").rename(made)
        made.touch()
    return made


def _folder() -> Path:
    folder = _STATE.parent / "test-images"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def _wheels(folder: Path) -> list[Path]:
    command = [str(_STATE / "boot/bin/pip"), "download", "-q", "--only-binary=:all:", "-d", str(folder / "wheels")]
    command += REQUIREMENTS
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    if "No matching distribution" in done.stderr or "ResolutionImpossible" in done.stderr:
        raise NoWheel(done.stderr)
    assert done.returncode == 0, done.stderr
    return sorted((folder / "wheels").iterdir())


# --- The archive ------------------------------------------------------------------------------------------------------


def _write(path: Path, wheels: list[Path]) -> None:
    config = {
        "Entrypoint": ["python3", "/opt/app/run.py"],
        "Env": ["PATH=/usr/local/bin", "LD_LIBRARY_PATH=/usr/local/lib", "PYTHONHOME=/usr/local"],
        "User": "user",
        "WorkingDir": "/opt/app",
    }
    with path.open("w+b") as target:
        names = [_append_layer(target, lambda tar: _base(tar)), _append_layer(target, lambda tar: _home(tar, wheels))]
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{name}" for name in names]}
        document = json.dumps({"architecture": "amd64", "os": "linux", "config": config, "rootfs": rootfs}).encode()
        config_name = hashlib.sha256(document).hexdigest() + ".json"
        entry = {"Config": config_name, "RepoTags": ["team/pytorch:1"], "Layers": [f"{name}.tar" for name in names]}
        for name, data in ((config_name, document), ("manifest.json", json.dumps([entry]).encode())):
            target.write(_header(name, len(data)) + data + bytes(-len(data) % 512))
        target.write(bytes(1024))


class _Hashed(io.RawIOBase):
    """A file to write to, of which the digest and the size are known afterwards."""

    def __init__(self, target: IO[bytes]) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self._target.write(data)


def _append_layer(target: IO[bytes], fill) -> str:
    """Write one layer; its header is filled in afterwards. Returns the digest that names it."""
    start = target.tell()
    target.write(bytes(512))
    content = _Hashed(target)
    with tarfile.open(fileobj=content, mode="w|", bufsize=1 << 20) as tar:
        fill(tar)
    target.write(bytes(-content.size % 512))
    end, name = target.tell(), content.digest.hexdigest()
    target.seek(start)
    target.write(_header(f"{name}.tar", content.size))
    target.seek(end)
    return name


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _base(tar: tarfile.TarFile) -> None:
    """The Python of these tests, the libraries of C++ that PyTorch wants, and a user."""
    for name, path in sorted((baseimage.files() | _libraries()).items()):
        member = tar.gettarinfo(path.resolve(), name)
        member.uid = member.gid = 0
        member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
        with path.open("rb") as stream:
            tar.addfile(member, stream)
    _add(tar, "etc/passwd", b"root:x:0:0::/root:\nuser:x:1000:1000::/home/user:/bin/sh\n", 0o644, owner=0)
    _add(tar, "etc/group", b"root:x:0:\nuser:x:1000:\n", 0o644, owner=0)


def _libraries() -> dict[str, Path]:
    listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found: dict[str, Path] = {}
    for line in listing.splitlines():
        name, _, path = line.strip().partition(" ")
        if name in _LIBRARIES and "x86-64" in path:
            found.setdefault(f"usr/local/lib/{name}", Path(path.rpartition("=> ")[2]))
    return found


def _home(tar: tarfile.TarFile, wheels: list[Path]) -> None:
    """The user's home, closed to everybody else, and the program."""
    for folder in (HOME, f"{HOME}/.cache", "opt/app"):
        _add(tar, folder, None, 0o700)
    _add(tar, f"{HOME}/.cache/torch/hub/checkpoints/weights.bin", WEIGHTS, 0o600)
    _add(tar, "opt/app/run.py", PROGRAM.encode(), 0o600)
    for wheel in wheels:
        for name, size, mode, stream in _files(wheel):
            member = tarfile.TarInfo(f"{_SITE}/{name}")
            member.size, member.mode, member.uid, member.gid = size, mode, UID, UID
            tar.addfile(member, stream)


def _files(wheel: Path) -> Iterator[tuple[str, int, int, IO[bytes]]]:
    """What pip unpacks of a wheel: name, size, mode (with a umask of 077) and content."""
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir() or entry.filename.startswith(_LEFT_OUT) or ".data/" in entry.filename:
                continue
            with archive.open(entry) as stream:
                mode = 0o700 if entry.external_attr >> 16 & 0o111 else 0o600
                yield entry.filename, entry.file_size, mode, stream


def _add(tar: tarfile.TarFile, name: str, data: bytes | None, mode: int, *, owner: int = UID) -> None:
    member = tarfile.TarInfo(name)
    member.mode, member.uid, member.gid = mode, owner, owner
    if data is None:
        member.type = tarfile.DIRTYPE
    member.size = len(data or b"")
    tar.addfile(member, io.BytesIO(data or b""))
