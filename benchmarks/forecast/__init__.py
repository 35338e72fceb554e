"""Forecasts of month ends, measured on invented bills: ours, what is in common use, and what others have built.

contenders.py   all forecasters behind one interface
trials.py       origins, seeds, errors, coverage
oracle.py       the least error: whoever knows how the bills are made, but not what chance still has in store

Numbers were chosen on another generator of bills of the home world, seeds 301 to 308, and on seeds 301 to 304 of the
home world and 401 to 404 of one with more growth, wander and outages; later ones on 301 to 304 of these
and 401 to 404 of the like, 300 series each. 4001 on and 5001 on are only reported; the shifted world was never used to
choose anything. The bills are those of `benchmarks/detection`.
"""
