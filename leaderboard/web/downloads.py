"""What a team starts from, as this server has it: the template of an algorithm, and the code that scores."""

import io
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

REQUIREMENTS = ("connected-components-3d", "isal", "numpy", "scipy")  # of the scorer, as in pyproject.toml
SCORER_SUFFIXES = (".c", ".py", ".md", ".toml", ".typed")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: the same files make the same archive
_FILE = 0o644 << 16


@require_safe
def download(_request: HttpRequest, name: str) -> HttpResponse:
    """`template.zip`: an algorithm to start from. `scorer.zip`: `rexg score`, at this server's version."""
    if name not in ("template", "scorer"):
        raise Http404
    headers = {"Content-Disposition": f'attachment; filename="rexgrounding-{name}.zip"'}
    return HttpResponse(_archive(name), content_type="application/zip", headers=headers)


@cache
def _archive(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in _template() if name == "template" else _scorer():
            entry = zipfile.ZipInfo(f"rexgrounding-{name}/{path}", _EPOCH)
            entry.external_attr = _FILE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def _template() -> Iterator[tuple[str, bytes]]:
    folder = settings.BASE_DIR / "containers" / "example"
    for name in ("Dockerfile", "README.md", "segment.py"):
        yield name, (folder / name).read_bytes()


def _scorer() -> Iterator[tuple[str, bytes]]:
    """What `pip install .` needs, and what it brings."""
    base: Path = settings.BASE_DIR
    for path in (
        base / "pyproject.toml",
        base / "setup.py",
        base / "LICENSE",
        *sorted((base / "evaluation").rglob("*")),
    ):
        if path.suffix in SCORER_SUFFIXES or path.name == "LICENSE":
            yield str(path.relative_to(base)), path.read_bytes()
    yield "requirements.txt", "".join(f"{name}=={version(name)}\n" for name in REQUIREMENTS).encode()
