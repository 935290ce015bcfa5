"""A table free of any markup; Markdown, HTML and the terminal draw it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cell:
    """What a reader sees, a remark below it, and the exact figure behind it."""

    text: str
    detail: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """`of_models`: each row is a model, so that it can wear the model's colour."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    caption: str = ""
    of_models: bool = False

    def holds_figures(self, column: int) -> bool:
        """Whether a column (the first after the labels is 1) is one of numbers."""
        return column > 0 and any(row.cells[column - 1].value is not None for row in self.rows)
