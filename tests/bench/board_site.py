"""The site with files of its own below /bench/, served as its static files are, by the same processes."""

import os

from whitenoise import WhiteNoise  # type: ignore[import-untyped]

from leaderboard.wsgi import application as site

application = WhiteNoise(site, root=os.environ["BENCH_FILES"], prefix="bench/")
