"""Checking a version again, as every screen that offers it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kedit_lifecycle.tui.session import Session

Check = dict[str, Any]
"""A check's result, as a job gives it."""


async def check_again(session: Session, number: int, command: str) -> list[Check] | None:
    """Run the checks on a version and say what they found; None if they did not end."""
    job = await session.run("check", command=command, ref=str(number))
    if job.state != "done" or not isinstance(job.result, dict):
        told = job.error.message if job.error else job.state
        session.notify(f"check of v{number}: {told}", "error" if job.error else "warning")
        return None
    checks: list[Check] = list(job.result.get("checks", []))
    bad = [one for one in checks if one["verdict"] != "pass"]
    told = "".join(f"\n{one['check']}: {one['message']}" for one in bad)
    session.notify(
        f"v{number}: {len(checks) - len(bad)} of {len(checks)} checks pass{told}",
        "warning" if bad else "information",
    )
    return checks
