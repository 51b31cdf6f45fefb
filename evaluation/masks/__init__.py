"""Masks: from a hostile NIfTI file to the runs of voxels of each finding.

In reading order: `run_lengths` (sparse geometry), `nifti` (a checked header, and bytes in bounded memory), `scan` (from
bytes to runs), `shape_hints` (why a shape may be wrong), `reading` (from a mask file to runs), `mask_digest` (which
files hold the same), `correction` (what another way of saving would have made of a mask), `prepared` (references read
once and kept). May import `evaluation.errors`, and of other packages
numpy and isal.
"""
