"""What we stand beside."""
