import heapq
import math
from functools import cache
from itertools import accumulate

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedcli.compression.coders.huffman_lengths import MAX_LENGTH, code_lengths
from tests.compression.coders.helpers import in_session


@cache
def lengths_of_alphabet(size, dtype=tf.int64):
    return tf.function(code_lengths, input_signature=[tf.TensorSpec([size], dtype)])


def lengths_of(histogram):
    return lengths_of_alphabet(len(histogram))(np.array(histogram, np.int64)).numpy().tolist()


def huffman(weights):
    """The lengths of Huffman's code by his own method, without a limit."""
    heap = [(weight, i, [i]) for i, weight in enumerate(weights)]
    heapq.heapify(heap)
    lengths = [0] * len(weights)
    for made in range(len(weights) - 1):
        (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left + right:
            lengths[symbol] += 1
        heapq.heappush(heap, (a + b, len(weights) + made, left + right))
    return lengths


def least_cost(weights, limit):
    """The cost of the best code with a limit, by dynamic programming over trees from the root down.

    At each depth some of the nodes become the codes of the heaviest symbols that have none, and the rest have two
    children each.
    """
    weights = sorted(weights, reverse=True)
    still = [*accumulate(weights, initial=0)]
    size = len(weights)

    @cache
    def cost(depth, nodes, placed):
        if nodes >= size - placed:
            return 0
        if depth == limit:
            return math.inf
        # Every symbol that is still without a code gets one bit longer.
        return min(
            still[size] - still[placed + leaves] + cost(depth + 1, min(2 * (nodes - leaves), size), placed + leaves)
            for leaves in range(nodes)
        )

    return cost(0, 1, 0)


def cost(lengths, histogram):
    return sum(length * (count + 1) for length, count in zip(lengths, histogram, strict=True))


def check_is_complete(lengths):
    assert sum(2 ** (MAX_LENGTH - length) for length in lengths) == 2**MAX_LENGTH
    assert 1 <= min(lengths) <= max(lengths) <= MAX_LENGTH


SIZES = (2, 3, 4, 7, 30)
FIBONACCI = [1, 1]
while len(FIBONACCI) < 40:
    FIBONACCI.append(FIBONACCI[-1] + FIBONACCI[-2])

# Exponents make skewed histograms, whose codes are deep.
count = st.one_of(st.integers(0, 10), st.integers(0, 2**40), st.integers(0, 40).map(lambda e: 2**e))


@given(st.sampled_from(SIZES).flatmap(lambda size: st.lists(count, min_size=size, max_size=size)))
@example([0] * 30)
@example([2**40] * 30)
@settings(deadline=None, max_examples=60)
def test_makes_a_code_as_short_as_huffmans(histogram):
    lengths = lengths_of(histogram)
    check_is_complete(lengths)
    best = huffman([count + 1 for count in histogram])
    if max(best) <= MAX_LENGTH:
        assert cost(lengths, histogram) == cost(best, histogram)
    else:
        assert cost(lengths, histogram) == least_cost([count + 1 for count in histogram], MAX_LENGTH)


@pytest.mark.parametrize("size", [20, 21, 22, 30, 40])
def test_limits_the_deepest_codes_at_the_least_cost(size):
    histogram = [count - 1 for count in FIBONACCI[:size]]
    lengths = lengths_of(histogram)
    check_is_complete(lengths)
    assert max(huffman(FIBONACCI[:size])) == size - 1
    assert max(lengths) == min(size - 1, MAX_LENGTH)
    assert cost(lengths, histogram) == least_cost(FIBONACCI[:size], MAX_LENGTH)


@pytest.mark.parametrize("size", [2, 16, 256, 512])
@pytest.mark.parametrize("skew", [0, 1, 6])
def test_is_within_a_bit_of_the_entropy(size, skew):
    histogram = (np.random.default_rng(size).random(size) ** skew * 1e6).astype(np.int64)
    shares = (histogram + 1) / (histogram + 1).sum()
    entropy = -(shares * np.log2(shares)).sum()
    lengths = lengths_of(histogram)
    check_is_complete(lengths)
    assert entropy - 1e-9 <= (shares * lengths).sum() < entropy + 1


def test_takes_the_largest_alphabet():
    histogram = np.zeros(2**16, np.int64)
    assert lengths_of(histogram) == [16] * 2**16
    histogram[0] = 10**12
    lengths = lengths_of(histogram)
    check_is_complete(lengths)
    assert lengths[0] == 1


def test_one_symbol_needs_no_bits():
    assert lengths_of([7]) == [0]


def test_takes_counts_as_floats_and_what_is_no_count_for_zero_or_the_largest():
    as_floats = lengths_of_alphabet(5, tf.float32)
    np.testing.assert_array_equal(as_floats(np.array([9, 0, 3, 1, 1], np.float32)), lengths_of([9, 0, 3, 1, 1]))
    nothing_known = np.array([9, np.nan, 3, -4, np.inf], np.float32)
    check_is_complete(as_floats(nothing_known).numpy().tolist())


def test_works_inside_a_tff_computation():
    histogram = np.random.default_rng(1).integers(0, 10_000, 64)
    run = in_session(code_lengths, (np.int64, [64]))
    np.testing.assert_array_equal(run(histogram), lengths_of(histogram))
