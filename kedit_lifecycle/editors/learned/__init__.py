"""What editors that learn to edit share: gradients as factors, training, trained artefacts.

`network` says what a hyper-network is, `training` trains one, `artefact` keeps it, `editor` edits with it.
"""
