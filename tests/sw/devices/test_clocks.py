"""Clocks that a family cannot have, and those that no design has shown."""

import pytest

from xnorflow.devices.clocks import clock_limits, remark
from xnorflow.devices.tables import families, fpga
from xnorflow.errors import BadInput
from xnorflow_boards.flows import ecp5, gowin, ice40, vivado


def test_every_family_has_a_limit_above_its_assumed_clock():
    assert list(clock_limits()) == list(families())
    for name, limits in clock_limits().items():
        assert limits.most.usable
        assert remark(families()[name], families()[name].clock_mhz.use()) == ""


def test_limits_are_those_of_the_flows_plls():
    def most(family: str) -> float:
        return clock_limits()[family].most.use()

    assert most("ecp5") == ecp5.PLL_LIMITS.output[1]
    assert most("ice40-ultraplus") == most("ice40-hx") == ice40.PLL_LIMITS.output[1]
    assert most("gw1nr") == gowin.PLL_LIMITS["GW1NR-9C"].output[1]
    assert most("gw2ar") == gowin.PLL_LIMITS["GW2AR-18C"].output[1]
    assert most("xilinx-7") == vivado.PLL_LIMITS.output[1]


def test_a_clock_beyond_the_limit_is_refused_with_one_that_works():
    with pytest.raises(BadInput, match="500 MHz is out of reach of ecp5.*such as 100 MHz"):
        remark(fpga("ulx3s-85f").family, 500)


def test_a_clock_that_no_design_has_reached_is_marked():
    assert "above the 143 MHz" in remark(fpga("ulx3s-85f").family, 200)
    assert "no design was placed" in remark(fpga("pynq-z1").family, 300)
