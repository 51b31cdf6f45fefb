from collections.abc import Callable
from pathlib import Path

import pytest

from containers.intake import ArchiveLimits, CheckedImage, ImageRejected, check_archive
from tests.containers.intake.build import written

Check = Callable[..., CheckedImage]
Refusal = Callable[..., ImageRejected]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks bytes as an upload; the rebuilt archive is `tmp_path / "rebuilt.tar"`."""

    def run(data: bytes, **limits: int) -> CheckedImage:
        return check_archive(
            written(tmp_path, data), tmp_path / "rebuilt.tar", limits=ArchiveLimits(**limits), progress=None
        )

    return run


@pytest.fixture
def refusal(check: Check, tmp_path: Path) -> Refusal:
    """The refusal of an upload, after which nothing may be left beside the upload."""

    def run(data: bytes, **limits: int) -> ImageRejected:
        with pytest.raises(ImageRejected) as caught:
            check(data, **limits)
        assert [path.name for path in tmp_path.iterdir()] == ["upload.tar"]
        return caught.value

    return run
