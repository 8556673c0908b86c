"""How fedcli imports TensorFlow: its settings, and what it leaves out."""

from __future__ import annotations

import os
import sys

from fedcli.runtime.generated_code import keep_generated_code_in_memory


def set_up_tensorflow() -> None:
    """Keeps TensorFlow's messages from the terminal and makes its numbers independent of the machine's cores.

    Must be called before TensorFlow is imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # TensorFlow turns oneDNN on by itself on newer Intel processors only. Everywhere else convolutions take twice the
    # time without it (EMNIST CNN on an AMD EPYC: 260 against 130 ms a client), and would round differently from there.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    # The pool that kernels share is made by whatever uses TensorFlow first, so a session's own setting may come
    # too late. With one thread, sums have one order; fedcli uses the cores for clients and batches instead.
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"


def import_tensorflow() -> None:
    """Imports TensorFlow without JAX, which TensorFlow Lite would import to convert models, a fifth of the time.

    TensorFlow Federated, if it is imported later, still finds JAX. What TensorFlow generates stays in memory.
    """
    if "jax" not in sys.modules:
        sys.modules["jax"] = None  # type: ignore[assignment]  # makes an import of it fail, which TensorFlow expects
        try:
            import tensorflow  # noqa: F401
        finally:
            del sys.modules["jax"]
    keep_generated_code_in_memory()
