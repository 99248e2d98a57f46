"""One record of each published data set, in the published form."""

from __future__ import annotations

from typing import Any

ZSRE: dict[str, Any] = {
    "subject": "Watts Humphrey",
    "src": "What university did Watts Humphrey attend?",
    "pred": "Trinity College",
    "rephrase": "What university did Watts Humphrey take part in?",
    "alt": "University of Michigan",
    "answers": ["Illinois Institute of Technology"],
    "loc": "nq question: who played desmond doss father in hacksaw ridge",
    "loc_ans": "Hugo Weaving",
    "cond": "Trinity College >> University of Michigan || What university did Watts Humphrey attend?",
}


KNOWEDIT: dict[str, Any] = {
    "subject": "Bali myna",
    "target_new": " myna",
    "prompt": "What is an ecological status of Bali myna?",
    "ground_truth": ["critically endangered"],
    "rephrase_prompt": "What is the status of Bali myna on the list?",
    "cond": "vulnerable >>  myna || What is an ecological status of Bali myna?",
    "locality": {
        "Relation_Specificity": [{"prompt": "The gender of Bali myna is", "ground_truth": [["male", "man"]]}],
        "Forgetfulness": [{"prompt": "It is not myna, it is", "ground_truth": ["vulnerable"]}],
    },
    "portability": {
        "Subject_Aliasing": [{"prompt": "What of the Bali starling?", "ground_truth": " myna"}],
        "Reasoning": [
            {"prompt": "Asked about nothing:", "ground_truth": [[]]},
            {"prompt": " ", "ground_truth": "unasked"},
        ],
    },
}


def rewrite(subject: str, prompt: str, new: str, true: str) -> dict[str, Any]:
    targets = {"target_new": {"str": new, "id": "Q1"}, "target_true": {"str": true, "id": "Q2"}}
    return {"prompt": prompt, "relation_id": "P27", **targets, "subject": subject, "question": "…?"}


MQUAKE: dict[str, Any] = {
    "case_id": 235,
    "requested_rewrite": [
        rewrite("Caleb Hanie", "{} plays the position of", "outfielder", "quarterback"),
        rewrite("outfielder", "{} is associated with the sport of", "field hockey", "baseball"),
    ],
    "questions": ["Which sport is Caleb Hanie in?", "What sport did he play?", "In which sport was he?"],
    "answer": "American football",
    "answer_alias": ["football"],
    "new_answer": "field hockey",
    "new_answer_alias": ["hockey", " "],
    "single_hops": [
        {"question": "?", "cloze": "Hanie plays", "answer": "quarterback", "answer_alias": ["QB"]},
        {"question": "?", "cloze": "quarterback is in", "answer": "American football", "answer_alias": []},
    ],
    "new_single_hops": [
        {"question": "?", "cloze": "Hanie plays", "answer": "outfielder", "answer_alias": ["OF"]},
        {"question": "?", "cloze": "outfielder is in", "answer": "field hockey", "answer_alias": ["hockey"]},
    ],
    "orig": {"triples": []},
}


def conflicting_edit(subject: str, relation: str, old: str, new: str) -> dict[str, Any]:
    described = {"id": relation, "prompt": "The relative of {} is", "query": "Who?", "label": "relative"}
    named = {"subject": subject, "object": old, "new_object": new}
    return {"relation": described, **{role: {"id": "Q1", "label": label} for role, label in named.items()}}


REVERSE: dict[str, Any] = {
    "rule": "P22>P40",
    "triples": [],
    "prerequisites": [],
    "type": "reverse",
    "edits": [
        conflicting_edit("Ada", "P22", "Byron", "Adams"),
        conflicting_edit("Adams", "P40", "Ada", "Bob"),
    ],
}
ROUND: dict[str, Any] = {
    "type": "1-2@P166",
    "edit": conflicting_edit("Anderson", "P166", "Fellow", "Progress Medal"),
    "true_objects": [{"id": "Q1", "label": "Fellow"}, {"id": "Q2", "label": "Nobel Prize"}],
}


def ripple_query(prompt: str, *answers: list[str], subject_id: str = "Q1") -> dict[str, Any]:
    return {
        "prompt": prompt,
        "answers": [{"value": value, "aliases": aliases} for value, *aliases in answers],
        "query_type": "regular",
        "subject_id": subject_id,
        "relation": "MOTHER",
        "target_ids": ["Q2"],
        "phrase": None,
    }


def ripple_test(
    *queries: dict[str, Any], conditions: tuple[dict[str, Any], ...] = (), how: str = "OR"
) -> Any:
    return {"test_queries": [*queries], "test_condition": how, "condition_queries": [*conditions]}


MOTHER = ripple_query("The name of the mother of Leonardo is", ["Irmelin", "Irmelin Indenbirken", "I"])
RIPPLE_EDITS: dict[str, Any] = {
    "example_type": "popular",
    "edit": {
        "prompt": "The name of the country of citizenship of Leonardo is Syria.",
        "subject_id": "Q1",
        "relation": "COUNTRY_OF_CITIZENSHIP",
        "target_id": "Q858",
        "original_fact": {
            "prompt": "The name of the country of citizenship of Leonardo is United States of America.",
            "subject_id": "Q1",
            "relation": "COUNTRY_OF_CITIZENSHIP",
            "target_id": "Q30",
        },
    },
    "Relation_Specificity": [ripple_test(MOTHER, conditions=(MOTHER,))],
    "Logical_Generalization": [],
    "Subject_Aliasing": [],
    "Compositionality_I": [
        ripple_test(
            ripple_query("A", ["xx"]),
            ripple_query("B", ["yy"], ["zz"]),
            ripple_query("C"),
            ripple_query(" ", ["ww"]),
        )
    ],
    "Compositionality_II": [
        ripple_test(ripple_query("D", ["1"]), ripple_query("E", ["Q"], ["ok"]), how="AND")
    ],
    "Forgetfulness": [],
}
