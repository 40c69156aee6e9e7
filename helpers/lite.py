"""A model of photos as a LiteRT file (.tflite), which phones and small computers run, and what such a file predicts."""

from sources.lite_files import convert, interpreter, predict

__all__ = ["convert", "interpreter", "predict"]
