"""A batch's folder on the host: the input as the container sees it, and the harvested output.

    <batch>-<fence>/input/cases.json, input/images/<name>      mounted read-only at /input
    <batch>-<fence>/model/...                                  weights, mounted read-only at /opt/ml/model
    <batch>-<fence>/support/<name>                             files of ours, mounted read-only at their own paths
    <batch>-<fence>/output/<name>                              results on their way to the server

Volumes are hard links into the cache. They are readable by everyone, because the sandbox's user is no owner
of them; the folder above, the host's state, is closed to everyone but the worker, and a bind mount opens just
this one folder. All times are the same instant, so that they tell nothing about earlier runs.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from containers.protocol.contract import CASES_FILE, IMAGES_DIR
from containers.protocol.orders import Order, OrderCase

#: 2000-01-01 in seconds since 1970: the modification time of every file and folder of an input.
FIXED_MTIME = 946_684_800


class BatchFolder:
    """The folder of one attempt at a batch."""

    def __init__(self, parent: Path, batch: str, fence: int) -> None:
        self.path = parent / f"{batch}-{fence}"
        self.input = self.path / "input"
        self.model = self.path / "model"
        self.support = self.path / "support"
        self.output = self.path / "output"

    def stage(self, order: Order, link: Callable[[OrderCase, Path], None]) -> Path:
        """Lay out the input of an order anew; `link` puts a case's volume at a path.

        Returns the folder to mount.
        """
        self.remove()
        images = self.input / IMAGES_DIR
        images.mkdir(parents=True)
        for case in order.cases:
            link(case, images / case.name)
        cases = self.input / CASES_FILE
        entries = ",\n".join(case.entry for case in order.cases)
        cases.write_bytes(f"[{entries}]\n".encode(errors="surrogatepass"))
        for path, mode in ((cases, 0o444), (images, 0o755), (self.input, 0o755)):
            path.chmod(mode)
            os.utime(path, (FIXED_MTIME, FIXED_MTIME))
        return self.input

    def add_support(self, files: Mapping[str, bytes]) -> Path:
        """Lay out files of ours, which everyone may read and execute. Returns their folder."""
        shutil.rmtree(self.support, ignore_errors=True)
        self.support.mkdir(parents=True)
        for name, content in files.items():
            path = self.support / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o555)
            os.utime(path, (FIXED_MTIME, FIXED_MTIME))
        for folder in {self.support, *(self.support / name for file in files for name in Path(file).parents)}:
            folder.chmod(0o755)
        return self.support

    def new_output(self) -> Path:
        """An empty folder for harvested files."""
        shutil.rmtree(self.output, ignore_errors=True)
        self.output.mkdir(parents=True)
        return self.output

    def remove_input(self) -> None:
        """Remove what the container had of us; the results stay."""
        shutil.rmtree(self.input, ignore_errors=True)
        shutil.rmtree(self.model, ignore_errors=True)
        shutil.rmtree(self.support, ignore_errors=True)

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
