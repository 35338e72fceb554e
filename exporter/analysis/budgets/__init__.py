"""Budgets: how much of an amount is spent, and how it will end. Exact money; only what is still to come is estimated.

budget.py     what a budget is: amount, period, scope, thresholds, adjustment
history.py    ended periods, and the limit that follows from them
report.py     how budgets stand: `evaluate`
"""

from exporter.analysis.budgets.budget import THRESHOLDS, Adjustment, Budget, Scope, Threshold
from exporter.analysis.budgets.history import Closed, Remembered
from exporter.analysis.budgets.report import BudgetReport, Burn, Projection, Standing, Status, evaluate

__all__ = [
    "THRESHOLDS",
    "Adjustment",
    "Budget",
    "BudgetReport",
    "Burn",
    "Closed",
    "Projection",
    "Remembered",
    "Scope",
    "Standing",
    "Status",
    "Threshold",
    "evaluate",
]
