"""What costs more, or much less, than it should: pure functions over the matrix of usage.

    calendar.py     what the calendar says beforehand: fees, closes, the edges of months
    baseline.py     a plain day: weekday factors, growth, spread
    scoring.py      the default detector: how odd is the newest day of each series
    sparse.py       the rule for series that mostly cost nothing
    detectors.py    the default and its rivals by name, behind one interface
    rollups.py      sums of lines: a price change is plain in the sum
    causes.py       which slice of the bill explains a change
    evaluation.py   from scores to findings, and from one report to the next
    course.py       what becomes of a finding from day to day, and how bad it is
    model.py        settings, findings, reports
    explanation.py  a finding in plain words
    tuning.py       the numbers of the default detector
    order.py        medians of thousands of series at once

Imports numpy; nothing else imports this package before it is needed.
"""

from exporter.analysis.anomalies.detectors import DETECTORS, Detector, detector
from exporter.analysis.anomalies.evaluation import evaluate
from exporter.analysis.anomalies.explanation import document, sentence
from exporter.analysis.anomalies.model import (
    Edge,
    Fee,
    Finding,
    Kind,
    Level,
    Part,
    Report,
    Settings,
    Severity,
    Status,
)
from exporter.analysis.anomalies.scoring import Judgement, judge, outlook, score

__all__ = [
    "DETECTORS",
    "Detector",
    "Edge",
    "Fee",
    "Finding",
    "Judgement",
    "Kind",
    "Level",
    "Part",
    "Report",
    "Settings",
    "Severity",
    "Status",
    "detector",
    "document",
    "evaluate",
    "judge",
    "outlook",
    "score",
    "sentence",
]
