"""Flower's simulation with PyTorch, by its message API of today: an actor for each core, a thread in each.

https://flower.ai/docs/framework/tutorial-series-get-started-with-flower-pytorch.html; FedAvg weighs by examples.
"""

from __future__ import annotations

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray hides the cores from actors beyond their share; an actor's threads are as many as its cores.
os.environ["OMP_NUM_THREADS"] = "1"

import logging
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch.nn import functional

from benchmarks.peers import torch_models
from benchmarks.sides.protocol import Plan, Reporter, arguments

logging.getLogger("flwr").setLevel(logging.WARNING)


@cache
def _actor(folder: str) -> tuple[Plan, torch.nn.Module]:
    """Reads the data and builds the model once in each of Ray's actors."""
    plan = Plan(Path(folder))
    torch.set_num_threads(1)
    return plan, torch_models.build(plan)


client_app = ClientApp()


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """Trains a client."""
    config = message.content["config"]
    plan, model = _actor(config["folder"])
    model.load_state_dict(message.content["arrays"].to_torch_state_dict())
    optimizer = torch.optim.SGD(model.parameters(), plan.learning_rate)
    x, y = torch_models.tensors(*plan.client(config["server-round"], int(context.node_config["partition-id"])))
    steps = 0
    for start in range(0, len(x), plan.batch_size):
        optimizer.zero_grad()
        batch = slice(start, start + plan.batch_size)
        functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
        steps += 1
    metrics = MetricRecord({"num-examples": len(x), "steps": steps})
    content = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=message)


class Reporting(FedAvg):
    """FedAvg that says when a round is done."""

    reporter: Reporter

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Averages the models; see the base class."""
        replies = list(replies)
        for reply in replies:
            if reply.has_error():
                raise RuntimeError(f"a client failed: {reply.error.reason}")
        metrics = [reply.content["metrics"] for reply in replies]
        result = super().aggregate_train(server_round, replies)
        counts = [int(sum(of[name] for of in metrics)) for name in ("steps", "num-examples")]
        self.reporter.round(server_round, *counts)
        return result


def main() -> None:
    """Trains the plan's rounds."""
    plan, reporter, _ = arguments()
    server_app = ServerApp()

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        clients = plan.num_clients
        strategy = Reporting(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
        strategy.reporter = reporter
        model = torch_models.build(plan)
        result = strategy.start(
            grid=grid,
            initial_arrays=ArrayRecord(model.state_dict()),
            train_config=ConfigRecord({"folder": str(plan.folder)}),
            num_rounds=plan.rounds,
        )
        model.load_state_dict(result.arrays.to_torch_state_dict())
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        accuracy, loss = torch_models.evaluate(model, plan)
        dtype = str(next(model.parameters()).dtype).removeprefix("torch.")
        batch = [plan.batch_size, *plan.client(1, 0)[0].shape[1:]]
        reporter.done(accuracy, loss, batch, dtype, ["flwr", "torch", "ray"])

    cores = len(os.sched_getaffinity(0))
    run_simulation(
        server_app=server_app,
        client_app=client_app,
        num_supernodes=plan.num_clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": cores}},
    )


if __name__ == "__main__":
    # By its own name, by which Ray's actors can import it; they do not have this `__main__`.
    from benchmarks.peers import flower

    flower.main()
