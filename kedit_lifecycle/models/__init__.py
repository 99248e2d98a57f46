"""Find and load a model, name its modules, hold its edited tensors exactly."""
