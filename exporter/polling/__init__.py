"""When to ask, asking, and publishing what came of it: the worker process and the one who starts it."""
