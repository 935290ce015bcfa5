"""A table without markup; HTML and Markdown draw it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """Text, a remark below it, and the exact figure."""

    text: str
    detail: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`of_models`: each row is a model and is drawn in the model's colour."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    of_models: bool = False

    def holds_figures(self, column: int) -> bool:
        """Whether a column (the first after the labels is 1) holds numbers."""
        return column > 0 and any(row.cells[column - 1].value is not None for row in self.rows)
