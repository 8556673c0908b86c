"""What a round costs to communicate, and the names by which a computation says how its messages count."""

from __future__ import annotations

from dataclasses import dataclass

#: Name of a structure's element that a simulation carries to measure a round, and a real client would not send.
NOT_SENT = "fedcli_not_sent"
#: Name of a structure's element that a simulation broadcasts, and a real client has from the start, once for all.
KNOWN = "fedcli_known"
#: Name of a uint8 tensor whose length depends on the values: it counts nothing here, the round's metrics measure it.
STREAM = "stream"
#: Name of a codec's measurements among those of a process.
CODING = "coding"
#: Name of a structure's element that is a change of the model: a client that keeps the model needs the changes of all
#: rounds since it last took part.
CHANGE = "fedcli_change"

#: Name of an element of a client's data: a sequence of one truth value, whether the client attacks.
ATTACKS = "fedcli_attacks"
#: Name of an element of what a client sends: the change of what it keeps for the next round in which it takes part.
CHANGE_OF_KEPT = "fedcli_change_of_kept"
#: Name of a number that a client sends: 1 if it reports, 0 if the runtime has to leave it out of the round. It counts
#: no bits: a client that does not report sends nothing.
REPORTS = "fedcli_reports"
#: Name in the server's state of the number of training clients, sampled or not, which is set before the first round.
NUM_CLIENTS = "fedcli_num_clients"


@dataclass(frozen=True)
class Communication:
    """Bits that one round costs for each client.

    Attributes:
        broadcasted_bits: Server to client.
        aggregated_bits: Client to server.
        change_bits: Those of `broadcasted_bits` that are a change of the model; see `CHANGE`.
        known_bits: Bits that are broadcast in the simulation only, and are not among those; see `KNOWN`.
    """

    broadcasted_bits: int
    aggregated_bits: int
    change_bits: int = 0
    known_bits: int = 0
