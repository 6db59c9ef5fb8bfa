"""All reads over one port."""

from .audit import AuditReads
from .chat import ChatReads
from .loads import RoadLoads
from .money import MoneyReads
from .people import PeopleReads
from .sessions import SessionReads
from .upkeep import UpkeepReads


class SqlReads(RoadLoads, UpkeepReads, SessionReads, ChatReads, PeopleReads, MoneyReads, AuditReads):
    """What every SQL store reads alike."""
