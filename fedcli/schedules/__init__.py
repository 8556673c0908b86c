"""Learning-rate schedules for clients and server: one file each. Both config groups offer all of them."""

from fedcli.registry import Registry
from fedcli.schedules.base import ScheduleConfig

schedules: Registry[ScheduleConfig] = Registry("schedule", __name__)
