"""What /metrics says: the catalogue of families, the families of a bill, and their text form."""
