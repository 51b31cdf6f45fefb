"""What a team may rely on: the paths, names and environment of the container that runs its image.

The guidelines page is rendered from these values and the sandbox enforces them; there is no second place.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

#: Where the batch lies, read-only: CASES_FILE and one volume per case in IMAGES_DIR.
INPUT_DIR: Final = "/input"
#: A JSON list of the batch's cases, to be processed in this order.
CASES_FILE: Final = "cases.json"
#: Folder of INPUT_DIR with the volumes, named as the cases are.
IMAGES_DIR: Final = "images"
#: Where one mask per case is expected, under the case's name.
OUTPUT_DIR: Final = "/output"
#: How every case's name ends.
SUFFIX: Final = ".nii.gz"
#: The only other place that can be written; programs may be executed from it; emptied with the container.
SCRATCH_DIR: Final = "/tmp"  # noqa: S108 - a path inside the container
#: The host name inside the container.
HOSTNAME: Final = "sandbox"
#: Platform of an algorithm image.
PLATFORM: Final = "linux/amd64"

#: Environment set for every algorithm, whatever its image says: the root file system is read-only and the
#: user has no home, so every cache that common libraries keep is sent to the scratch folder.
ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HOME": SCRATCH_DIR,
        "TMPDIR": SCRATCH_DIR,
        "XDG_CACHE_HOME": f"{SCRATCH_DIR}/.cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH_DIR}/.cache/torchinductor",
        "TRITON_CACHE_DIR": f"{SCRATCH_DIR}/.cache/triton",
        "MPLCONFIGDIR": f"{SCRATCH_DIR}/.cache/matplotlib",
        "NUMBA_CACHE_DIR": f"{SCRATCH_DIR}/.cache/numba",
    }
)

#: After the last case's file has appeared the program may take this long to exit; then it is ended, at no
#: cost.
EXIT_SECONDS: Final = 30.0
