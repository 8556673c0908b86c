"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked, in a word or two.
        status: `warning`: fedcli works, but not all of it, or not as well as it could.
        message: What was found.
        advice: What to do about it; empty where nothing has to be done.
    """

    name: str
    status: Status
    message: str
    advice: str = ""
