import numpy as np
import pytest
import tensorflow as tf

from fedcli.compression.quantizers.level_fit import BINS, bin_edges, fitted_levels, histogram, normal_levels


def squared_error(x, levels):
    return np.square(x[:, np.newaxis] - levels).min(1).mean()


@pytest.mark.parametrize(
    ("count", "levels", "error"),
    [
        (2, [0.7980], 0.3634),
        (4, [0.4528, 1.510], 0.1175),
        (8, [0.2451, 0.7560, 1.344, 2.152], 0.03454),
        (16, [0.1284, 0.3881, 0.6568, 0.9424, 1.256, 1.618, 2.069, 2.733], 0.009497),
    ],
)
def test_levels_for_a_normal_distribution_are_those_of_max(count, levels, error):
    """Table I of Max 1960."""
    found = normal_levels(count)
    np.testing.assert_allclose(found[count // 2 :], levels, atol=2e-3)
    np.testing.assert_allclose(found, -found[::-1])
    x = np.linspace(-8, 8, 20_001)
    weights = np.exp(-x * x / 2) / np.exp(-x * x / 2).sum()
    assert (weights * np.square(x[:, np.newaxis] - found).min(1)).sum() == pytest.approx(error, rel=2e-3)


def test_a_histogram_is_numpys():
    edges = bin_edges()
    assert len(edges) == BINS + 1
    assert (np.diff(edges) > 0).all()
    x = np.random.default_rng(0).standard_t(1.5, size=5000).astype(np.float32)
    x = np.clip(x, edges[0] + 1e-3, edges[-1] - 1e-3)
    np.testing.assert_allclose(histogram(tf.constant(x)), np.histogram(x, edges)[0] / 5000, rtol=1e-6)


def test_numbers_outside_count_at_the_ends():
    shares = histogram(tf.constant([1e30, -1e30, 0.0, -0.0])).numpy()
    assert (shares[-1], shares[0], shares[BINS // 2], shares.sum()) == (0.25, 0.25, 0.5, 1)


@pytest.mark.parametrize("count", [2, 4, 16, 64])
@pytest.mark.parametrize("kind", ["normal", "laplace", "skewed"])
def test_fitted_levels_err_as_little_as_lloyds_method_on_the_numbers(kind, count):
    rng = np.random.default_rng(0)
    x = {"normal": rng.normal(size=20_000), "laplace": rng.laplace(size=20_000), "skewed": rng.gamma(2, size=20_000)}[
        kind
    ]
    x = (x / np.sqrt(np.square(x).mean())).astype(np.float32)
    fitted = fitted_levels(histogram(tf.constant(x)), count).numpy()
    assert (np.diff(fitted) > 0).all()
    best = np.quantile(x, (np.arange(count) + 0.5) / count)
    for _ in range(200):
        cells = np.searchsorted((best[1:] + best[:-1]) / 2, x)
        sums, counts = np.bincount(cells, x, count), np.bincount(cells, minlength=count)
        best = np.where(counts > 0, sums / np.maximum(counts, 1), best)
    assert squared_error(x, fitted) <= 1.1 * squared_error(x, best)


@pytest.mark.parametrize("bins", [[0], [64], [127], [0, 127], [63, 64, 100]])
def test_a_distribution_of_few_bins_gives_ascending_levels(bins):
    counts = np.zeros(BINS, np.float32)
    counts[bins] = 3
    levels = fitted_levels(tf.constant(counts), 16).numpy()
    assert np.isfinite(levels).all()
    assert (np.diff(levels) >= 0).all()
    assert bin_edges()[0] <= levels[0] <= levels[-1] <= bin_edges()[-1]
