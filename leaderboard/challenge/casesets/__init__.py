"""Case sets as files, checked as the organisers deliver them. No Django here.

entries, official                the dataset JSON; a case set with its volumes and masks
files, texts, geometry           what else lies in its folders; sentences made plain; places that can't be
problems                         all that is said about it, in groups with what to do
nifti                            volumes, read and written anew
"""
