"""Whether TensorFlow and TensorFlow Federated can be imported."""

from __future__ import annotations

import signal
import time

from fedcli.doctor.check import Check
from fedcli.doctor.child import Child

_PROGRAM = """
import tensorflow as tf
import tensorflow_federated
print(*(device.name for device in tf.config.list_physical_devices("GPU")), sep=", ")
"""


def check_imports() -> Check:
    """Imports both, in a process of its own: a processor that lacks instructions ends it by a signal."""
    started = time.monotonic()
    # As fedcli imports them, but without its settings.
    with Child("-W", "ignore", "-c", _PROGRAM) as child:
        ended = child.wait()
    seconds = time.monotonic() - started
    if ended.code == 0:
        gpus = ended.stdout.strip().splitlines()[-1:] or [""]
        return Check(
            "imports",
            "passed",
            f"TensorFlow and TensorFlow Federated imported in {seconds:.1f} s, "
            + (f"GPUs: {gpus[0]}" if gpus[0] else "no GPU (none is needed)"),
        )
    if ended.code == -signal.SIGILL:
        advice = "TensorFlow's wheel needs a processor with AVX: use another machine"
    elif ended.code == -signal.SIGKILL:
        advice = "free memory: importing takes about 1 GB"
    else:
        advice = 'see all of it: python -c "import tensorflow, tensorflow_federated"; then reinstall fedcli'
    return Check("imports", "failed", f"importing TensorFlow and TensorFlow Federated: {ended.reason()}", advice)
