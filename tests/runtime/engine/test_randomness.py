import numpy as np
import pytest

from fedcli.errors import ConfigError
from fedcli.models.base import ModelConfig
from tests.runtime.conftest import SPEC, work


def graph_def(build):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        outputs = build(tf)
    return graph.as_graph_def(), [x.name for x in outputs]


def run(definition, outputs, seed):
    import tensorflow as tf

    from fedcli.runtime.engine import randomness

    seeded = randomness.seeded(definition)
    with tf.Graph().as_default() as graph, tf.compat.v1.Session() as session:
        tf.import_graph_def(seeded, name="")
        keys = randomness.keys(seed, len(randomness.random_operations(definition)))
        return session.run(outputs, {graph.get_tensor_by_name(f"{randomness.KEYS}:0"): keys})


def draws(tf):
    return [
        tf.compat.v1.random_uniform([10_000]),
        tf.compat.v1.random_normal([10_000]),
        tf.compat.v1.truncated_normal([10_000]),
        tf.compat.v1.random_uniform([10_000], 3, 11, tf.int32),
        tf.compat.v1.random_uniform([10_000]),
    ]


@pytest.fixture(scope="module")
def top_level():
    return graph_def(draws)


def test_the_same_seed_gives_the_same_numbers(top_level):
    once, again, other = (run(*top_level, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    for a, b, c in zip(once, again, other, strict=True):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_distributions_are_kept(top_level):
    uniform, normal, truncated, integers, uniform2 = run(*top_level, (5,))
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.02)
    assert normal.std() == pytest.approx(1, abs=0.05)
    assert np.abs(truncated).max() <= 2
    assert set(integers) == set(range(3, 11))
    assert abs(np.corrcoef(uniform, uniform2)[0, 1]) < 0.05


def test_the_time_of_day_becomes_a_number_of_the_seed():
    """TFF takes seeds of microseconds: what stands for them must differ from draw to draw, and be as many."""
    definition, outputs = graph_def(lambda tf: [tf.raw_ops.Timestamp(name=f"now_{i}") for i in range(2)])
    once, again, other = (run(definition, outputs, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert once == again
    assert len({*once, *other}) == 4
    seeds = [np.int64(run(definition, outputs, (seed,))[0] * 10**6) for seed in range(200)]
    assert len(set(seeds)) == 200
    assert 0 <= min(seeds) < 2**49 < 2**52 < max(seeds) < 2**53


def loop(tf):
    """Collects 5 draws of a lowered loop."""
    tf.compat.v1.disable_control_flow_v2()
    try:
        drawn = tf.TensorArray(tf.float32, 5)

        def body(i, array):
            return i + 1, array.write(i, tf.compat.v1.random_uniform([1000]))

        _, array = tf.compat.v1.while_loop(lambda i, _: i < 5, body, [0, drawn])
        return [array.stack()]
    finally:
        tf.compat.v1.enable_control_flow_v2()


def test_a_loop_draws_anew_in_each_step():
    definition, outputs = graph_def(loop)
    (once,), (again,), (other,) = (run(definition, outputs, seed) for seed in ((1,), (1,), (2,)))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert len(np.unique(once)) > 4900


def test_a_graph_without_random_operations_is_left_alone():
    from fedcli.runtime.engine import randomness

    definition, _ = graph_def(lambda tf: [tf.constant(1)])
    assert randomness.seeded(definition) is definition


def test_an_operation_without_a_seeded_form_is_refused():
    from fedcli.runtime.engine import randomness

    definition, _ = graph_def(lambda tf: [tf.compat.v1.random_gamma([3], 1.0)])
    with pytest.raises(ConfigError, match="RandomGamma"):
        randomness.seeded(definition)


class WithDropout(ModelConfig):
    kind = "image"

    def build(self, spec):
        import tensorflow as tf

        layers = tf.keras.layers
        return tf.keras.Sequential(
            [
                layers.InputLayer(spec.x_shape),
                layers.Flatten(),
                layers.Dense(32, activation="relu"),
                layers.Dropout(0.5),
                layers.Dense(spec.num_classes),
            ]
        )


def test_dropout_follows_the_seed_of_the_client(compiled):
    from dataclasses import replace

    from fedcli.runtime.local import LocalRuntime

    program = compiled(model=WithDropout("dropout"), spec=SPEC)
    with LocalRuntime(1, 10) as runtime:
        runtime.load(program)
        state = runtime.initial_state((0, 0))
        clients = [work(c, 1) for c in range(2)]
        states = [
            runtime.run_round(state, these, (0, 0)).state
            for these in (clients, clients, [clients[0], replace(clients[1], seed=(7, 7))])
        ]
    kernel = program.model_weights()[0][0]
    assert np.array_equal(states[0][kernel], states[1][kernel])
    assert not np.array_equal(states[0][kernel], states[2][kernel])
