"""The loops of a graph without functions, in their lowered form.

A loop is a frame of Enter, Merge, Switch, NextIteration and Exit nodes around one LoopCond; see
http://download.tensorflow.org/paper/white_paper_tf_control_flow_implementation_2017_11_1.pdf.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

import tensorflow as tf

GraphDef: TypeAlias = tf.compat.v1.GraphDef
NodeDef: TypeAlias = tf.compat.v1.NodeDef


class Frames:
    """Which loop each node of a graph is in.

    Attributes:
        of: Loop by node; nodes outside of loops are absent.
        parents: Loop around a loop, for nested ones.
        enters: An Enter node of each loop.
        conditions: The LoopCond node of each loop.
    """

    def __init__(self, graph: GraphDef) -> None:
        consumers = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                consumers[name.lstrip("^").split(":")[0]].append(node)
        self.of: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        self.enters: dict[str, NodeDef] = {}
        self.conditions: dict[str, str] = {}
        reached = []
        for node in graph.node:
            if node.op in ("Enter", "RefEnter"):
                frame = node.attr["frame_name"].s.decode()
                self.of[node.name] = frame
                self.enters[frame] = node
                reached.append(node)
        while reached:
            node = reached.pop()
            frame = self.of[node.name]
            if node.op == "LoopCond":
                self.conditions[frame] = node.name
            for consumer in consumers[node.name]:
                if consumer.op in ("Enter", "RefEnter"):
                    self.parents[self.of[consumer.name]] = frame
                elif consumer.op not in ("Exit", "RefExit") and consumer.name not in self.of:
                    self.of[consumer.name] = frame
                    reached.append(consumer)
