"""The Dockerfile, built on the real engine without a network and started as compose starts it.

No registry is needed: the base is the Python that runs here, packed with its libraries and a shell, and with the
pinned packages of the target at their place, so that pip checks the pins and finds each of them installed. All comes
with what Python has compiled of it here: of packages as pip would leave them, and of its own library because each
process in the image would compile the same.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import docker
import pytest

from tests.containers.baseimage import libraries_of
from tests.deploy.conftest import DEPLOY, ROOT, eventually

pytestmark = pytest.mark.engine
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
LEFT_OUT = {"..", "site-packages", "dist-packages", "test", "tests", "__pycache__", "idlelib", "lib2to3", "pydoc_data"}
WHEELS = Path("/usr/share/python-wheels")  # where Debian's Python takes pip from for a new environment
PROGRAMS = ("sh", "mkdir", "chmod", "chown", "rm")
# Most of all bytes are these packages'. Of them the image has pip's records and what a server loads when it starts.
LARGE = {"SimpleITK", "cc3d", "numpy", "numpy.libs", "scipy", "scipy.libs"}
LOADED = """
import sys
import leaderboard.wsgi
from django.core.management import call_command
call_command("check", stdout=sys.stderr)
print(*(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)), sep="\\n")
print(*{line.split()[-1] for line in open("/proc/self/maps")}, sep="\\n")
"""
SAFE = {
    "SITE_URL": "https://challenge.example.org",
    "SECRET_KEY": "Kq3vT9wYb2LxR7mZp5NcH8sGd4JfW6aE1uXoV0tQyB",
    "EMAIL_HOST": "mail.example.org",
    "DATABASE_URL": "postgres://rexg@127.0.0.1:1/rexg",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def pinned(target: str) -> list[str]:
    text = (DEPLOY / "requirements" / f"{target}.txt").read_text()
    return re.findall(r"^([a-z0-9][a-z0-9.-]*)==", text, re.MULTILINE)


def loaded() -> set[str]:
    """The modules and libraries of a server that has started."""
    environment = {**os.environ, **SAFE, "DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
    for name in ("DEBUG", "SHOWN_MAILS_DIR", "STATIC_ROOT", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    with tempfile.TemporaryDirectory() as store:
        environment["STORE_DIR"] = store
        told = subprocess.run(
            [sys.executable, "-c", LOADED], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert told.returncode == 0, told.stderr
    return set(told.stdout.splitlines())


def is_left_out(file: PurePath) -> bool:
    """What no process of an image ever reads: tests, types, words in other languages, libraries to link with."""
    is_foreign = "LC_MESSAGES" in file.parts and "en" not in file.parts
    is_for_linking = any(part.startswith("config-") for part in file.parts)
    if file.parts[:2] == ("django", "test"):  # django-ninja hears its signals
        return False
    return is_foreign or is_for_linking or not LEFT_OUT.isdisjoint(file.parts) or file.suffix in (".pyc", ".pyi")


def compiled_of(path: Path, place: str) -> Iterator[tuple[str, Path]]:
    """What Python has compiled of a file here: in a folder of this clone's, or beside it. None of an image would."""
    if path.suffix != ".py":
        return
    here = Path(importlib.util.cache_from_source(str(path)))
    for compiled in (here, path.parent / "__pycache__" / here.name):
        if compiled.is_file():
            yield f"{place.rpartition('/')[0]}/__pycache__/{compiled.name}", compiled
            return


def files(target: str) -> Iterator[tuple[str, Path]]:
    """(path in the image, file here) of interpreter, programs, standard library and the target's packages."""
    yield "usr/local/bin/python3", Path(sys.executable).resolve()
    yield "usr/share/zoneinfo/UTC", Path("/usr/share/zoneinfo/UTC")
    yield from ((f"usr/bin/{name}", Path(shutil.which(name) or name).resolve()) for name in PROGRAMS)
    yield from ((str(path.relative_to("/")), path) for path in WHEELS.glob("*.whl"))
    for library in {Path(sysconfig.get_path("stdlib")), Path(sys.base_prefix) / "lib" / VERSION}:
        for path in library.rglob("*"):
            inside = path.relative_to(library)
            if not is_left_out(inside) and path.is_file():
                place = f"usr/local/lib/{VERSION}/{inside}"
                yield place, path
                yield from compiled_of(path, place)
    started = loaded() if target == "server" else set[str]()
    for name in pinned(target):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # another platform's or Python version's
        for file in found.files or ():
            path = Path(str(found.locate_file(file)))
            if is_left_out(file) or (file.parts[0] in LARGE and str(path) not in started):
                continue
            place = f"venv/lib/{VERSION}/site-packages/{file}"
            yield from ((place, path),) if path.is_file() else ()
            yield from compiled_of(path, place)


