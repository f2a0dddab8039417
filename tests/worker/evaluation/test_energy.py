"""Energy comes from the CPU's counters where they can be read, and from a model, marked as one, where not."""

from pathlib import Path

import pytest

from worker.evaluation.energy import WATTS_OF_A_CORE, Counter, counters, energy_of


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages as the kernel shows them; the second one's counter is about to begin anew."""
    for number, microjoules in enumerate((1000, 9_999)):
        package = tmp_path / f"intel-rapl:{number}"
        package.mkdir()
        (package / "energy_uj").write_text(f"{microjoules}\n")
        (package / "max_energy_range_uj").write_text("9999\n")
    return tmp_path


def test_counters_of_all_packages_are_read_around_the_calls(powercap: Path) -> None:
    calls = []

    def call() -> None:
        """Each package takes 100 microjoules, all told."""
        if not calls:
            (powercap / "intel-rapl:0" / "energy_uj").write_text("1100\n")
            (powercap / "intel-rapl:1" / "energy_uj").write_text("99\n")
        calls.append(1)

    energy = energy_of(call, 5.0, counters(powercap))
    assert energy.source == "rapl"
    assert energy.millijoules == pytest.approx(200 / len(calls) / 1000)


def test_without_counters_the_model_is_called_one(tmp_path: Path) -> None:
    assert counters(tmp_path) == ()
    energy = energy_of(lambda: None, 5.0, ())
    assert (energy.source, energy.millijoules) == ("model", 5.0 * WATTS_OF_A_CORE)


def test_a_counter_that_cannot_be_read_is_none(powercap: Path) -> None:
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    assert counters(powercap) == ()
    (powercap / "intel-rapl:1" / "energy_uj").write_text("not a number")
    assert counters(powercap) == ()


def test_a_counter_goes_round(tmp_path: Path) -> None:
    path = tmp_path / "energy_uj"
    path.write_text("5")
    assert Counter(path, 99).since(95) == 10
