"""How modules, photos and texts reach the disk, and how they are read there. Lessons never import this room.

cache          where prepared things are kept, and how they get there whole or not at all
catalogues     the tables in data/: what there is, and which source answers for it
fetch          a pinned, hash-checked package through pip or npm
tfds           the photo sets that TensorFlow Datasets downloads
git            chosen files of a public repository at a pinned commit
class_folders  a folder per class out of a public set, cleaned of copies and of photos with two labels
photo_files    one photo: read it, or say what is wrong with it
tables         a CSV table, whatever its delimiter and encoding
photo_folders  a folder of photos: its classes, groups.csv, table.csv
readers/       file formats: weights in .h5 and TensorFlow.js files, a TensorFlow.js graph
recipes/       how each module, photo set and text set is built from its package
"""
