"""A small Python image made from the interpreter that runs the tests, for an engine that can pull nothing.

The image holds the interpreter, the shared libraries it and its extension modules need, and the standard
library. Its program runs, case by case, the Python code that a test has put into the case's entry of
cases.json as "do", so one image serves every behaviour.
"""

import fcntl
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from docker import APIClient
from docker.errors import NotFound

REPOSITORY = "rexgrounding-tests/python"
LOADER = "/lib64/ld-linux-x86-64.so.2"
_LEFT_OUT = re.compile(
    r"/(test|tests|site-packages|idlelib|tkinter|turtledemo|ensurepip|lib2to3|distutils|config-[^/]*)(/|$)"
    r"|\.opt-[12]\.pyc$"
)
# What no test's program imports: each image goes through engine, archive, check and engine again, so that a megabyte
# here is paid dozens of times.
_NOT_IMPORTED = re.compile(
    r"/(asyncio|curses|dbm|pydoc_data|sqlite3|unittest|venv|wsgiref|xml|xmlrpc)/"
    r"|/(_pydecimal|aifc|doctest|ftplib|imaplib|mailbox|nntplib|pdb|pickletools|pydoc|smtplib|turtle)\."
    r"|/lib-dynload/(_asyncio|_codecs_|_ctypes_test|_curses|_elementtree|_lsprof|_multibytecodec|_sqlite3|_test|_tkinter"
    r"|_xx|audioop|nis|ossaudiodev|pyexpat|readline|xx)"
)

PROGRAM = """
import json, os, pathlib, sys
INPUT, OUTPUT = pathlib.Path("/input"), pathlib.Path("/output")

def finish(name, content=b"mask"):
    temporary = OUTPUT / (name + ".part")
    temporary.write_bytes(content)
    temporary.rename(OUTPUT / name)

for case in json.loads((INPUT / "cases.json").read_text()):
    name = case["name"]
    volume = INPUT / "images" / name
    if "do" in case:
        exec(case["do"])
    else:
        finish(name, b"mask of " + volume.read_bytes())
"""


def libraries_of(binary: Path) -> set[Path]:
    """What the loader here finds for a program or library, and the loader; under the names by which they are asked for.

    `ldd` says the same after some shells for each file.
    """
    listing = subprocess.run([LOADER, "--list", binary], capture_output=True, text=True, check=False).stdout
    return {Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", listing, re.MULTILINE)}


def files() -> dict[str, Path]:
    """Path in the image -> file on this machine: an interpreter with all that programs may import."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    interpreter = Path(sys.executable).resolve()
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    files = {"usr/local/bin/python3": interpreter}
    libraries = libraries_of(interpreter)
    for path in stdlib.rglob("*"):
        inside = "/" + path.relative_to(stdlib).as_posix()
        if path.is_file() and not _LEFT_OUT.search(inside):
            files[f"usr/local/lib/{version}{inside}"] = path
    for name in (
        "_ctypes",
        "_json",
        "_struct",
        "_posixsubprocess",
        "_socket",
        "_hashlib",
        "_ssl",
        "zlib",
        "_lzma",
        "_bz2",
    ):
        for module in (stdlib / "lib-dynload").glob(f"{name}.*.so"):
            libraries |= libraries_of(module)
    for library in libraries:
        folder = "lib64" if library.name.startswith("ld-linux") else "usr/local/lib"
        files[f"{folder}/{library.name}"] = library
    return files


def _archive(more: Iterable[Path]) -> bytes:
    buffer = io.BytesIO()
    found = {name: path for name, path in files().items() if not _NOT_IMPORTED.search(f"/{name}")}
    found |= {f"usr/local/lib/{library.name}": library for library in more}
    with tempfile.TemporaryDirectory() as scratch, tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in sorted(found.items()):
            _add(tar, name, path, Path(scratch) / "stripped")
        program = tarfile.TarInfo("algorithm.py")
        program.size, program.mode = len(PROGRAM), 0o644
        tar.addfile(program, io.BytesIO(PROGRAM.encode()))
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, path: Path, scratch: Path) -> None:
    member = tar.gettarinfo(path.resolve(), name)
    member.uid = member.gid = 0
    member.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    content = _without_debug_information(path, scratch)
    member.size = content.stat().st_size
    with content.open("rb") as stream:
        tar.addfile(member, stream)


def _without_debug_information(path: Path, scratch: Path) -> Path:
    """A Python that was built here, and not by a distribution, is four fifths of that; where it can be left out."""
    is_binary = path.suffix not in (".py", ".pyc")
    if is_binary and (strip := shutil.which("strip")):
        command = [strip, "--strip-debug", "-o", str(scratch), str(path.resolve())]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return scratch
    return path


def build(client: APIClient, tag: str, more: Iterable[Path] = ()) -> str:
    """Make the image `REPOSITORY:tag`, with more libraries of this machine, and return its id."""
    changes = [
        "ENV PATH=/usr/local/bin LD_LIBRARY_PATH=/usr/local/lib PYTHONHOME=/usr/local",
        'ENTRYPOINT ["python3", "/algorithm.py"]',
    ]
    client.import_image_from_data(_archive(more), repository=REPOSITORY, tag=tag, changes=changes)
    return str(client.inspect_image(f"{REPOSITORY}:{tag}")["Id"])


def shared(client: APIClient, tag: str, temporary: Path) -> str:
    """The image under a tag of its own, and its id: made by the first of all test processes that asks for it.

    `temporary` is this process's folder; where there are several, they lie side by side. Who removes a tag takes the
    image from nobody else.
    """
    ours = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    with (ours / "python-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = ours / "python-image.id"
        try:
            client.tag(made.read_text(), REPOSITORY, tag)
        except (FileNotFoundError, NotFound):
            made.write_text(build(client, tag))
    return str(client.inspect_image(f"{REPOSITORY}:{tag}")["Id"])


def derive(client: APIClient, base: str, dockerfile: str, tag: str, layer: bytes = b"") -> str:
    """Make an image from `base` with the files of a tar `layer` and further Dockerfile lines, and return its id."""
    context = io.BytesIO()
    added = "ADD layer.tar /" if layer else ""
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in (("Dockerfile", f"FROM {base}\n{added}\n{dockerfile}\n".encode()), ("layer.tar", layer)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    context.seek(0)
    options = {"custom_context": True, "rm": True, "forcerm": True, "decode": True}
    for line in client.build(fileobj=context, tag=f"{REPOSITORY}:{tag}", **options):
        if "error" in line:
            raise RuntimeError(line["error"])
    return str(client.inspect_image(f"{REPOSITORY}:{tag}")["Id"])
