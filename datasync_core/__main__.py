"""``python -m datasync_core``: the same as ``datasync-host``."""

from datasync_core.cli import main

if __name__ == "__main__":
    main()
