"""Compression of model updates and models: codecs in pure TensorFlow, and the TFF processes that send by them.

A `Codec` turns a vector of numbers into the message that travels, and back. `sum_factory` sends clients' updates by
codecs, and the distributors send the model. Nothing here is imported before TensorFlow is needed.
"""
