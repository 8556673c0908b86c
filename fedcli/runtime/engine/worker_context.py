"""TFF's execution context for a worker that is ready. Imports TFF, so `worker.py` imports it late."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import grpc
import tensorflow_federated as tff

from fedcli.errors import WorkerError

#: Says how the worker ended, waiting for the news for some seconds at most; None while it lives.
Failure = Callable[[float], WorkerError | None]

# How long a lost connection may be known before the worker's death is.
_REPORT_SECONDS = 2.0

# gRPC's own limit of 4 MB is less than a model.
_CHANNEL_OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def create_context(address: str, failure: Failure, timeout: float) -> tff.framework.SyncExecutionContext:
    """Connects to a worker and returns a context that computes in it.

    The connection stays open for as long as the context exists.

    Args:
        address: Where gRPC reaches the worker.
        failure: Says how the worker ended, if it did.
        timeout: Seconds to wait at most until the worker answers.

    Raises:
        WorkerError: If the worker ended.
        TimeoutError: If it does not answer in time.
    """
    channel = grpc.insecure_channel(address, _CHANNEL_OPTIONS)
    _wait_connected(channel, failure, timeout)
    stub = _Stub(grpc.intercept_channel(channel, _NoRetry(failure)))

    def create_executor(
        cardinalities: dict[tff.framework.PlacementLiteral, int],
    ) -> tff.framework.Executor:
        if error := failure(0):
            raise error
        executor = tff.framework.RemoteExecutor(stub)
        executor.set_cardinalities({tff.CLIENTS: 0, **cardinalities})
        return executor

    return tff.framework.SyncExecutionContext(
        executor_fn=tff.framework.ResourceManagingExecutorFactory(create_executor),
        compiler_fn=tff.backends.native.desugar_and_transform_to_native,
        transform_args=tff.tensorflow.transform_args,
        transform_result=tff.tensorflow.transform_result,
    )


def is_lost_connection(error: BaseException) -> bool:
    """Whether an error can come from a worker that is just dying."""
    lost = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)
    return isinstance(error, grpc.RpcError) and isinstance(error, grpc.Call) and error.code() in lost


def explain(error: BaseException, failure: Failure) -> WorkerError | None:
    """Says how the worker ended, where that may be what caused an error."""
    return failure(_REPORT_SECONDS if is_lost_connection(error) else 0)


class _Stub(tff.framework.RemoteExecutorGrpcStub):
    """Keeps quiet about values that can no longer be freed, because the worker with them is gone."""

    def dispose(self, request: Any) -> Any:
        with contextlib.suppress(Exception):
            return super().dispose(request)

    def dispose_executor(self, request: Any) -> Any:
        with contextlib.suppress(Exception):
            return super().dispose_executor(request)


class _NoRetry(grpc.UnaryUnaryClientInterceptor):
    """Ends what TFF takes for a passing failure, as of a remote worker, and repeats for ever."""

    def __init__(self, failure: Failure) -> None:
        self._failure = failure

    def intercept_unary_unary(self, continuation: Callable[[Any, Any], Any], details: Any, request: Any) -> Any:
        """Makes one call."""
        call = continuation(details, request)
        if call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION):
            error = call.exception()
            raise explain(error, self._failure) or WorkerError(
                f"TFF's worker could not do a computation: {call.details()}",
                "look at its log for the reason, or use runtime=local",
            ) from error
        return call


def _wait_connected(channel: grpc.Channel, failure: Failure, timeout: float) -> None:
    """Waits until the worker answers, or has ended, or the time is over."""
    deadline = time.monotonic() + timeout
    connected = grpc.channel_ready_future(channel)
    try:
        while True:
            with contextlib.suppress(grpc.FutureTimeoutError):
                connected.result(0.1)
                return
            if error := failure(0):
                raise error
            if time.monotonic() > deadline:
                raise TimeoutError
    finally:
        connected.cancel()
