"""Lets TensorBoard read events without TensorFlow, whose import takes longer than most tests here."""

import sys
from types import ModuleType

sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
