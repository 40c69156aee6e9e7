"""The course's command line: python -m course COMMAND, one file per command.

It starts on a bare Python: what needs an installed package imports it when it runs.
"""
