"""File formats: weights in .h5, safetensors and TensorFlow.js files, and a TensorFlow.js graph."""

import functools
from collections.abc import Callable


class FormatError(ValueError):
    """A file is damaged, or is not what its name says. The message names it."""


def reads(read: Callable) -> Callable:
    """Make a function of a path raise FormatError, whatever the library under it raises."""

    @functools.wraps(read)
    def wrapped(path):
        try:
            return read(path)
        except FormatError:
            raise
        except Exception as error:  # json, h5py, safetensors, protobuf and numpy have no common one
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise FormatError(f"{path} is damaged, or of another format ({why}).") from error

    return wrapped
