"""Judgement over the cost table: pure functions of charges and an instant. No network, no clock, no Prometheus."""
