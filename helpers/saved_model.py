"""A callable or a Keras model as a reusable SavedModel, the format of TensorFlow Hub's modules.

hub.load, hub.KerasLayer, tf.saved_model.load and HubLayer read it.
"""

from sources.saved_models import PHOTOS, TEXTS, save, save_backbone

__all__ = ["PHOTOS", "TEXTS", "save", "save_backbone"]
