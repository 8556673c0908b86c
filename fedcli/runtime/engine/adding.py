"""Whether a computation does nothing but add."""

from __future__ import annotations

from fedcli.runtime.engine.compiled import Part, node_of


def only_adds(part: Part) -> bool:
    """Says whether a part takes two lists of tensors and gives their sums, one by one.

    Args:
        part: Takes the tensors of the first list, then those of the second.
    """
    nodes = {node.name: node for node in part.graph.node}

    def added(name: str) -> set[str]:
        node = nodes[node_of(name)]
        if node.op == "Identity":
            return added(node.input[0])
        return set(map(node_of, node.input)) if node.op == "AddV2" else set()

    count = len(part.outputs)
    return len(part.inputs) == 2 * count and all(
        added(output) == {node_of(first), node_of(then)}
        for first, then, output in zip(part.inputs[:count], part.inputs[count:], part.outputs, strict=True)
    )
