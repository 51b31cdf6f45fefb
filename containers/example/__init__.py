"""What a team starts from.

    README.md       how to build and try an image
    segment.py      the template: an algorithm that a team replaces with its own (`Dockerfile` packs it)
    variants/       further algorithms for the demonstration, each over the template
    base            how the images are built on a machine without a registry

Imports nothing of ours: the files are copied into images.
"""
