"""What is wrong with one plugin (or with the looking for plugins): a value, because the others go on."""

from __future__ import annotations

from attrs import field, frozen

from datasync_core.model.errors import cut


@frozen
class Problem:
    """One mistake, in one sentence, without a secret.

    ``plugin`` is the name of who cannot run, or None where that is not known. ``where`` is a file and line, a
    distribution with its version, or a place in the settings. ``error`` is there for a traceback, where one helps.
    """

    plugin: str | None
    text: str = field(converter=cut)
    where: str = ""
    error: BaseException | None = field(default=None, eq=False, repr=False)

    def __str__(self) -> str:
        subject = f"{self.plugin}: " if self.plugin else ""
        return f"{subject}{self.text} ({self.where})" if self.where else f"{subject}{self.text}"
