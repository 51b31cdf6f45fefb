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
#: Where the weights lie, read-only, of a submission that came with some apart from its image, as on Grand Challenge.
MODEL_DIR: Final = "/opt/ml/model"
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

#: Where the server mounts programs of its own.
SUPPORT_DIR: Final = "/.rexgrounding"
#: The home of the container's user. It looks like the home of the image's user, and can be written to.
HOME_DIR: Final = f"{SCRATCH_DIR}/home"

#: Environment of every container, whatever its image says.
ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType({"HOME": HOME_DIR, "TMPDIR": SCRATCH_DIR})

#: Environment of a container whose image does not set the variable. There is no network, and libraries that do not know
#: it wait for it; what is only a cache needs no place in the home. Without PYTHONUNBUFFERED the log holds what Python
#: prints only behind all that it writes to stderr, and nothing of it where the program is killed.
DEFAULT_ENVIRONMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH_DIR}/cache/torchinductor",
        "TRITON_CACHE_DIR": f"{SCRATCH_DIR}/cache/triton",
        "MPLCONFIGDIR": f"{SCRATCH_DIR}/cache/matplotlib",
        "NUMBA_CACHE_DIR": f"{SCRATCH_DIR}/cache/numba",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "WANDB_MODE": "offline",
        "WANDB_DIR": SCRATCH_DIR,
        "MLFLOW_TRACKING_URI": f"file:{SCRATCH_DIR}/mlruns",
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "PIP_NO_INDEX": "1",
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
    }
)

#: Variables by which libraries learn how many threads to start, which otherwise count the host's cores. Each is the
#: number of processors of the phase, rounded down and at least 1, where the image does not set it.
THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "RAYON_NUM_THREADS",
    "PYTHON_CPU_COUNT",
)

#: After the last case's file has appeared the program may take this long to exit, whatever a phase's limits;
#: then it is ended, at no cost.
EXIT_SECONDS: Final = 30.0