def pack(target: str, output: BinaryIO) -> None:
    """A root file system, as a tar."""
    binaries, seen = [], set[str]()
    with tarfile.open(fileobj=output, mode="w", dereference=True) as archive:
        for name, to in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib"), ("usr/lib64", "lib")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, to
            archive.addfile(link)
        link = tarfile.TarInfo("usr/local/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, "python3"
        archive.addfile(link)
        for name, path in files(target):
            if name not in seen:
                seen.add(name)
                archive.add(path, name, recursive=False)
                if re.search(r"\.so(\.|$)", path.name) or name.startswith("usr/"):
                    binaries += [path] if path.read_bytes()[:4] == b"\x7fELF" else []
        for path in libraries(binaries) - {binary.resolve() for binary in binaries}:
            archive.add(path, f"usr/lib/{path.name}", recursive=False)


def libraries(binaries: list[Path]) -> set[Path]:
    """What these need, under the names by which they ask for it."""
    found = set[Path]().union(*map(libraries_of, binaries))
    return {path for path in found if "site-packages" not in path.parts}


def stages_of(target: str) -> str:
    """The Dockerfile with the stages that the target needs. BuildKit makes no others; the engine's API makes all."""
    head, *stages = re.split(r"^(?=FROM )", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    text = {re.match(r"FROM \S+ AS (\S+)", stage)[1]: stage for stage in stages}  # type: ignore[index]
    needed, asked = set[str](), [target]
    while asked:
        name = asked.pop()
        if name in text and name not in needed:
            needed.add(name)
            asked += re.findall(r"(?:^FROM |--from=)(\S+)", text[name], re.MULTILINE)
    return "".join([head, *(stage for name, stage in text.items() if name in needed)])


@dataclass
class Image:
    """A built target."""

    client: docker.DockerClient
    tag: str

    @property
    def config(self) -> dict[str, Any]:
        return dict(self.client.images.get(self.tag).attrs["Config"])

    def start(self, command: list[str] | None, environment: dict[str, str], **options: Any) -> Any:
        """A container locked down as in the compose files."""
        return self.client.containers.run(
            self.tag,
            command,
            environment=environment,
            detach=True,
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            tmpfs={"/tmp": "mode=1777"},
            **options,
        )

    def run(
        self, command: list[str] | None, environment: dict[str, str] | None = None, **options: Any
    ) -> tuple[int, str]:
        """Exit code and output."""
        container = self.start(command, environment or {}, **options)
        try:
            return container.wait(timeout=60)["StatusCode"], container.logs().decode()
        finally:
            container.remove(force=True, v=True)

    def python(self, code: str) -> str:
        status, output = self.run(["python", "-c", code])
        assert status == 0, output
        return output.strip()


def build(target: str, folder: Path) -> Iterator[Image]:
    client = docker.from_env(timeout=300)
    repository = f"rexg-deploy-test-{uuid.uuid4().hex[:8]}"
    base, tag = f"{repository}:base", f"{repository}:{target}"
    with tempfile.TemporaryFile() as archive:
        pack(target, archive)
        archive.seek(0)
        chunks = iter(lambda: archive.read(1 << 20), b"")
        client.api.import_image_from_stream(chunks, repository=repository, tag="base")
    layer = client.images.get(base).attrs["RootFS"]["Layers"][0]
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(stages_of(target))
    try:
        client.images.build(
            path=str(ROOT),
            dockerfile=str(dockerfile),
            target=target,
            tag=tag,
            buildargs={"PYTHON_BASE": base},
            network_mode="none",
            rm=True,
            forcerm=True,
        )
        yield Image(client, tag)
    except docker.errors.BuildError as error:
        pytest.fail("".join(line.get("stream", "") for line in error.build_log) + str(error), pytrace=False)
    finally:
        remove_images(client, layer)


def remove_images(client: docker.DockerClient, layer: str) -> None:
    """Everything that was built on this base, the stages without a name too."""
    for _ in range(3):
        for image in client.api.images(all=True, quiet=True):
            with suppress(docker.errors.APIError):  # a parent of one that is still there, or gone with it
                if client.api.inspect_image(image)["RootFS"].get("Layers", [])[:1] == [layer]:
                    client.api.remove_image(image, force=True)
    client.close()


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from build("worker", tmp_path_factory.mktemp("worker"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    yield from build("server", tmp_path_factory.mktemp("server"))


def test_the_workers_image_holds_the_worker_and_nothing_of_the_server(worker: Image) -> None:
    """It runs as nobody in particular, who can change nothing of it."""
    modules = ["leaderboard", "evaluation", "django", "psycopg", "numpy", "gunicorn", "pip"]
    code = f"import importlib.util as u, os; print(os.listdir(), [m for m in {modules} if u.find_spec(m)], "
    code += "os.getuid(), os.getgid(), os.access('/app', os.W_OK))"
    assert worker.python(code) == "['containers'] [] 10001 10001 False"
    assert worker.config["User"] == "10001:10001"


def test_the_worker_starts_and_says_which_setting_is_missing(worker: Image) -> None:
    status, output = worker.run(None)
    assert status == 1
    assert "The sandbox worker cannot start: REX_SERVER_URL is not set." in output


def test_the_worker_looks_for_the_engine_when_it_has_its_settings(worker: Image) -> None:
    settings = {
        "REX_SERVER_URL": "https://challenge.example.org",
        "REX_HOST_TOKEN": "token",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "REX_STATE_DIR": "/tmp/state",
    }
    status, output = worker.run(None, settings)
    assert status == 1
    assert "The sandbox worker cannot start: The container engine does not answer" in output


CHECKS = """
import json, os
import django
from django.core.management import call_command
django.setup()
call_command("check")
call_command("check", deploy=True, tags=["web"])
os.mkdir("/srv/store/images")
static = json.load(open("/srv/static/staticfiles.json"))["paths"]["site/base.css"]
files = sorted({*os.listdir(), *os.listdir("deploy")} - {"__pycache__"})
print(json.dumps({"files": files, "static": static, "mode": oct(os.stat("/srv/store").st_mode)}))
"""


def test_the_server_passes_its_checks_with_a_new_volume_as_case_store_and_holds_what_runs_alone(server: Image) -> None:
    volume = server.client.volumes.create(f"rexg-deploy-test-{uuid.uuid4().hex[:8]}")
    try:
        mount = {volume.name: {"bind": "/srv/store", "mode": "rw"}}
        settings = SAFE | {"DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
        status, output = server.run(["python", "-c", CHECKS], settings, volumes=mount)
    finally:
        volume.remove(force=True)
    assert status == 0, output
    *checks, told = output.splitlines()
    found = json.loads(told)
    assert checks == ["System check identified no issues (0 silenced)."] * 2
    assert found["mode"] == "0o40700"
    assert found["files"] == [
        *("LICENSE", "containers", "deploy", "evaluation", "gunicorn_settings.py", "healthcheck.py", "leaderboard"),
        *("manage.py", "pyproject.toml", "setup.py", "templates"),
    ]
    assert re.fullmatch(r"site/base\.[0-9a-f]{12}\.css", found["static"]), "static files have hashed names"


def test_the_server_refuses_an_unsafe_start_in_its_image_too(server: Image) -> None:
    status, output = server.run(None, SAFE | {"SECRET_KEY": "change-me"})
    assert status == 1
    assert "SECRET_KEY is a default or too short." in output


def test_gunicorn_comes_up_on_a_read_only_root(server: Image) -> None:
    volume = server.client.volumes.create(f"rexg-deploy-test-{uuid.uuid4().hex[:8]}")
    container = server.start(None, SAFE, volumes={volume.name: {"bind": "/run/rexg", "mode": "rw"}})
    try:
        assert eventually(lambda: b"Listening at: unix:/run/rexg/web.sock" in container.logs(), 60), container.logs()
        ask = "import http.client as h, socket as s; c = h.HTTPConnection('challenge.example.org'); "
        ask += "c.sock = s.socket(s.AF_UNIX); c.sock.connect('/run/rexg/web.sock'); "
        ask += "c.request('GET', '/'); r = c.getresponse(); print(r.status, r.headers['Location']); "
        ask += "import os; print(oct(os.stat('/run/rexg/web.sock').st_mode))"
        answer, mode = container.exec_run(["python", "-c", ask]).output.decode().splitlines()
        assert answer == "301 https://challenge.example.org/"
        assert mode == "0o140770", "for the server and its group, which is nginx's"
    finally:
        container.remove(force=True)
        volume.remove(force=True)


def test_nothing_secret_is_sent_to_the_engine_as_build_context(tmp_path: Path) -> None:
    """What .dockerignore lets through, as the engine's own client decides it."""
    from docker.utils.build import exclude_paths

    for name in ("deploy/server.env", "deploy/tls/privkey.pem", "tests/x.py", ".git/config", "leaderboard/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for name in ("manage.py", "leaderboard/a.py", "deploy/requirements/server.txt", "deploy/gunicorn_settings.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    patterns = (ROOT / ".dockerignore").read_text().splitlines()
    sent = exclude_paths(str(tmp_path), patterns, dockerfile="deploy/Dockerfile")
    assert {name for name in sent if (tmp_path / name).is_file()} == {
        "manage.py",
        "leaderboard/a.py",
        "deploy/requirements/server.txt",
        "deploy/gunicorn_settings.py",
    }
