"""The harness: who is measured, in which environment and process, by which client, and how figures are reported."""
