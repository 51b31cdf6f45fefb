"""The compiled kernel of the scoring, which is optional; pyproject.toml says all the rest."""

from hashlib import sha256
from pathlib import Path

from setuptools import Extension, setup

SOURCE = "evaluation/kernel/kernel.c"
DIGEST = sha256(Path(__file__).with_name("evaluation").joinpath("kernel/kernel.c").read_bytes()).hexdigest()

setup(
    ext_modules=[
        Extension(
            "rexg_kernel",
            [SOURCE],
            define_macros=[("KERNEL_SOURCE", f'"{DIGEST}"')],
            # The first says that the numbers are to be exact, whatever the environment's CFLAGS say.
            extra_compile_args=["-fno-fast-math", "-std=c11", "-O3", "-fno-math-errno", "-ffp-contract=off"],
            py_limited_api=True,
            optional=True,  # without a compiler NumPy does its work
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
