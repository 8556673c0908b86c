"""The parts of models that import TensorFlow.

`fedcli.models` imports all of its own modules to find the models, when a config is checked; this package is left
out of that, so that a mistake in a config is reported before TensorFlow is imported.
"""
