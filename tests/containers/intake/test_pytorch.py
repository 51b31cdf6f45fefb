"""A real PyTorch image, closed to everybody but its own user, becomes one that the server's user can run."""

from pathlib import Path

import pytest

from containers.intake import CheckedImage
from containers.sandbox.engine import Engine
from tests.containers import pytorch_image

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("pytorch")]


def test_its_home_is_opened_and_kept(pytorch_checked: CheckedImage, pytorch_archive: Path, engine: Engine) -> None:
    assert pytorch_checked.config["home"] == f"/{pytorch_image.HOME}"
    assert pytorch_checked.config["user"] == "user"
    assert pytorch_checked.uncompressed_bytes > 300 << 20
    (opened,) = (warning for warning in pytorch_checked.warnings if "opened" in warning)
    assert f"'/{pytorch_image.HOME}' (" in opened
    assert "'/opt/app' (" in opened
    assert len(opened) < 400
    assert engine.has_image(pytorch_checked.image_id)
    assert pytorch_checked.image_id != pytorch_checked.original_image_id
