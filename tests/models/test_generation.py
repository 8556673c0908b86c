import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.datasets.base import DataSpec
from fedcli.errors import ConfigError
from fedcli.models.char_rnn import CharRNN
from fedcli.models.cnn import CNN
from fedcli.models.generation import Sampling, TextGenerator, check_prompt
from fedcli.text.vocabulary import VOCABULARY, encode

SPEC = DataSpec("text", (20,), "int32", (20,), len(VOCABULARY), 1)
FORMS = pytest.mark.parametrize("reset_after", [True, False])


def random_weights(model, seed=0):
    rng = np.random.default_rng(seed)
    gates, characters = 3 * model.units, len(VOCABULARY)
    shapes = [
        (characters, model.embedding_dim),
        (model.embedding_dim, gates),
        (model.units, gates),
        (2, gates) if model.reset_after else (gates,),
        (model.units, characters),
        (characters,),
    ]
    return [rng.normal(0, 0.5, shape).astype(np.float32) for shape in shapes]


@pytest.fixture
def generator():
    model = CharRNN(embedding_dim=6, units=12)
    return TextGenerator(model, random_weights(model))


def text(generator, *args, **kwargs):
    return "".join(generator.generate(*args, **kwargs))


@FORMS
def test_logits_are_those_of_keras(tensorflow, reset_after):
    model = CharRNN(embedding_dim=6, units=12, reset_after=reset_after)
    weights = random_weights(model)
    keras = model.export(SPEC)
    keras.set_weights(weights)
    ids = encode("What of TensorFlow, you ask? ")
    expected = keras(ids[None])[0]
    np.testing.assert_allclose(TextGenerator(model, weights).logits(ids), expected, rtol=1e-4, atol=1e-5)


@FORMS
def test_greedy_text_is_that_of_keras_on_all_that_was_written(tensorflow, reset_after):
    model = CharRNN(embedding_dim=6, units=12, reset_after=reset_after)
    weights = random_weights(model)
    keras = model.export(SPEC)
    keras.set_weights(weights)
    written = "Once"
    for _ in range(10):
        written += VOCABULARY[int(np.argmax(keras(encode(written)[None])[0, -1]))]
    assert "Once" + text(TextGenerator(model, weights), "Once", 10, Sampling(temperature=0)) == written


def test_same_seed_same_text(generator):
    first = text(generator, "So ", 200, seed=3)
    assert first == text(generator, "So ", 200, seed=3)
    assert len(first) == 200
    assert set(first) <= set(VOCABULARY)
    assert first != text(generator, "So ", 200, seed=4)


def test_each_sample_has_numbers_of_its_own(generator):
    samples = [text(generator, "So ", 100, seed=3, sample=sample) for sample in range(3)]
    assert len(set(samples)) == 3
    assert samples[2] == text(generator, "So ", 100, seed=3, sample=2)


def test_nothing_is_left_of_the_sample_before(generator):
    # Two at once, in turns: each has its own state.
    alone = text(generator, "So ", 50)
    pairs = zip(generator.generate("So ", 50), generator.generate("But ", 50), strict=True)
    assert "".join(first for first, _ in pairs) == alone


def test_characters_come_as_they_are_chosen(generator):
    endless = generator.generate("So ", 10**12)
    assert len(list(itertools.islice(endless, 5))) == 5


def test_top_k_of_one_is_greedy(generator):
    greedy = text(generator, "So ", 50, Sampling(temperature=0))
    assert text(generator, "So ", 50, Sampling(top_k=1), seed=8) == greedy
    assert text(generator, "So ", 50, Sampling(temperature=1e-9), seed=8) == greedy


@given(
    logits=st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=20),
    temperature=st.floats(0, 1e6),
    top_k=st.none() | st.integers(1, 25),
    seed=st.integers(0, 2**32),
)
def test_choice_is_among_the_likeliest(logits, temperature, top_k, seed):
    logits = np.array(logits, np.float32)
    chosen = Sampling(temperature, top_k).choose(logits, np.random.default_rng(seed))
    allowed = 1 if temperature == 0 else min(top_k or len(logits), len(logits))
    assert logits[chosen] >= np.sort(logits)[-allowed]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_frequencies_are_the_probabilities(temperature):
    logits = np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
    rng = np.random.default_rng(0)
    counts = np.bincount([Sampling(temperature).choose(logits, rng) for _ in range(20_000)], minlength=4)
    expected = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    np.testing.assert_allclose(counts / 20_000, expected, atol=0.015)


def test_prompt_with_foreign_characters_is_refused(generator):
    with pytest.raises(ConfigError) as caught:
        generator.generate("Café ~ 1", 10)
    assert "'\\xe9' at position 3, '~' at position 5" in caught.value.message
    assert "\n" not in caught.value.message + caught.value.hint
    with pytest.raises(ConfigError, match="and 2 more"):
        check_prompt("é" * 7)


@pytest.mark.parametrize(
    ("prompt", "length", "more", "said"),
    [
        ("", 10, {}, "prompt is empty"),
        ("So", 0, {}, "--length 0"),
        ("So", 5, {"seed": -1}, "--seed -1"),
        ("So", 5, {"sample": -1}, "--sample -1"),
    ],
)
def test_wrong_wishes_are_refused_before_the_first_character(generator, prompt, length, more, said):
    with pytest.raises(ConfigError, match=said) as caught:
        generator.generate(prompt, length, **more)
    assert caught.value.hint


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"temperature": float("inf")}, {"top_k": 0}]
)
def test_wrong_sampling_is_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        Sampling(**wrong)
    assert caught.value.hint


def test_a_model_for_images_writes_no_text():
    with pytest.raises(ConfigError, match="model=cnn"):
        TextGenerator(CNN(), [])


@FORMS
def test_a_thousand_characters_in_time(reset_after):
    model = CharRNN(reset_after=reset_after)
    generator = TextGenerator(model, random_weights(model))
    # Processor time of this thread: the machine may be busy with other tests.
    started = time.thread_time()
    text(generator, "What of TensorFlow Federated, you ask? ", 200)
    assert time.thread_time() - started < 2
