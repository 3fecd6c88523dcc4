"""A2A: the agent for other agents, by JSON-RPC, in the protocol versions 0.3 and 1.0 side by side.

A task is a run, or several where it asked for input in between, and a context is a session. Inside, everything has the
shape of 1.0; `wire` turns what leaves into that of 0.3, and `parts` reads both.
"""
