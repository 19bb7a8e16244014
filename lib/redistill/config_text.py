"""What a config class says about itself: the help table and the parameters cell of a notebook."""

from typing import Any

from redistill.config import Parameter, parameters_of, profiles_of
from redistill.values import describe


def help_table(config: type) -> str:
    """Return a text table: name, type, the value in each profile, help."""
    profiles = profiles_of(config)
    rows = [["parameter", "type", *profiles, "what it is"]]
    for name, parameter in parameters_of(config).items():
        shown = [_spelled(preset.get(name, parameter.default)) for preset in profiles.values()]
        if name == "profile":
            shown = list(profiles)
        rows.append([name, _type(parameter), *shown, parameter.help])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def parameters_cell(config: type) -> str:
    """Return the source of the notebook's parameters cell.

    The profile has its default; all others are None, "the profile's value".
    """
    known = parameters_of(config)
    texts = {
        name: f"{name} = {known[name].default!r}".replace("'", '"')
        if name == "profile"
        else f"{name} = None"
        for name in known
    }
    width = max(len(text) for text in texts.values())
    return "\n".join(f"{text:<{width}}  # {known[name].help}" for name, text in texts.items())


def _type(parameter: Parameter) -> str:
    if parameter.choices:
        each = ", ..." if describe(parameter.kind).endswith("...") else ""
        return "|".join(map(str, parameter.choices)) + each
    low, high = parameter.low, parameter.high
    bounds = f" {'' if low is None else low}..{'' if high is None else high}"
    return describe(parameter.kind) + ("" if low is None and high is None else bounds)


def _spelled(value: Any) -> str:
    """Return a value as the command line takes it."""
    if isinstance(value, tuple | list):
        return ",".join(map(_spelled, value)) or '""'
    return (
        {None: "none", True: "true", False: "false"}.get(value, str(value))
        if (value is None or isinstance(value, bool))
        else str(value)
    )
