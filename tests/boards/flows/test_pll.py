import re
import shutil
import subprocess
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.errors import BadInput
from xnorflow_boards.flows import ecp5, gowin, ice40, vivado

GW1NR9, GW2AR18 = gowin.PLL_LIMITS["GW1NR-9C"], gowin.PLL_LIMITS["GW2AR-18C"]
SOLVERS = {
    "ecp5": (ecp5.choose_pll, ecp5.PLL_LIMITS),
    "ice40": (ice40.choose_pll, ice40.PLL_LIMITS),
    "gw1nr9": (lambda s, w: gowin.choose_pll(s, w, GW1NR9), GW1NR9),
    "gw2ar18": (lambda s, w: gowin.choose_pll(s, w, GW2AR18), GW2AR18),
    "xilinx7": (vivado.choose_pll, vivado.PLL_LIMITS),
}
SOURCES = {"ecp5": 25, "ice40": 12, "gw1nr9": 27, "gw2ar18": 27, "xilinx7": 100}


def frequencies(family, source, d):
    """Return output, detector and oscillator by the formulas of the makers' documents."""
    if family == "ecp5":
        vco = Fraction(source * d["CLKFB_DIV"] * d["CLKOP_DIV"], d["CLKI_DIV"])
        return vco / d["CLKOS_DIV"], Fraction(source, d["CLKI_DIV"]), vco
    if family == "ice40":
        vco = Fraction(source * (d["DIVF"] + 1), d["DIVR"] + 1)
        return vco / 2 ** d["DIVQ"], Fraction(source, d["DIVR"] + 1), vco
    if family == "xilinx7":
        vco = Fraction(source * d["CLKFBOUT_MULT"], d["DIVCLK_DIVIDE"])
        return vco / d["CLKOUT0_DIVIDE"], Fraction(source, d["DIVCLK_DIVIDE"]), vco
    mhz = Fraction(source * (d["FBDIV_SEL"] + 1), d["IDIV_SEL"] + 1)
    return mhz, Fraction(source, d["IDIV_SEL"] + 1), mhz * d["ODIV_SEL"]


@pytest.mark.parametrize("family", SOLVERS)
@given(wish=st.integers(20, 300))
def test_settings_are_within_limits_and_near(family, wish):
    solve, limits = SOLVERS[family]
    wish = min(wish, int(limits.output[1]))
    setting = solve(Fraction(SOURCES[family]), Fraction(wish))
    mhz, detector, vco = frequencies(family, SOURCES[family], setting.dividers)
    assert (setting.mhz, setting.detector, setting.vco) == (mhz, detector, vco)
    for value, (low, high) in (
        (mhz, limits.output),
        (detector, limits.detector),
        (vco, limits.vco),
    ):
        assert low <= value <= high
    assert abs(mhz / wish - 1) < Fraction(1, 10)


@pytest.mark.parametrize(
    ("family", "wish", "mhz"),
    [
        ("ecp5", 100, 100),
        ("ice40", 30, 30),
        ("ice40", 24, 24),
        ("gw1nr9", 54, 54),
        ("gw2ar18", 81, 81),
        ("gw1nr9", 40, Fraction(81, 2)),
        ("xilinx7", 150, 150),
    ],
)
def test_well_known_clocks(family, wish, mhz):
    assert SOLVERS[family][0](Fraction(SOURCES[family]), Fraction(wish)).mhz == mhz


@pytest.mark.parametrize(("family", "wish"), [("ice40", 12.5), ("ecp5", 500), ("gw1nr9", 3)])
def test_impossible_clocks_say_what_is_possible(family, wish):
    solve, limits = SOLVERS[family]
    span = f"it gives {limits.output[0]:g} to {limits.output[1]:g} MHz"
    with pytest.raises(BadInput, match=span):
        solve(Fraction(SOURCES[family]), Fraction(wish))


@pytest.mark.parametrize("wish", [18, 20, 30, 39, 48])
def test_icepll_agrees(wish):
    tool = shutil.which("icepll") or shutil.which("yowasp-icepll")
    if tool is None:
        pytest.skip("needs icepll")
    text = subprocess.run(
        [tool, "-i", "12", "-o", str(wish)], capture_output=True, text=True, check=True
    ).stdout
    found = dict(re.findall(r"(DIV[RFQ]|FILTER_RANGE):\s+(\d+)", text))
    setting = ice40.choose_pll(Fraction(12), Fraction(wish))
    achieved = float(re.search(r"F_PLLOUT:\s+([\d.]+) MHz \(achieved\)", text)[1])
    assert float(setting.mhz) == pytest.approx(achieved, abs=5e-4)
    assert setting.dividers == {name: int(value) for name, value in found.items()}


@pytest.mark.parametrize("wish", [40, 62, 100, 125])
def test_ecppll_comes_no_nearer(wish):
    tool = shutil.which("ecppll") or shutil.which("yowasp-ecppll")
    if tool is None:
        pytest.skip("needs ecppll")
    text = subprocess.run(
        [tool, "-i", "25", "-o", str(wish)], capture_output=True, text=True, check=True
    ).stdout
    achieved = float(re.search(r"clkout0 frequency: ([\d.]+) MHz", text)[1])
    mhz = float(ecp5.choose_pll(Fraction(25), Fraction(wish)).mhz)
    assert abs(mhz - wish) <= abs(achieved - wish) + 1e-3
