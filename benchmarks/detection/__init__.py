"""Detection, measured: invented bills with known events, ours and the rules in common use side by side.

world.py      what bills are like: families of series, fees, closes, holidays, noise; the home world and a shifted one
events.py     what goes wrong in them, and what only looks like it
marks.py      event by event: found, missed, false; delay
rivals.py     rules in common use
late.py       the same bill as polls see it: late, partial, revised
trials.py     what is measured on which seeds
page.py       the tables of docs/explanation/how-anomalies-are-found.md
speed.py      one poll of 100,000 series, in a process of its own

Seeds are told apart. 101 to 103, 401, 403 to 405 and 601 to 603 chose numbers and rules; 402, 604, 2001 to 2005,
3001 to 3003 are only reported. The shifted world was never used to choose anything.
"""
