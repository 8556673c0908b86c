"""How fedcli imports TensorFlow: its settings, and what it leaves out."""

from __future__ import annotations

import gc
import os
import sys

from fedcli.runtime.garbage import garbage_later
from fedcli.runtime.generated_code import keep_generated_code_in_memory

#: TensorFlow Lite converts models of JAX, TensorBoard reads files from S3 by boto3.
_NEEDLESS = ("jax", "boto3")


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
    """Imports TensorFlow without what it takes along where it is installed, a fourth of the time.

    TensorFlow Federated, if it is imported later, still finds JAX. What TensorFlow generates stays in memory.
    """
    if "tensorflow" not in sys.modules:
        _import_alone()
    keep_generated_code_in_memory()


def _import_alone() -> None:
    left_out = [name for name in _NEEDLESS if name not in sys.modules]
    sys.modules |= dict.fromkeys(left_out)  # type: ignore[arg-type]  # makes an import fail, which TensorFlow expects
    try:
        with garbage_later():
            import tensorflow  # noqa: F401
    finally:
        for name in left_out:
            del sys.modules[name]
    gc.freeze()  # TensorFlow's objects stay: later searches for garbage leave them out
