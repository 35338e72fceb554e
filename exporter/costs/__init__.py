"""The bill: its columns, its rows, its money, and the one query language over it.

money.py     exact amounts: contexts, text form, the limits of a stored amount
model.py     what a charge is: columns (FOCUS 1.4 names), ChargeCategory, CostRow
table.py     CostTable: where, during, by, sum, daily, rows
bill.py      Ask and Bill: the question to a provider and its answer
engine.py    the DuckDB connection under the tables
"""

from exporter.costs.bill import Ask, Bill, BilledRate, Note, Scope
from exporter.costs.model import (
    COLUMNS,
    GLOBAL,
    NONE,
    UNKNOWN,
    ChargeCategory,
    Column,
    Cost,
    CostBasis,
    CostRow,
    Line,
    slug,
)
from exporter.costs.money import MONEY, RATIO, text
from exporter.costs.table import REFUND, CostLine, CostTable, Matrix, dimension

__all__ = [
    "COLUMNS",
    "GLOBAL",
    "MONEY",
    "NONE",
    "RATIO",
    "REFUND",
    "UNKNOWN",
    "Ask",
    "Bill",
    "BilledRate",
    "ChargeCategory",
    "Column",
    "Cost",
    "CostBasis",
    "CostLine",
    "CostRow",
    "CostTable",
    "Line",
    "Matrix",
    "Note",
    "Scope",
    "dimension",
    "slug",
    "text",
]
