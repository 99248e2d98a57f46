"""MEND: networks that turn a fine-tuning gradient into a better update."""

from kedit_lifecycle.editors.mend.config import MendConfig, MendNetworkConfig
from kedit_lifecycle.editors.mend.editor import Mend

__all__ = ["Mend", "MendConfig", "MendNetworkConfig"]
