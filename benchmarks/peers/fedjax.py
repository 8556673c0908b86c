"""FedJAX's federated averaging (`fedjax.algorithms.fed_avg`) with Haiku models, in jax 0.4.30.

Its batches all have one shape, since another shape is another compilation: it fills a client's last batch with
examples of the same client. The number of steps is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import fedjax
import haiku
import jax
import jax.numpy as jnp
import numpy as np
from fedjax.algorithms import fed_avg

from benchmarks.sides.protocol import Plan, arguments


def main() -> None:
    """Trains the plan's rounds."""
    plan, reporter, _ = arguments()
    network = haiku.without_apply_rng(haiku.transform(lambda x: NETWORKS[plan.settings["model"]](plan.classes)(x)))
    x, y = plan.test
    params = _with_values(network.init(jax.random.PRNGKey(0), x[:1]), plan)

    def loss(params: Any, batch: Mapping[str, Any], rng: Any) -> jax.Array:
        return _losses(network.apply(params, batch["x"]), batch["y"]).mean()

    algorithm = fed_avg.federated_averaging(
        jax.grad(loss),
        fedjax.optimizers.sgd(plan.learning_rate),
        fedjax.optimizers.sgd(1.0),
        fedjax.ShuffleRepeatBatchHParams(batch_size=plan.batch_size, skip_shuffle=True),
    )
    state = algorithm.init(params)
    rng = jax.random.PRNGKey(plan.settings["seed"])
    for round in range(1, plan.rounds + 1):
        clients = []
        for index in range(plan.num_clients):
            inputs, targets = plan.client(round, index)
            rng, use = jax.random.split(rng)
            clients.append((str(index), fedjax.ClientDataset({"x": inputs, "y": targets}), use))
        state, _ = algorithm.apply(state, clients)
        # JAX returns before the numbers are there.
        jax.block_until_ready(state.params)
        steps = sum(plan.steps(len(dataset)) for _, dataset, _ in clients)
        reporter.round(round, steps, steps * plan.batch_size)

    @jax.jit
    def test(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = network.apply(state.params, x)
        return (logits.argmax(-1) == y).sum(), _losses(logits, y).sum()

    batches = [slice(start, start + 256) for start in range(0, len(x), 256)]
    hits, losses = np.sum([[float(of) for of in test(x[batch], y[batch])] for batch in batches], axis=0)
    dtype = str(jax.tree_util.tree_leaves(state.params)[0].dtype)
    batch = [plan.batch_size, *x.shape[1:]]
    reporter.done(float(hits / y.size), float(losses / y.size), batch, dtype, ["fedjax", "jax", "dm-haiku"])


def _losses(logits: jax.Array, y: jax.Array) -> jax.Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], axis=-1)[..., 0]


def _cnn(classes: int) -> Callable[[jax.Array], jax.Array]:
    return haiku.Sequential(
        [
            haiku.Conv2D(32, 5, padding="SAME"),
            jax.nn.relu,
            haiku.MaxPool((1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
            haiku.Conv2D(64, 5, padding="SAME"),
            jax.nn.relu,
            haiku.MaxPool((1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
            haiku.Flatten(),
            haiku.Linear(512),
            jax.nn.relu,
            haiku.Linear(classes),
        ]
    )


def _mlp(classes: int) -> Callable[[jax.Array], jax.Array]:
    hidden = [haiku.Linear(200), jax.nn.relu, haiku.Linear(200), jax.nn.relu]
    return haiku.Sequential([haiku.Flatten(), *hidden, haiku.Linear(classes)])


#: From the number of classes to a network.
NETWORKS = {"cnn": _cnn, "mlp": _mlp}


def _with_values(params: Any, plan: Plan) -> Any:
    """Puts the plan's weights, which have Keras's order and layout, in the place of Haiku's."""
    weights = iter(plan.weights)
    return {module: {"w": jnp.asarray(next(weights)), "b": jnp.asarray(next(weights))} for module in params}


if __name__ == "__main__":
    main()
