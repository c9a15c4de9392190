"""The command line: parse, call one function, render, choose the exit code; no logic."""
