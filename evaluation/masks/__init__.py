"""From a hostile NIfTI file to the runs of each finding: headers, voxels as run lists, references read once.

May import `evaluation.errors` and nothing else of the evaluation.
"""
