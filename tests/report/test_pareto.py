from hypothesis import given
from hypothesis import strategies as st

from fedcli.report.pareto import pareto_front

numbers = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(numbers, numbers), max_size=12))
def test_a_point_is_on_the_front_exactly_if_none_dominates_it(points):
    def is_dominated(point):
        return any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)

    assert pareto_front(points) == [not is_dominated(point) for point in points]
