"""Example images on a machine without a registry.

On an ordinary machine teams build `FROM python:3.12-slim`. Where nothing can be pulled, `build_base` packs the running
interpreter with its standard library, numpy and SimpleITK, and the shared libraries that `ldd` names, and lets the
engine import that as an image; the template then comes on top. Whatever made the interpreter (a distribution, pyenv,
uv, a venv), inside the image it lies in /usr/local as in the official images; shared libraries lie in /usr/lib, which
every loader searches.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import platform
import py_compile
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO

TEMPLATE = Path(__file__).parent
VARIANTS = ("words", "side-only", "threshold", "fragile", "stuck")
BASE_REPOSITORY = "rexgrounding-example-base"

_PACKAGES = ("numpy", "SimpleITK")
# Not needed to run an algorithm, and half of the size.
_LEFT_OUT = frozenset(
    {
        "__pycache__",
        "site-packages",
        "dist-packages",
        "test",
        "tests",
        "idlelib",
        "tkinter",
        "turtledemo",
        "ensurepip",
        "lib2to3",
    }
)
_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
_LAYOUT = "2"  # raise when what `_files` packs changes, so that an older base is not taken for a current one


class BaseImageError(Exception):
    """The running interpreter cannot be packed; the message says why."""


def build_base(client: Any, repository: str = BASE_REPOSITORY) -> str:
    """The tag of a base image with Python, numpy and SimpleITK; built (some seconds) unless the engine has it."""
    tag = f"{repository}:{_fingerprint()}"
    if not client.api.images(name=tag):
        with tempfile.TemporaryFile() as archive:
            _pack(archive)
            archive.seek(0)
            client.api.import_image_from_stream(
                _chunks(archive),
                repository=repository,
                tag=tag.rpartition(":")[2],
                changes=[
                    "ENV PATH=/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1",
                    f"ENV PYTHONPATH=/usr/local/lib/{_VERSION}/site-packages",  # Debian's Python looks elsewhere
                ],
            )
        if not client.api.images(name=tag):
            raise BaseImageError(f"the engine did not import {tag}")
    return tag


def build_image(client: Any, variant: str, base: str, tag: str) -> str:
    """Build one of VARIANTS as a team would (`docker build --build-arg BASE=...`) and return the image's id."""
    image, _ = client.images.build(
        fileobj=_context(variant),
        custom_context=True,
        tag=tag,
        buildargs={"BASE": base},
        network_mode="none",
        pull=False,
        rm=True,
        forcerm=True,
    )
    return str(image.id)


def save_image(client: Any, tag: str, path: Path) -> None:
    """What `docker save TAG > PATH` writes."""
    with path.open("wb") as file:
        for chunk in client.images.get(tag).save(named=tag):
            file.write(chunk)


def save_weights(variant: str, path: Path) -> bool:
    """Whether a variant has weights apart from its image; then what `tar -czf PATH -C model .` writes."""
    model = TEMPLATE / "variants" / variant / "model"
    if model.is_dir():
        with tarfile.open(path, "w:gz") as archive:
            archive.add(model, arcname=".")
    return model.is_dir()


def method_of(variant: str) -> str:
    """The method description that goes with a variant."""
    return (TEMPLATE / "variants" / variant / "method.md").read_text(encoding="utf-8")


def _context(variant: str) -> BinaryIO:
    """The build context: the template, and over it the variant's own files."""
    files = {"Dockerfile": TEMPLATE / "Dockerfile", "segment.py": TEMPLATE / "segment.py"}
    files |= {
        path.name: path
        for path in (TEMPLATE / "variants" / variant).iterdir()
        if path.suffix in {"", ".py"} and path.is_file()
    }
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, path in sorted(files.items()):
            _add_bytes(archive, name, path.read_bytes())
    context.seek(0)
    return context


def _fingerprint() -> str:
    """Equal for equal interpreters and packages, so that the base is built once."""
    facts = [_LAYOUT, sys.version, platform.machine(), str(Path(sys.executable).resolve())]
    facts += [f"{name} {metadata.version(name)}" for name in _PACKAGES]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(1 << 20):
        yield chunk


