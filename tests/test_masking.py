import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcli.errors import ConfigError, DataError
from fedcli.masking import has_password, keys_with_passwords, masked
from fedcli.passwords import refuse_passwords

SECRET = st.text(st.characters(exclude_characters="/'\"<>?# \t\n\r", exclude_categories=["C", "Z"]), min_size=3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pw@host/a", "https://***@host/a"),
        ("dataset.origin=HTTP://token@host", "dataset.origin=HTTP://***@host"),
        ("from ftp://a:b@c to ray://d:e@f:1", "from ftp://***@c to ray://***@f:1"),
        ("postgresql://me:p@ss@host/db", "postgresql://***@host/db"),
        ("https://host/a?X-Signature=1&b=2 next", "https://host/a?*** next"),
    ],
)
def test_what_is_masked(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text", ["https://host/a", "file:///data/a@b", "a@b.c", "me:pw@host", "is it there? a: b", "https://host/@me"]
)
def test_what_stays(text):
    assert masked(text) == text
    assert not has_password(text)


@given(SECRET, st.sampled_from(["https", "ray", "s3+http"]), st.text(max_size=20))
def test_no_password_survives(secret, scheme, before):
    text = f"{before} {scheme}://user:{secret}@host/path"
    assert has_password(text)
    assert masked(text).endswith(f"{scheme}://***@host/path")
    assert masked(masked(text)) == masked(text)


def test_every_key_of_a_config_is_looked_at():
    config = {"a": {"b": [1, "https://x:y@z"]}, "c": "https://z", "d": None, "e": "ray://u@h:1"}
    assert [key for key, _ in keys_with_passwords(config)] == ["a.b", "e"]
    with pytest.raises(ConfigError, match=r"^a\.b=https://\*\*\*@z: "):
        refuse_passwords({"a": {"b": "https://x:y@z"}})


def test_errors_show_no_password():
    error = DataError("cannot fetch https://me:pw@host/a", "try https://me:pw@host/b")
    assert "pw" not in str(error) + error.message + error.hint


def test_the_log_shows_no_password(tmp_path):
    from fedcli.cli.logs import logging_to

    with logging_to(tmp_path / "run.log") as open_log:
        open_log()
        logging.getLogger("fedcli").warning("asking %s", "https://me:pw@host/a")
    assert "https://***@host/a" in (tmp_path / "run.log").read_text()
