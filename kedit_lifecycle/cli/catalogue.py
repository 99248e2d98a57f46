"""Every command: where it lives and what it does, known without importing it."""

from __future__ import annotations

from dataclasses import dataclass

PROGRAM = "kedit"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module of this package that has it, the line about it, its section in the help."""

    module: str
    summary: str
    section: str


_SETUP, _EDIT, _READ, _TIME = "Setting up", "Editing", "Looking", "Going back and forth"

COMMANDS: dict[str, Entry] = {
    "init": Entry("setup", "Make a store for a model.", _SETUP),
    "models": Entry("models", "List the models at hand, or check that one is loaded right.", _SETUP),
    "stats": Entry("stats", "Build or list the covariance statistics that editors need.", _SETUP),
    "tune": Entry("tune", "Find an editor's settings for the store's model by trial.", _SETUP),
    "train": Entry("train", "Train what a method needs before the first edit.", _SETUP),
    "engine": Entry("engine", "Start, stop or look at the process that keeps the model.", _SETUP),
    "demo": Entry("demo", "Edit twelve facts in a real model, then take half of them back.", _SETUP),
    "edit": Entry("edit", "Change one fact.", _EDIT),
    "apply": Entry("apply", "Change the facts of a file, one after another or in batches.", _EDIT),
    "consolidate": Entry("consolidate", "Write facts of the memory into the weights, as one batch.", _EDIT),
    "tui": Entry("tui", "Show, edit and take back in the terminal.", _READ),
    "ask": Entry("ask", "Ask the model of any version, or of two beside each other.", _READ),
    "eval": Entry("evaluate", "Measure the edits of a history again, or a file of requests.", _READ),
    "check": Entry("check", "Check a version's health, or what a fact would contradict.", _READ),
    "conflicts": Entry("conflicts", "List the edits of a history that contradict each other.", _READ),
    "ripple": Entry("ripple", "Ask what else an edit should have changed, and what not.", _READ),
    "memory": Entry("memory", "List, search or check the facts kept outside the weights.", _READ),
    "health": Entry("health", "Say whether the model is healthy, and show the series behind it.", _READ),
    "policy": Entry("policy", "Show, check or describe the policies that edits are held to.", _SETUP),
    "log": Entry("log", "List versions, newest first.", _READ),
    "show": Entry("history", "Show one version: its facts, answers, measures and tensors.", _READ),
    "diff": Entry("history", "Show which facts and tensors differ between two versions.", _READ),
    "status": Entry("history", "Say where HEAD is and what the store holds.", _READ),
    "verify": Entry("verify", "Check that the store is what was written.", _READ),
    "rollback": Entry("moves", "Take the branch back to a version.", _TIME),
    "undo": Entry("moves", "Take back the last edit, rollback or switch.", _TIME),
    "redo": Entry("moves", "Take back the last undo.", _TIME),
    "switch": Entry("moves", "Put HEAD on a branch, or on a version.", _TIME),
    "branch": Entry("names", "List branches, or make one.", _TIME),
    "tag": Entry("names", "List tags, or make one.", _TIME),
    "help": Entry("help", "Explain a command, exit codes or refs.", _SETUP),
}
SECTIONS = (_SETUP, _EDIT, _READ, _TIME)
