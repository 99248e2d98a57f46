"""The process that holds the model and the store's writer lock: HTTP, a queue of jobs, a stream of events.

`messages` is the language of the engine, `client` speaks it; neither imports torch. What is beneath `server`
runs in the engine's own process.
"""
