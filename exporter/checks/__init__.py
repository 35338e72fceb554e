"""`check_cloudspend`: cloud costs as an Icinga and Nagios check. Standard library only, so that it starts fast.

It asks the running exporter, or reads what the exporter has published; never a cloud. What it cannot answer is UNKNOWN.
"""
