"""Calibrating an editor for a model: what may be tried, one candidate's trial, the schedule, the profile.

`space`, `halving` and `profile` load without torch; `known` and `trial` hold the model.
"""
