"""One file per public protocol. Each translates between HTTP and the agent; none decides anything about agents."""
