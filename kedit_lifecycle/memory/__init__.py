"""Edits kept outside the weights (SERAC, Mitchell et al. 2022): index, scope, router, model with a memory."""
