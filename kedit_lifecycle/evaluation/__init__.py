"""What an edit did: the batched scoring engine, generation, and the metrics with their protocols.

`scores`, `metrics` and `registry` load without torch; the other modules hold the model.
"""
