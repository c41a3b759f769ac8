"""The methods that can be trained, by the names that the command line knows."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import cast

from xnorflow.errors import BadInput
from xnorflow.train import needs
from xnorflow.train.training import Task, Training


@dataclass(frozen=True)
class Method:
    """A method of the literature.

    Parameters
    ----------
    name : str
        Name on the command line.
    title, paper : str
        What it is called, and where it was published.
    module : str
        Module of `xnorflow.train.recipes` that implements it, by a function ``start``.
    variant : str
        Which form of it is meant, if the module has several.
    net : str
        Layers if the user names none.
    epochs : int
        Epochs if the user names none.
    fixed_point : str, optional
        Bits to round to when the file is imported, or "auto", if the method leaves weights or sums
        real.
    with_edges : bool
        Whether sums of layers in the file are edges of one layer; see `xnorflow.load`.
    """

    name: str
    title: str
    paper: str
    module: str
    variant: str = ""
    net: str = "128-128"
    epochs: int = 50
    fixed_point: str | None = None
    with_edges: bool = False

    def start(self, task: Task) -> Training:
        """Build the untrained network.

        Raises
        ------
        xnorflow.errors.ToolMissing
            If a package that the method needs is not installed.
        xnorflow.errors.BadInput
            If the layers do not suit the method or the data.
        """
        return cast(Training, needs(f"xnorflow.train.recipes.{self.module}").start(task))


METHODS = (
    Method(
        "binary-connect",
        "BinaryConnect, deterministic",
        "Courbariaux et al., arXiv:1511.00363",
        "binary_connect",
    ),
    Method(
        "binary-connect-stochastic",
        "BinaryConnect, weights drawn in training",
        "Courbariaux et al., arXiv:1511.00363",
        "binary_connect",
        "stochastic",
    ),
    Method(
        "bwn",
        "Binary-Weight-Network, alpha per filter",
        "Rastegari et al., arXiv:1603.05279",
        "binary_connect",
        "alpha",
    ),
    Method(
        "bnn",
        "Binarized neural network (BinaryNet)",
        "Courbariaux et al., arXiv:1602.02830",
        "binary_net",
    ),
    Method(
        "xnor-net",
        "XNOR-Net without K, all weights binary",
        "Rastegari et al., arXiv:1603.05279",
        "xnor_net",
        "",
        net="16C3-P2-32C3-64",
    ),
    Method(
        "xnor-net-float",
        "XNOR-Net without K, first and last layer in float",
        "Rastegari et al., arXiv:1603.05279",
        "xnor_net",
        "float-ends",
        net="16C3-P2-32C3-64",
        fixed_point="auto",
    ),
    Method(
        "xnor-net-k",
        "XNOR-Net with K, first and last layer in float",
        "Rastegari et al., arXiv:1603.05279",
        "xnor_net_k",
        net="16C3-P2-32C3-64",
        fixed_point="auto",
    ),
    Method(
        "twn",
        "Ternary weight network, a factor per layer",
        "Li, Liu, arXiv:1605.04711",
        "ternary_weights",
    ),
    Method(
        "fgq",
        "Ternary weights, a factor per group of 4 channels",
        "Mellempudi et al., arXiv:1705.01462",
        "ternary_weights",
        "groups",
    ),
    Method(
        "trn",
        "Ternary residual network, edges switched at run time",
        "Kundu et al., arXiv:1707.04679",
        "ternary_residual",
        with_edges=True,
    ),
    Method(
        "bitwise",
        "Bitwise neural network, two phases",
        "Kim, Smaragdis, arXiv:1601.06071",
        "bitwise",
        net="256-256",
    ),
    Method(
        "ebp",
        "Expectation backpropagation",
        "Soudry et al., NIPS 2014",
        "expectation_backpropagation",
        net="256",
        epochs=30,
    ),
    Method(
        "true-north",
        "TrueNorth, one drawn network",
        "Esser et al., NIPS 2015",
        "true_north",
        "",
        net="32-100",
    ),
    Method(
        "true-north-ensemble",
        "TrueNorth, the spikes of eight drawn networks",
        "Esser et al., NIPS 2015",
        "true_north",
        "ensemble",
        net="32-100",
    ),
    Method(
        "perceptron",
        "Binary perceptron, replicated for local entropy",
        "Baldassi et al., arXiv:1509.05753",
        "local_entropy",
        "perceptron",
        net="",
    ),
    Method(
        "perceptron-plain",
        "Binary perceptron, one replica",
        "Baldassi et al., arXiv:1509.05753",
        "local_entropy",
        "perceptron-plain",
        net="",
    ),
    Method(
        "committee",
        "Committee machine, replicated for local entropy",
        "Baldassi et al., arXiv:1509.05753",
        "local_entropy",
        "committee",
        net="9",
    ),
    Method(
        "committee-plain",
        "Committee machine, one replica",
        "Baldassi et al., arXiv:1509.05753",
        "local_entropy",
        "committee-plain",
        net="9",
    ),
    Method(
        "dynamic-fixed-point",
        "Low-precision multiplications, dynamic fixed point",
        "Courbariaux et al., arXiv:1412.7024",
        "low_precision",
        "dynamic",
    ),
    Method(
        "fixed-point",
        "Low-precision multiplications, fixed point",
        "Courbariaux et al., arXiv:1412.7024",
        "low_precision",
        "fixed",
    ),
    Method(
        "q-cnn",
        "Quantized CNN, product quantisation with error correction",
        "Wu et al., arXiv:1512.06473",
        "quantized_cnn",
        "corrected",
        net="32C3-P2-64C3-P2-128",
        epochs=20,
    ),
    Method(
        "q-cnn-plain",
        "Quantized CNN, product quantisation by k-means alone",
        "Wu et al., arXiv:1512.06473",
        "quantized_cnn",
        "plain",
        net="32C3-P2-64C3-P2-128",
        epochs=20,
    ),
    Method("w1a2", "DoReFa-Net, W1A2", "Zhou et al., arXiv:1606.06160", "dorefa", "w1a2"),
    Method("w2a2", "DoReFa-Net, W2A2", "Zhou et al., arXiv:1606.06160", "dorefa", "w2a2"),
    Method(
        "w1a2-ternary",
        "DoReFa-Net, activations -1, 0, +1",
        "Zhou et al., arXiv:1606.06160",
        "dorefa",
        "w1a2-ternary",
    ),
    Method(
        "bi-real",
        "Bi-Real Net, real shortcuts",
        "Liu et al., arXiv:1808.00278",
        "bi_real",
        net="16-32",
        fixed_point="auto",
    ),
    Method(
        "react-net",
        "ReActNet, learned shifts, after a real network",
        "Liu et al., arXiv:2003.03488",
        "react_net",
        net="16-32",
        epochs=60,
        fixed_point="auto",
    ),
    Method(
        "quick-net",
        "QuickNet, blurred transitions",
        "Bannink et al., arXiv:2011.09398",
        "quick_net",
        net="16-32",
        fixed_point="auto",
    ),
    Method(
        "frac-bnn",
        "FracBNN, gated activations, thermometer input",
        "Zhang et al., arXiv:2012.12206",
        "frac_bnn",
        net="8-16",
        fixed_point="auto",
    ),
)
"""All methods, in the order of the papers."""


def find_method(name: str) -> Method:
    """Return a method by its name, in any case.

    Raises
    ------
    BadInput
        If there is none; the message names one that is written alike, if there is one.
    """
    known = {m.name: m for m in METHODS}
    if name.casefold() in known:
        return known[name.casefold()]
    alike = difflib.get_close_matches(name.casefold()[:100], known, 1)
    hint = f"did you mean {alike[0]}? " if alike else ""
    raise BadInput(f"there is no method {name!r}: {hint}'xnorflow train --list' shows all")
