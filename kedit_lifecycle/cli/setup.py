"""`init`: make a store."""

from __future__ import annotations

import click

from kedit_lifecycle.cli.options import DEVICE
from kedit_lifecycle.cli.output import emit_json, line, narrate
from kedit_lifecycle.cli.progress import ProgressDisplay
from kedit_lifecycle.cli.session import Session, command, pass_session, quiet_libraries

DEFAULT_MODEL = "smollm2-135m"


@command("init")
@click.option(
    "--model", default=DEFAULT_MODEL, show_default=True, help="A known name, a folder, or a hub id."
)
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16", "float16"]), help="Default: as the model was saved."
)
@click.option(
    "--checkpoint-every",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Versions between two whole copies of the edited tensors.",
)
@click.option("--accept-unsound", is_flag=True, help="Go on although the model fails its sanity check.")
@DEVICE
@pass_session
def init_command(
    session: Session, model: str, dtype: str | None, checkpoint_every: int, accept_unsound: bool, device: str
) -> None:
    """Load a model, check that it was loaded right, and make a store for it."""
    session.must_write()
    _refuse_early(session)
    quiet_libraries()
    narrate(loading(model))
    from kedit_lifecycle.workbench import Workbench

    with (
        ProgressDisplay() as progress,
        Workbench.create(
            session.store,
            model=model,
            dtype=dtype,
            device=device,
            checkpoint_every=checkpoint_every,
            accept_unsound=accept_unsound,
            progress=progress,
            command=session.command,
        ) as workbench,
    ):
        meta, head = workbench.store.meta, workbench.store.reader.head()
    if session.json:
        emit_json({"store": str(session.store), "meta": meta, "head": {"number": head.number, "id": head.id}})
        return
    line(f"made the store {session.store} for {meta['model_name']} ({meta['architecture']}, {meta['dtype']})")
    line(f"version 0 ({head.short}) is the unedited model, base {meta['base_digest'][:12]}")
    narrate('  try: kedit edit --subject France --prompt "The capital of {} is" --target Rome')


def loading(model: str) -> str:
    """What to say before a wait."""
    once = " (at its first use it is converted, which takes half a minute)" if model == DEFAULT_MODEL else ""
    return f"loading {model}{once}"


def _refuse_early(session: Session) -> None:
    """Say that there is a store before half a minute goes into loading a model."""
    from kedit_lifecycle.errors import NoStoreError, RefusedError

    try:
        session.reader().close()
    except NoStoreError:
        return
    raise RefusedError(f"there is a store at {session.store} already", hint="kedit status")
