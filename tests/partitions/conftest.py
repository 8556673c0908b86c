from tests.datasets.conftest import mirror, mirror_cache, tensorflow  # noqa: F401 (fixtures)
