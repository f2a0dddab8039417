"""Traced networks of the transformers library."""

import pytest

from tests.worker.importing.archives import rebuilt_case
from tests.worker.importing.checks import archive_names, assert_same_gradients
from tests.worker.importing.library import LIBRARY
from tests.worker.importing.networks import Case
from worker.loading.verification import verify

pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("case", LIBRARY, ids=[case.name for case in LIBRARY])
def test_a_traced_network_is_rebuilt(case: Case) -> None:
    rebuilt = rebuilt_case(case, "trace")
    assert verify(rebuilt.network, rebuilt.archive, case.inputs).largest < 1e-5
    assert set(rebuilt.archive.state_dict()) <= set(archive_names(rebuilt.network).values())
    assert_same_gradients(rebuilt.source, rebuilt.network, case.inputs(2))
