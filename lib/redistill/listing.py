"""A table that is read, not computed with: HTML in a notebook, paragraphs in plain text."""

from dataclasses import dataclass
from textwrap import fill

import pandas as pd
from pandas.io.formats.style import Styler

_EMPTY = ("", "–", 0)  # what text leaves out


@dataclass(frozen=True)
class Listing:
    """A table to be read: wrapped in a notebook, a paragraph a line in plain text."""

    table: pd.DataFrame

    def _repr_html_(self) -> str:
        if self.table.empty:
            return "none"
        styler = Styler(self.table, cell_ids=False, uuid_len=0).hide(axis="index")
        cells = "text-align: left; vertical-align: top; max-width: 26em; white-space: normal"
        styler.set_table_styles([{"selector": "th, td", "props": cells}])
        return styler.format(escape="html", na_rep="").to_html()

    def __repr__(self) -> str:
        lines = []
        for first, *rest in self.table.itertuples(index=False):
            told = zip(self.table.columns[1:], rest, strict=True)
            text = "; ".join(f"{name}: {value}" for name, value in told if value not in _EMPTY)
            lines.append(fill(f"{first}  {text}", 100, subsequent_indent="    "))
        return "\n".join(lines) or "none"
