"""What lines are made of, and their colours."""

from collections.abc import Callable

Line = list[tuple[str, str]]
Names = Callable[[str], str]
"""From a user id to a handle without the @."""

STYLES = {
    "time": "ansibrightblack",
    "place": "ansibrightblack",
    "soft": "ansibrightblack",
    "me": "bold",
    "in": "ansigreen bold",
    "out": "ansiyellow bold",
    "between": "ansicyan",
    "note": "italic",
    "error": "ansired bold",
    "good": "ansigreen",
    "sandbox": "ansimagenta",
    "who0": "ansicyan bold",
    "who1": "ansimagenta bold",
    "who2": "ansiblue bold",
    "who3": "ansibrightcyan bold",
    "who4": "ansibrightmagenta bold",
    "who5": "ansibrightblue bold",
    "bottom-toolbar": "noreverse bg:#222222 #cccccc",
    "bottom-toolbar.good": "bg:#222222 ansigreen",
    "bottom-toolbar.bad": "bg:#222222 ansired",
    "bottom-toolbar.unread": "bg:#222222 ansiyellow bold",
    "bottom-toolbar.money": "bg:#222222 ansibrightgreen",
    "bottom-toolbar.soft": "bg:#222222 ansibrightblack",
}
