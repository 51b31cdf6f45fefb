"""An image with the very PyTorch of the Python that runs these tests, where that computes on GPUs.

Some gigabytes: PyTorch, NVIDIA's libraries and whatever else it requires, as they are installed here.
"""

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib import import_module, metadata
from io import BytesIO
from pathlib import Path

from docker import APIClient
from packaging.requirements import Requirement

from tests.containers import baseimage

SITE = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
LEFT_OUT = ("triton",)  # a compiler for kernels written in Python, which needs a C compiler beside it
_LEFT_OUT_FILES = ("torch/include/", "torch/share/", "torch/test/", "torch/bin/protoc", "..")


def why_not() -> str:
    """Why there can be no such image; empty when there can."""
    try:
        torch = import_module("torch")
    except ImportError:
        return "this Python has no PyTorch"
    return "" if torch.version.cuda else "this Python's PyTorch computes on no NVIDIA GPU"


def build(client: APIClient, tag: str, libraries: Iterable[Path]) -> str:
    """Make the image `tag` of the tests' repository, with these libraries, too, and return its id."""
    site = _site_packages()
    wanted = {library.name: library for library in [*_system_libraries(site.values()), *libraries]}
    files = baseimage.files() | {f"usr/local/lib/{name}": library for name, library in wanted.items()} | site
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, path in sorted(files.items()):
                _add(tar, name, path)
            program = tarfile.TarInfo("algorithm.py")
            program.size = len(baseimage.PROGRAM)
            tar.addfile(program, BytesIO(baseimage.PROGRAM.encode()))
        archive.flush()
        changes = [
            "ENV PATH=/usr/local/bin LD_LIBRARY_PATH=/usr/local/lib PYTHONHOME=/usr/local PYTHONUNBUFFERED=1",
            f"ENV PYTHONPATH=/{SITE}",  # Debian's own Python looks in folders of other names
            'ENTRYPOINT ["python3", "/algorithm.py"]',
        ]
        client.import_image_from_file(archive.name, repository=baseimage.REPOSITORY, tag=tag, changes=changes)
    return str(client.inspect_image(f"{baseimage.REPOSITORY}:{tag}")["Id"])


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    member = tar.gettarinfo(path.resolve(), name)
    member.type, member.linkname, member.size = tarfile.REGTYPE, "", path.stat().st_size  # one file, two names: both
    member.uid = member.gid = 0
    member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    with path.open("rb") as stream:
        tar.addfile(member, stream)


def _site_packages() -> dict[str, Path]:
    """Path in the image -> file of PyTorch or of what it requires."""
    return {
        f"{SITE}/{file}": path
        for distribution in _required("torch")
        for file in distribution.files or ()
        if not str(file).startswith(_LEFT_OUT_FILES) and (path := Path(str(file.locate()))).is_file()
    }


def _system_libraries(files: Iterable[Path]) -> set[Path]:
    """The libraries of this machine that these need; the driver's own, the engine brings."""
    found = {
        Path(path)
        for file in files
        if re.search(r"\.so(\.|$)", file.name)
        for path in re.findall(
            r"=> (/\S+)", subprocess.run(["ldd", file], capture_output=True, text=True, check=False).stdout
        )
    }
    return {one for one in found if "site-packages" not in one.parts and not re.match("lib(cuda|nvidia)", one.name)}


def _required(name: str) -> Iterator[metadata.Distribution]:
    """A distribution and all that it requires in this environment."""
    asked, seen = [Requirement(name)], set[str]()
    while asked:
        one = asked.pop()
        if str(one) in seen or one.name in LEFT_OUT:
            continue
        seen.add(str(one))
        distribution = metadata.distribution(one.name)
        yield distribution
        extras = ["", *one.extras]
        for needed in map(Requirement, distribution.requires or ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                asked.append(needed)
