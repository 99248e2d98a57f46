"""`ask`: what a version of the model says."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from kedit_lifecycle.cli.options import AT, DEVICE, SEED
from kedit_lifecycle.cli.output import Column, emit_json, line, narrate, number, plain, print_table
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session

if TYPE_CHECKING:
    from kedit_lifecycle.workbench import Answer


@command("ask")
@click.argument("prompt")
@AT
@click.option("--compare", metavar="REF", help="Another version, beside it.")
@click.option(
    "--max-tokens", type=click.IntRange(1, 2048), default=20, show_default=True, help="How many at most."
)
@click.option("--sample", is_flag=True, help="Draw tokens instead of taking the most probable.")
@click.option("--temperature", type=click.FloatRange(min=0, min_open=True), default=1.0, show_default=True)
@SEED
@click.option(
    "--explain", is_flag=True, help="Say what answered: the model, or which fact in memory, and why."
)
@click.option("--top", type=click.IntRange(0, 50), default=5, show_default=True, help="Next tokens to list.")
@DEVICE
@pass_session
def ask_command(
    session: Session,
    prompt: str,
    at: str,
    compare: str | None,
    max_tokens: int,
    sample: bool,
    temperature: float,
    seed: int,
    explain: bool,
    top: int,
    device: str,
) -> None:
    """Let the model of a version continue PROMPT, and list the most probable next tokens."""
    with ProgressDisplay() as progress, session.workbench(device=device, progress=progress) as workbench:
        answers = [
            workbench.ask(
                prompt,
                ref=ref,
                max_new_tokens=max_tokens,
                sample=sample,
                temperature=temperature,
                seed=seed,
                top=max(top, 1),
            )
            for ref in ([at] if compare is None else [at, compare])
        ]
        notes = list(workbench.notes)
    for text in notes:
        narrate(f"warning: {text}")
    if session.json:
        emit_json([_as_json(answer, top) for answer in answers])
        return
    for answer in answers:
        line(f"version {answer.version.number}: {answer.prompt}{answer.text}")
        if explain:
            _explain(answer)
    if top:
        line()
        _print_tokens(answers, top)


def _explain(answer: Answer) -> None:
    """Which of the two answered, by which fact, with what score."""
    route = answer.route
    if route is None:
        line("  the model: this version's memory is empty")
        return
    score = f"score {number(route.score)}, threshold {number(route.threshold)}"
    if route.entry is None:
        line(f"  the model: no fact in memory is about this ({score})")
    else:
        fact = f"{route.entry.request.question} → {route.entry.request.target_new}"
        line(f"  the memory, by version {route.entry.id.version}: {fact} ({score})")
    for one in route.candidates[:3]:
        if route.entry is None or one.entry.id != route.entry.id:
            line(f"    next, {number(one.score)}: {one.entry.request.question} (v{one.entry.id.version})")


def _as_json(answer: Answer, top: int) -> dict[str, object]:
    return {
        "version": answer.version.number,
        "id": answer.version.id,
        "prompt": answer.prompt,
        "text": answer.text,
        "route": plain(answer.route),
        "top": [{"token": token, "probability": probability} for token, probability in answer.top[:top]],
    }


def _print_tokens(answers: list[Answer], top: int) -> None:
    columns: list[Column] = []
    for answer in answers:
        columns += [Column(f"version {answer.version.number}", elastic=True), Column("P", "right")]
    lists = [[(repr(token), number(chance, 4)) for token, chance in answer.top[:top]] for answer in answers]
    rows = [[cell for pair in row for cell in pair] for row in zip_longest(*lists, fillvalue=("", ""))]
    print_table(columns, rows)
