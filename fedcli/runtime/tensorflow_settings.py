"""Settings that TensorFlow reads from the environment when it is imported."""

from __future__ import annotations

import os


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
