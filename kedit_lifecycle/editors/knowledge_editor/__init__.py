"""KnowledgeEditor: a hyper-network gates and shifts the gradient by what the edit says."""

from kedit_lifecycle.editors.knowledge_editor.config import GateConfig, KnowledgeEditorConfig
from kedit_lifecycle.editors.knowledge_editor.editor import KnowledgeEditor

__all__ = ["GateConfig", "KnowledgeEditor", "KnowledgeEditorConfig"]
