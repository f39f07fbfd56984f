"""The simulation notices what it is for: a mistake in any rule. All of them: `python -m tests.simulation.mutations`."""

from __future__ import annotations

import pytest

from tests.simulation.mistakes import MUTATIONS, QUICK, Mutation
from tests.simulation.mutations import ROOT, judge

pytestmark = pytest.mark.property


@pytest.mark.parametrize(
    "mutation", [one for one in MUTATIONS if one.name in QUICK], ids=lambda one: one.name
)
def test_a_broken_rule_is_noticed(mutation: Mutation) -> None:
    verdict = judge(mutation, 200)
    assert verdict.seeds is not None, f"{mutation.name} was not noticed: {verdict.noticed}"


def test_every_mutation_fits_the_source() -> None:
    assert len({one.name for one in MUTATIONS}) == len(MUTATIONS) >= 25
    assert set(QUICK) <= {one.name for one in MUTATIONS}
    for mutation in MUTATIONS:
        text = (ROOT / "datasync_core" / mutation.file).read_text()
        assert text.count(mutation.old) == 1, (
            f"{mutation.name}: its text is in {mutation.file} {text.count(mutation.old)} times"
        )
