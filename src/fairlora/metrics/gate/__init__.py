"""Rules on the numbers of an audit, decided by their intervals.

Importing this package loads nothing.
"""
