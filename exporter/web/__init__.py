"""What the daemon serves: bytes made elsewhere, and its own pulse."""
