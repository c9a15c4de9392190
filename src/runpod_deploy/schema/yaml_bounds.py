"""How deep and how large a document may be, with every alias filled in."""

from runpod_deploy.schema.report import Report
from runpod_deploy.schema.yaml_nodes import Place

MAX_DEPTH = 100
MAX_ALIASES = 10_000
MAX_WEIGHT = 8 * 1024 * 1024
COST = 128
"""What a value weighs beside its characters, so that 65,536 empty values are as many as can be."""


class Bounds:
    """Counts while a document is read; every method raises `Stop` at its bound."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._aliases = 0
        self._weight = 0

    def depth(self, depth: int, place: Place) -> None:
        """Take notice of a value that lies `depth` levels deep."""
        if depth > MAX_DEPTH:
            raise self._report.fatal(
                "too-deep",
                "Nested too deeply",
                f"Lists and mappings may lie {MAX_DEPTH} levels deep; here the next level begins.",
                place,
            )

    def weight(self, weight: int, place: Place) -> None:
        """Take notice of values of that weight: `COST` each, and one per character."""
        self._weight += weight
        if self._weight > MAX_WEIGHT:
            raise self._report.fatal(
                "too-many-values",
                "The document is too large",
                "With every alias replaced by what it stands for, the document is larger than any "
                "job needs. The bound is reached here.",
                place,
                help="Use fewer values, or aliases of smaller parts.",
            )

    def alias(self, place: Place) -> None:
        """Take notice of an alias."""
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise self._report.fatal(
                "too-many-aliases",
                "Too many aliases",
                f"A {self._report.what} may use {MAX_ALIASES:,} aliases; here stands the next one.",
                place,
            )
