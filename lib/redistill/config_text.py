"""What a config class says about itself: the help table and the parameters cell of a notebook."""

from typing import Any

from redistill.config import Parameter, parameters_of
from redistill.values import describe


def help_table(config: type) -> str:
    """Return a text table: name, type, the value in each profile, help."""
    rows = [["parameter", "type", *config.PROFILES, "what it is"]]
    for name, parameter in parameters_of(config).items():
        presets = [{"profile": profile, **preset} for profile, preset in config.PROFILES.items()]
        shown = [_spelled(preset.get(name, parameter.default)) for preset in presets]
        rows.append([name, _type(parameter), *shown, parameter.help])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def parameters_cell(config: type) -> str:
    """Return the source of the notebook's parameters cell.

    The profile has its default; all others are None, "the profile's value".
    """
    known = parameters_of(config)
    texts = {name: f"{name} = None" for name in known}
    texts["profile"] = f'profile = "{known["profile"].default}"'
    width = max(len(text) for text in texts.values())
    return "\n".join(f"{text:<{width}}  # {known[name].help}" for name, text in texts.items())


def _type(parameter: Parameter) -> str:
    if parameter.choices:
        each = ", ..." if describe(parameter.kind).endswith("...") else ""
        return "|".join(map(str, parameter.choices)) + each
    low, high = ("" if bound is None else bound for bound in (parameter.low, parameter.high))
    return f"{describe(parameter.kind)} {low}..{high}".removesuffix(" ..")


def _spelled(value: Any) -> str:
    """Return a value as the command line takes it."""
    if isinstance(value, tuple | list):
        return ",".join(map(_spelled, value)) or '""'
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
