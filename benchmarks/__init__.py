"""Measurements: each claim about speed and memory beside its peer, in one run.

python -m benchmarks                      everything, about a quarter of an hour
python -m benchmarks rendering store      only these subjects
python -m benchmarks --quick              smaller data, two minutes; the targets hold for the full size

outcome.py     a measured line, its target, the table
timing.py      contenders in turns: A B A B
scale.py       how much of everything
process.py     child processes: CPU, memory, an orderly end
scraper.py     a client that does as little as it can
series.py      invented series
bills.py       invented FOCUS bills, in files
focus_read.py  one reading of a bill, ours or a bare one
cloud_read.py  one reading of Cost Explorer's pages
house.py       a data folder and a daemon on it
peers/         what we stand beside: prometheus_client, nginx, SQLite
subjects/      one module per subject: `outcomes(scale)`
"""
