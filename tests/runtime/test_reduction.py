from hypothesis import given
from hypothesis import strategies as st

from fedcli.runtime.reduction import Node, OrderedSum, Tree, fan_in


def bracketed(a, b):
    return f"({a}{b})"


def summed(values, ways):
    total = OrderedSum(bracketed, ways)
    for value in values:
        total.add(value)
    return total.total()


def laid_out(values, group_size):
    """The same sum by the laid-out tree, as a runtime on many machines makes it."""
    groups = [values[start : start + group_size] for start in range(0, len(values), group_size)]
    tree = Tree(len(groups), fan_in(group_size))

    def in_order(parts):
        total = parts[0]
        for part in parts[1:]:
            total = bracketed(total, part)
        return total

    def of(node):
        parts = groups[node.index] if node.level == 0 else [of(child) for child in tree.children(node)]
        assert all(tree.parent(child) == node for child in tree.children(node))
        return in_order(parts)

    assert len(tree.tops()) <= fan_in(group_size)
    assert all(tree.parent(top) is None for top in tree.tops())
    return in_order([of(top) for top in tree.tops()])


@given(st.integers(1, 300), st.integers(1, 12))
def test_a_sum_of_what_arrives_is_the_laid_out_tree(count, group_size):
    values = [f"<{i}>" for i in range(count)]
    assert summed(values, fan_in(group_size)) == laid_out(values, group_size)


def test_few_clients_are_summed_in_groups_in_order():
    assert summed("abcdefg", 3) == "((((ab)c)((de)f))g)"
    assert summed("abc", 10) == "((ab)c)"


def test_no_value_has_no_sum():
    assert summed([], 2) is None


@given(st.integers(1, 5000), st.integers(2, 10))
def test_it_holds_one_sum_a_level(count, ways):
    total = OrderedSum(lambda a, b: a + b, ways)
    most = 0
    for _ in range(count):
        total.add(1)
        most = max(most, sum(map(len, total._branches)))
    assert total.total() == count
    assert ways ** (most - 1) <= count


def test_nodes_are_ordered_level_by_level():
    assert sorted([Node(1, 0), Node(0, 3), Node(0, 1)]) == [Node(0, 1), Node(0, 3), Node(1, 0)]
