"""Each optimizer, as TFF computes it, against its paper's formulas in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

import fedcli.runtime.engine.no_worker  # noqa: F401 (no TFF worker at exit)
from fedcli.optimizers import optimizers

START = np.array([1.0, -2.0, 3.0], np.float32)
CURVATURE = np.array([1.0, 0.5, 4.0], np.float32)
STEPS = 4


def sgd(learning_rate, momentum=0.0):
    velocity = 0.0

    def step(w, g, t):
        nonlocal velocity
        velocity = momentum * velocity + g
        return w - learning_rate * velocity

    return step


def adam(learning_rate, beta_1, beta_2, epsilon, weight_decay=0.0):
    m = v = 0.0

    def step(w, g, t):
        nonlocal m, v
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        # The form of section 2's end, as TensorFlow has it: epsilon is added before the bias is corrected.
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return w - rate * m / (np.sqrt(v) + epsilon) - learning_rate * weight_decay * w

    return step


def adagrad(learning_rate, initial_preconditioner_value, epsilon):
    total = initial_preconditioner_value

    def step(w, g, t):
        nonlocal total
        total = total + g**2
        return w - learning_rate * g / np.sqrt(total + epsilon)

    return step


def yogi(learning_rate, beta_1, beta_2, epsilon, initial_preconditioner_value):
    m, v = 0.0, initial_preconditioner_value

    def step(w, g, t):
        nonlocal m, v
        m = beta_1 * m + (1 - beta_1) * g
        v = v - (1 - beta_2) * np.sign(v - g**2) * g**2
        rate = learning_rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return w - rate * m / (np.sqrt(v) + epsilon)

    return step


def rmsprop(learning_rate, decay, epsilon):
    v = 0.0

    def step(w, g, t):
        nonlocal v
        v = decay * v + (1 - decay) * g**2
        return w - learning_rate * g / (np.sqrt(v) + epsilon)

    return step


# Values away from the defaults: a key that is not handed on to TFF shows.
CASES = [
    ("sgd", sgd, {"learning_rate": 0.1}),
    ("sgd", sgd, {"learning_rate": 0.05, "momentum": 0.8}),
    ("adam", adam, {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 0.01}),
    ("adamw", adam, {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 0.01, "weight_decay": 0.1}),
    ("adagrad", adagrad, {"learning_rate": 0.3, "initial_preconditioner_value": 0.5, "epsilon": 0.01}),
    (
        "yogi",
        yogi,
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 0.01, "initial_preconditioner_value": 0.3},
    ),
    ("rmsprop", rmsprop, {"learning_rate": 0.1, "decay": 0.8, "epsilon": 0.01}),
]


@pytest.mark.parametrize(("name", "reference", "keys"), CASES, ids=[f"{case[0]}-{len(case[2])}" for case in CASES])
def test_steps_on_a_quadratic_are_those_of_the_paper(name, reference, keys):
    optimizer = optimizers[name](name=name, **keys).build()
    state = optimizer.initialize(tf.TensorSpec([3]))
    weights, expected, step = tf.constant(START), START.astype(np.float64), reference(**keys)
    for t in range(1, STEPS + 1):
        state, weights = optimizer.next(state, weights, CURVATURE * weights)
        expected = step(expected, CURVATURE * expected, t)
        np.testing.assert_allclose(weights, expected, rtol=2e-5, err_msg=f"step {t}")


def test_every_optimizer_is_compared():
    assert {name for name, *_ in CASES} == set(optimizers.components)


@pytest.mark.parametrize("name", optimizers.components)
def test_defaults_build_and_descend(name):
    optimizer = optimizers[name](name=name).build()
    state = optimizer.initialize(tf.TensorSpec([3]))
    _, weights = optimizer.next(state, tf.constant(START), tf.constant(CURVATURE * START))
    assert np.all(np.abs(weights) < np.abs(START))


@pytest.mark.parametrize("name", ["adam", "yogi"])
def test_the_correction_of_the_bias_is_a_factor_that_the_papers_step_lacks(name):
    """Algorithm 2 of Reddi et al. steps by m / (sqrt(v) + tau), whatever the round."""
    optimizer = optimizers[name](name=name, learning_rate=0.1, beta_1=0.9, beta_2=0.99, epsilon=0.001).build()
    state = optimizer.initialize(tf.TensorSpec([3]))
    weights, factors = tf.constant(START), []
    for _ in range(400):
        before = weights
        state, weights = optimizer.next(state, before, tf.constant(CURVATURE))
        step = 0.1 * state["accumulator"] / (np.sqrt(state["preconditioner"]) + 0.001)
        factors.append(((before - weights) / step).numpy())
    assert factors[0] == pytest.approx(1, rel=1e-3)
    assert factors[12] == pytest.approx(0.469, rel=1e-2)
    assert factors[399] == pytest.approx(0.991, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "keys", "moves"),
    [
        ("sgd", {}, False),
        ("adagrad", {}, False),
        ("rmsprop", {}, False),
        ("sgd", {"momentum": 0.9}, True),
        ("adam", {}, True),
        ("adamw", {}, True),
        ("yogi", {}, True),
    ],
)
def test_some_optimizers_move_weights_on_that_get_an_update_of_zero(name, keys, moves):
    optimizer = optimizers[name](name=name, **keys).build()
    state, first = optimizer.next(optimizer.initialize(tf.TensorSpec([3])), tf.constant(START), tf.constant(CURVATURE))
    _, then = optimizer.next(state, first, tf.zeros([3]))
    assert np.any(np.not_equal(first, then)) == moves


def test_sgd_without_momentum_keeps_no_velocity():
    build = optimizers["sgd"]
    plain = build(name="sgd").build().initialize(tf.TensorSpec([3]))
    heavy = build(name="sgd", momentum=0.9).build().initialize(tf.TensorSpec([3]))
    assert len(tf.nest.flatten(plain)) < len(tf.nest.flatten(heavy))
