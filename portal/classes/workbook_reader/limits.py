"""What a workbook may hold and cost. Read by the portal and by the process that reads workbooks, so it imports nothing
of ours."""

MAX_BYTES = 5 * 1024 * 1024
MAX_ROWS = 5_000
MAX_COLUMNS = 256  # School Form 1 has 47, that of senior high 55 and more; no old workbook has more than 256
MAX_CELLS = 250_000  # that are not empty
MAX_SHEETS = 12  # are read; an LIS export has one
MAX_TEXT = 5_000_000  # characters of all cells, each cell as cut off
TEXT_LIMIT = 601  # characters of a cell that are passed on: enough to see that it is too long
CPU_SECONDS = 2
MEMORY_BYTES = 200 * 1024 * 1024


class WorkbookRefused(Exception):
    """The workbook is not read; `code` and `params` select the message, as in RowProblem."""

    def __init__(self, code: str, **params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params
