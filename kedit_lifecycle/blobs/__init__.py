"""Content-addressed tensors: hashed, written once, read checked."""

from kedit_lifecycle.blobs.folder import BlobStore
from kedit_lifecycle.blobs.tensor import CanonicalTensor, fingerprint

__all__ = ["BlobStore", "CanonicalTensor", "fingerprint"]
