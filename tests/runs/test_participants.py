"""participants.csv: appended, cut off on resume, and read however it ends."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedcli.errors import RunDirectoryError
from fedcli.runs.participants import Participant, ParticipantsWriter, lacks_participants, read_participants

#: Ids come from the user's files: commas, quotes and line ends are possible.
IDS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6) | st.sampled_from([",", '"', "a\nb"])
PARTICIPANTS = st.builds(
    Participant,
    round=st.just(0),
    client=IDS,
    outcome=st.sampled_from(["reported", "dropped", "cut"]),
    examples=st.integers(0, 1000),
    seconds=st.floats(0, 1e6),
)
ROUNDS = st.lists(st.lists(PARTICIPANTS, max_size=4), max_size=5).map(
    lambda rounds: [
        [Participant(round, it.client, it.outcome, it.examples, it.seconds) for it in some]
        for round, some in enumerate(rounds, 1)
    ]
)


def write(path, rounds, resumed_after=-1):
    writer = ParticipantsWriter(path, resumed_after)
    for some in rounds:
        writer.append(some)
    writer.close()


@given(ROUNDS, st.integers(-1, 6), ROUNDS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read_and_later_rounds_are_cut_off(tmp_path, rounds, keep, more):
    path = tmp_path / "participants.csv"
    path.unlink(missing_ok=True)
    write(path, rounds)
    everyone = [it for some in rounds for it in some]
    assert read_participants(path) == everyone
    write(path, more, keep)
    assert read_participants(path) == [it for it in everyone if it.round <= keep] + [it for some in more for it in some]


@given(ROUNDS, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_half_written_end_is_passed_over(tmp_path, rounds, data):
    path = tmp_path / "participants.csv"
    path.unlink(missing_ok=True)
    write(path, rounds)
    everyone = read_participants(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    found = read_participants(path)
    assert found == everyone[: len(found)]
    if path.read_bytes() == whole:
        assert found == everyone


def test_damage_elsewhere_is_named(tmp_path: Path):
    path = tmp_path / "participants.csv"
    write(path, [[Participant(1, "a", "reported", 3, 0.5), Participant(1, "b", "cut", 3, 0.5)]])
    path.write_text(path.read_text().replace('1,"a","reported",3', '1,"a","reported",x'))
    with pytest.raises(RunDirectoryError, match=r"participants\.csv is damaged: row 2: .*'x'"):
        read_participants(path)
    path.write_text("round,seconds\n")
    with pytest.raises(RunDirectoryError, match="not a header"):
        read_participants(path)
    with pytest.raises(RunDirectoryError, match="cannot read"):
        read_participants(tmp_path / "none.csv")


@pytest.mark.parametrize("lost", [None, 0, 1, 2])
def test_what_metrics_count_and_the_file_lacks_is_noticed(tmp_path, lost):
    path = tmp_path / "participants.csv"
    everybody = [Participant(1, "a", "reported", 1, 1.0), Participant(1, "b", "cut", 1, 1.0)]
    everybody.append(Participant(2, "a", "dropped", 1, 1.0))
    write(path, [[it for index, it in enumerate(everybody) if index != lost]])
    counts = [{"round": 1, "clients/reported": 1, "clients/cut": 1, "clients/dropped": 0}]
    counts.append({"round": 2, "clients/reported": 0, "clients/cut": 0, "clients/dropped": 1, "clients/other": 7})
    assert lacks_participants(path, counts) == (lost is not None)
    path.unlink()
    assert lacks_participants(path, counts)
    assert not lacks_participants(path, [])
