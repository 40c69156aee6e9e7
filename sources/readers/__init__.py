"""File formats: weights in .h5 and TensorFlow.js files, and a TensorFlow.js graph."""
