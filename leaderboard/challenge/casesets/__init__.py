"""Case sets as files, checked as the organisers deliver them. No Django here.

entries, official                the dataset JSON; a case set with its volumes and masks
nifti                            volumes, read and written anew
"""
