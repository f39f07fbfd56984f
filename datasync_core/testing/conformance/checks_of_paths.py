"""Checks of what a path covers, in the snapshot and in the stream."""

from __future__ import annotations

from datasync_core.model.keys import Subtree
from datasync_core.testing.conformance.rules import Rule, holds
from datasync_core.testing.conformance.site import Copy, Site, doc

_NAMES = ["a", "a.x", "a0", "a0/1", "a-/1", "a/1", "a/b/c", "a2/1", "agent", "agent-1", "agent-1/x", "b/a/1"]


class PathChecks:
    """Part of `TransportConformance`."""

    @holds(Rule.PATHS)
    def test_a_subtree_ends_at_its_slash(self, site: Site) -> None:
        _change_all(site, site.copy("a/"))

    @holds(Rule.PATHS)
    def test_a_path_without_slash_is_that_key_alone(self, site: Site) -> None:
        _change_all(site, site.copy("a"))

    @holds(Rule.PATHS)
    def test_a_subtree_without_slash_covers_what_begins_with_it(self, site: Site) -> None:
        _change_all(site, site.copy(Subtree("agent")))

    @holds(Rule.PATHS)
    def test_the_empty_path_covers_everything(self, site: Site) -> None:
        _change_all(site, site.copy(everything=True))

    @holds(Rule.PATHS)
    def test_several_paths_are_covered_together(self, site: Site) -> None:
        _change_all(site, site.copy("a/", "a/b/", "a/1", "a0", "agent-1/"))


def _change_all(site: Site, copy: Copy) -> None:
    site.fill({name: doc(1) for name in _NAMES[1:]})
    copy.read().check()
    site.put(_NAMES[0], doc(1))
    for name in _NAMES[1:]:
        site.put(name, doc(2))
    copy.follow()
    for name in _NAMES[::2]:
        site.delete(name)
    copy.follow()
