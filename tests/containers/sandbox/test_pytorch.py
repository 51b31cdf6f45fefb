"""A real PyTorch image runs, with all that it needs in the home of its own user, which nobody else could enter."""

import json

import pytest

from containers.intake import CheckedImage
from tests.containers import pytorch_image
from tests.containers.conftest import Sandbox, statuses

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("pytorch")]

MEMORY = 2 << 30


def test_it_finds_its_packages_and_weights_and_writes_its_settings(
    sandbox: Sandbox, pytorch_checked: CheckedImage
) -> None:
    report = sandbox.run(None, None, image=pytorch_checked.image_id, cpus=1, memory_bytes=MEMORY)
    assert statuses(report) == [("finished", None)] * 2, report.log
    said = json.loads(report.log.splitlines()[0])
    assert said["torch"].startswith(pytorch_image.VERSION)
    assert said["where"].startswith("/tmp/home/.local/")
    assert (said["home"], said["user"], said["threads"]) == ("/tmp/home", "user", 1)
    assert said["mean"] == sum(pytorch_image.WEIGHTS[:256]) / 256
