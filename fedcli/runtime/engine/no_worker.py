"""Takes TFF's own default context away, which would start a worker process that nobody ends."""

from __future__ import annotations

from typing import Any

import tensorflow_federated as tff
from tensorflow_federated.python.core.impl.context_stack import context_base


class NoWorker(context_base.SyncContext):
    """Refuses to execute: fedcli's runtimes do."""

    def invoke(self, comp: Any, arg: Any) -> Any:
        """Raises.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("a TFF computation was called outside of runtime=tff")


tff.framework.set_default_context(NoWorker())
