"""Forecasts of month ends, measured on invented bills: ours, what is in common use, and what others have built.

contenders.py   all forecasters behind one interface
trials.py       origins, seeds, errors, coverage

Seeds 301 to 304 of the home world chose numbers. 4001 on and 5001 on are only reported; the shifted world was never
used to choose anything. The bills are those of `benchmarks/detection`.
"""
