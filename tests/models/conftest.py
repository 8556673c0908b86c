import warnings

import pytest


@pytest.fixture(scope="session")
def tensorflow():
    """TensorFlow, imported without its own deprecation warning (of ml_dtypes.float8_e4m3b11)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import tensorflow
    return tensorflow