def _pack(output: BinaryIO) -> None:
    """Write the root file system as a tar. Times are fixed; modules come compiled, as it cannot be done later."""
    binaries: list[Path] = []
    with tarfile.open(fileobj=output, mode="w") as archive:
        for folder in (
            "tmp",
            "usr",
            "usr/bin",
            "usr/lib",
            "usr/local",
            "usr/local/bin",
            "usr/local/lib",
            "input",
            "output",
        ):
            _add_folder(archive, folder, 0o1777 if folder == "tmp" else 0o755)
        for name, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib"), ("usr/lib64", "lib")):
            _add_link(archive, name, target)
        for target, source in _files():
            _add_bytes(archive, target, source.read_bytes(), 0o755 if _is_elf(source) else 0o644)
            if source.suffix == ".py" and target.startswith("usr/local/lib"):
                _add_compiled(archive, target, source)
            if _is_elf(source):
                binaries.append(source)
        _add_link(archive, "usr/local/bin/python", "python3")
        for name, library in sorted(_shared_libraries(binaries).items()):
            _add_bytes(archive, f"usr/lib/{name}", library.read_bytes(), 0o755)


def _files() -> Iterator[tuple[str, Path]]:
    """(path in the image, file here) of interpreter, shell, standard library and packages."""
    yield "usr/local/bin/python3", Path(sys.executable).resolve()
    yield "usr/bin/sh", Path("/bin/sh").resolve()
    roots = {Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("platstdlib")), Path(_dynload()).parent}
    for root in sorted(roots):
        # In a venv "platstdlib" is the venv's own folder, which holds no standard library.
        if (root / "os.py").exists() or (root / "lib-dynload").exists():
            yield from ((f"usr/local/lib/{_VERSION}/{path.relative_to(root)}", path) for path in _walk(root))
    for package in _PACKAGES:
        for folder in _package_folders(package):
            base = f"usr/local/lib/{_VERSION}/site-packages/{folder.name}"
            yield from ((f"{base}/{path.relative_to(folder)}", path) for path in _walk(folder))


def _dynload() -> str:
    import _ctypes

    # Built into the interpreter (python-build-standalone) it has no file, and there is nothing more to find.
    return getattr(_ctypes, "__file__", None) or str(Path(sysconfig.get_path("stdlib")) / "lib-dynload" / "x")


def _walk(root: Path) -> Iterator[Path]:
    for path in sorted(root.iterdir()):
        if (
            path.name in _LEFT_OUT
            or path.name.startswith(("config-", "_tkinter"))
            or path.suffix in {".a", ".pyc", ".pyi"}
        ):
            continue
        if path.is_dir():
            yield from _walk(path)
        elif path.is_file():
            yield path


def _package_folders(package: str) -> Iterable[Path]:
    """The package, and the shared libraries that its wheel carries beside it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise BaseImageError(f"{package} is not installed for {sys.executable}")
    folder = Path(spec.origin).parent
    beside = [folder.with_name(name) for name in (f"{package}.libs", f"{package.lower()}.libs")]
    return [folder, *(path for path in dict.fromkeys(beside) if path.is_dir())]


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _shared_libraries(binaries: list[Path]) -> dict[str, Path]:
    """Name -> file of everything that the loader here finds for `binaries`, the loader itself included."""
    libraries: dict[str, Path] = {}
    packed = {path.resolve() for path in binaries}
    for start in range(0, len(binaries), 200):
        names = [str(path) for path in binaries[start : start + 200]]
        listing = subprocess.run(["ldd", *names], capture_output=True, text=True, check=False).stdout
        for line in listing.splitlines():
            found = re.match(r"\s+(?:(\S+) => )?(/\S+) \(0x", line)
            if not found:
                continue
            path = Path(found[2])
            if path.resolve() not in packed:
                libraries.setdefault(Path(found[1] or found[2]).name, path.resolve())
    if not any(name.startswith("ld-") for name in libraries):
        raise BaseImageError(f"ldd names no loader for {sys.executable}: a static Python cannot load numpy")
    return libraries


def _add_compiled(archive: tarfile.TarFile, target: str, source: Path) -> None:
    folder, _, name = target.rpartition("/")
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch) / "module.pyc"
        try:
            py_compile.compile(
                str(source),
                cfile=str(compiled),
                dfile="/" + target,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            return  # the standard library ships templates that are not valid Python
        tag = sys.implementation.cache_tag
        _add_bytes(archive, f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc", compiled.read_bytes())


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))


def _add_folder(archive: tarfile.TarFile, name: str, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    archive.addfile(member)


def _add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    archive.addfile(member)
