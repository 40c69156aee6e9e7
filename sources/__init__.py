"""How modules, photos and texts reach the disk, and how they are read and run there. Lessons never import this room.

catalogues      the tables in data/: what there is, and which source answers for it
cache           where prepared things are kept, and how they get there whole or not at all
progress        how far something long has come
fetch           a pinned, hash-checked package through pip or npm
git             chosen files of a public repository at a pinned commit
tfds            the photo sets that TensorFlow Datasets downloads
class_folders   a folder per class out of a public set, cleaned of copies and of photos with two labels
tables          any CSV table that a person made
photo_files     one photo: read it, or say what is wrong with it
photo_folders   a folder of photos: what is loaded, what is left out, what is a fault
photo_tables    its groups.csv and table.csv
photo_report    the same for a person, on one screen
module_folders  the folder of each module: built, downloaded, or the reader's own
saved_models    write, load and count a reusable SavedModel
engines         what runs a module: LiteRT, or TensorFlow's graph
extraction      photos through an engine: read ahead, resumable
lite_files      LiteRT files for phones
readers/        file formats: weights in .h5 and TensorFlow.js files, a TensorFlow.js graph
recipes/        how each module, photo set and text set is built from its package
"""
