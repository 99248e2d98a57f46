"""Checks: measurements with a verdict. They know `evaluation` and what lies below, never `editors`."""
