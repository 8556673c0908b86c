"""Parses YAML that anybody may have written: aliases that multiply without end, and huge numbers, are refused.

Not by OmegaConf: importing it takes longer than reading 50 configs with PyYAML's C parser.
"""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped]

#: Values that a document may have where each alias counts as what it stands for.
_MOST_VALUES = 200_000
#: Characters of a number; Python refuses to write whole numbers of thousands of digits.
_MOST_DIGITS = 400

# The safe loaders only: a file may come from anybody.
_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type]
    """Refuses what takes more time or memory than its length."""

    def flatten_mapping(self, node: Any) -> None:
        """Refuses merge keys (`<<`), each of which can double the keys before it; no config has them."""
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise yaml.constructor.ConstructorError(None, None, "merge keys (<<) are not read", node.start_mark)
        super().flatten_mapping(node)

    def short_number(self, node: Any) -> Any:
        """Refuses numbers of hundreds of digits."""
        if len(node.value) > _MOST_DIGITS:
            raise yaml.constructor.ConstructorError(None, None, "a number of hundreds of digits", node.start_mark)
        is_whole = node.tag == "tag:yaml.org,2002:int"
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.short_number)


def parse_yaml(data: bytes | str) -> Any:
    """Parses a document.

    Raises:
        ValueError: It is not valid YAML, or comes to too many values.
    """
    try:
        document = yaml.load(data, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from error
    _check_size(document)
    return document


def _check_size(document: Any) -> None:
    """Counts the values, an alias as what it stands for: whoever copies the document copies them all."""
    waiting, count = [document], 0
    while waiting:
        item = waiting.pop()
        children = list(item.values()) if isinstance(item, dict) else item
        if not isinstance(children, list | tuple | set):
            children = ()
        count += 1 + len(children)
        if count > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values, or aliases nested without end")
        waiting.extend(children)
