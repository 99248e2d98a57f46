"""`python -m kedit_lifecycle` is `kedit`."""

from __future__ import annotations

from kedit_lifecycle.cli.main import main

if __name__ == "__main__":
    main()
