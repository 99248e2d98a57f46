"""KnowledgeEditor beyond causal models: BERT-type classifiers and BART/T5-type sequence-to-sequence models.

`Classifier` and `Seq2Seq` say what an answer, its likelihood and a distribution to keep are for a family;
`FamilyEditor` trains the same gates on either, and edits with them (De Cao et al. 2021, §5).
"""

from kedit_lifecycle.editors.knowledge_editor.families.base import Fact, Family
from kedit_lifecycle.editors.knowledge_editor.families.classifier import Classifier
from kedit_lifecycle.editors.knowledge_editor.families.editor import FamilyEditor
from kedit_lifecycle.editors.knowledge_editor.families.seq2seq import Seq2Seq

__all__ = ["Classifier", "Fact", "Family", "FamilyEditor", "Seq2Seq"]
