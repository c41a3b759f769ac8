"""Draws networks in PyTorch, and has PyTorch's own exporters write them."""

from __future__ import annotations

import io
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from drawn_network import Drawn
from drawn_samples import Kind, integers
from torch import nn
from torch.nn import functional as F

Function = Callable[[torch.Tensor], torch.Tensor]
logging.getLogger("torch.onnx").setLevel(logging.ERROR)
os.environ.setdefault("TORCH_ONNX_LOG_LEVEL", "ERROR")


class NotExported(Exception):
    """PyTorch cannot write a network."""


SIGNS: dict[str, Function] = {
    "where": lambda x: torch.where(x >= 0, torch.ones_like(x), -torch.ones_like(x)),
    "where of scalars": lambda x: torch.where(x > 0, 1.0, -1.0),
    "where less": lambda x: torch.where(x < 0, -1.0, 1.0),
    "ge float": lambda x: 2 * (x >= 0).float() - 1,
    "gt method": lambda x: x.gt(0).float() * 2 - 1,
    "to type": lambda x: (x >= 0).to(x.dtype).mul(2).sub(1),
    "sign": torch.sign,
    "sign mended": lambda x: torch.sign(x) + (x == 0).float(),
    "sign of sign": lambda x: torch.sign(torch.sign(x) + 0.5),
    "int": lambda x: ((x >= 0).int() * 2 - 1).float(),
    "masked": lambda x: x.sign().masked_fill(x == 0, 1.0),
    "differences": lambda x: (x >= 0).float() - (x < 0).float(),
    "round": lambda x: torch.round((x.clamp(-1, 1) + 1) / 2) * 2 - 1,
    "hardtanh": lambda x: torch.where(F.hardtanh(x) >= 0, 1.0, -1.0),
    "tanh": lambda x: torch.sign(torch.tanh(x) + 1e-3),
    "not": lambda x: torch.where(torch.logical_not(x < 0), 1.0, -1.0),
    "clamp of sign": lambda x: (2 * torch.sign(x) + 1).clamp(-1, 1),
}
FUNCTIONS: dict[str, Function] = {
    "abs": torch.abs,
    "neg": torch.neg,
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky relu": lambda x: F.leaky_relu(x, 0.1),
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "softsign": F.softsign,
    "silu": F.silu,
    "elu": F.elu,
    "softplus": F.softplus,
    "square": lambda x: x * x,
    "gelu": F.gelu,
}


class Sign(nn.Module):
    """One of the ways to write a sign, or a straight-through estimator's."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.twin = name, False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the sign."""
        if self.name != "detached":
            return SIGNS[self.name](x)
        y = torch.where(x >= 0, 1.0, -1.0)
        if self.twin:
            return y
        soft = x.clamp(-1, 1)
        return (y - soft).detach() + soft


class Quantiser(nn.Module):
    """A quantiser of several values."""

    def __init__(self, way: str, levels: int, scale: float) -> None:
        super().__init__()
        self.way, self.levels, self.scale = way, levels, scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute it."""
        n, s = self.levels, self.scale
        match self.way:
            case "dorefa":
                return torch.round(x.clamp(0, 1) * n) / n
            case "pact":
                y = 0.5 * (x.abs() - (x - s).abs() + s)
                return torch.round(y * (n / s)) * (s / n)
            case "steps":
                return torch.round(torch.clamp(x / s, -n, n)) * s
            case "floor":
                return torch.floor(x / s + 0.5).clamp(0, n) * s
            case "ternary":
                return torch.where(x > s, 1.0, torch.where(x < -s, -1.0, 0.0))
            case "bit":
                return (x > s).float()
            case "fake":
                return torch.fake_quantize_per_tensor_affine(x, s, 0, 0, 255)
            case "minimum":
                low = torch.zeros_like(x)
                return torch.minimum(torch.maximum(torch.ceil(x / s), low), low + float(n))
        raise ValueError(self.way)


class Layer(nn.Module):
    """A convolution or dense layer with weights that are binarised in the graph or stored so."""

    def __init__(self, way: str, weight: torch.Tensor, bias: Any, options: dict[str, Any]) -> None:
        super().__init__()
        self.way, self.options = way, options
        self.weight = nn.Parameter(weight)
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute it."""
        w = self.weight
        match self.way:
            case "sign":
                w = torch.sign(w)
            case "where":
                w = torch.where(w >= 0, 1.0, -1.0)
            case "alpha":
                axes = list(range(1, w.ndim))
                w = torch.sign(w) * w.abs().mean(axes, keepdim=True)
            case "ternary":
                w = torch.sign(w) * (w.abs() > 0.7).float()
        match w.ndim:
            case 4:
                return F.conv2d(x, w, self.bias, **self.options)
            case 3:
                return F.conv1d(x, w, self.bias, **self.options)
        return F.linear(x, w, self.bias)


class Way(nn.Module):
    """Any function without parameters."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute it."""
        return self.function(x)


class _Drawing:
    """A network under construction; it knows the shape so far and the usual magnitude."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.parts, self.tags = rng, list[nn.Module](), set[str]()
        self.size, self.shape, self.amplitude = 1.0, (1,), 0.0
        self.biased = True

    def pick(self, *options: Any) -> Any:
        return options[int(self.rng.integers(0, len(options)))]

    def int(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def tensor(self, values: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(values, np.float32))

    def add(self, part: nn.Module | Function) -> None:
        self.parts.append(part if isinstance(part, nn.Module) else Way(part))

    def unit(self, wanted: float) -> float:
        if self.rng.random() < 0.65:
            return float(2.0 ** np.round(np.log2(wanted)))
        return float(np.float32(wanted * self.rng.uniform(0.7, 1.4)))

    def norm(self) -> None:
        c = self.shape[0]
        kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}[len(self.shape)]
        norm = kind(c)
        with torch.no_grad():
            mean = np.round(self.rng.normal(0, self.size / 2, c) * 2) / 2
            norm.running_mean.copy_(self.tensor(mean))
            norm.running_var.copy_(self.tensor(self.rng.uniform(0.3, 2, c) * self.size**2))
            norm.weight.copy_(self.tensor(self.rng.normal(0, 1, c)))
            norm.bias.copy_(self.tensor(self.rng.normal(0, 0.5, c)))
        self.add(norm)
        self.size = 1.0

    def between(self) -> None:
        for _ in range(self.pick(0, 1, 1, 2)):
            match self.pick("norm", "norm", "prelu", "scale", "function", "dropout"):
                case "norm":
                    self.norm()
                case "prelu":
                    slopes = nn.PReLU(self.pick(1, self.shape[0]))
                    with torch.no_grad():
                        slopes.weight.uniform_(-0.5, 1)
                    self.add(slopes)
                case "scale":
                    by = float(self.rng.uniform(0.2, 2))
                    self.add(lambda x, by=by: x * by + 0.25)
                case "dropout":
                    self.add(nn.Dropout(0.5))
                case _:
                    name = self.pick(*FUNCTIONS)
                    self.tags.add(f"function:{name}")
                    by = self.unit(1 / self.size)
                    self.add(lambda x, by=by: x * by)
                    self.add(FUNCTIONS[name])
                    self.size = 1.0

    def quantiser(self) -> None:
        self.amplitude = 0.0
        if self.pick(0, 1):
            name = self.pick(*SIGNS, "detached")
            self.tags.add("residue" if name == "detached" else f"sign:{name}")
            self.add(Sign(name))
            self.size = self.amplitude = 1.0
            return
        way = self.pick("dorefa", "pact", "steps", "floor", "ternary", "bit", "fake", "minimum")
        levels = self.pick(1, 2, 3, 7)
        scale = self.unit(self.size / {"fake": 40, "pact": 1}.get(way, 2))
        if way == "dorefa":
            by = self.unit(1 / self.size)
            self.add(lambda x, by=by: x * by + 0.5)
        self.tags.add(f"quantiser:{way}")
        self.add(Quantiser(way, levels, scale))
        self.size = {"dorefa": 0.6, "ternary": 0.7, "bit": 0.5}.get(way, self.size * 0.7)

    def layer(self, out: int, kernel: tuple[int, ...], **options: Any) -> None:
        group = options.get("groups", 1)
        shape = (out, (self.shape[0] if kernel else int(np.prod(self.shape))) // group, *kernel)
        way = self.pick("stored", "stored", "scaled", "sign", "where", "alpha", "ternary")
        weight = self.rng.normal(0, 1, shape)
        usual = 0.8
        if way == "stored":
            weight, usual = self.pick(
                (np.sign(weight), 1.0), (self.rng.integers(-3, 4, shape), 2.0)
            )
        elif way == "scaled":
            by = 2.0 ** self.rng.integers(-3, 2, out).reshape(-1, *[1] * (len(shape) - 1))
            weight = np.sign(weight) * by
        self.size *= usual * float(np.prod(shape[1:])) ** 0.5
        bias = None
        if self.pick(0, 1) and self.biased:
            bias = self.rng.normal(0, self.size / 2, out)
            bias = self.tensor(self.pick(np.round(bias * 2) / 2, bias))
        self.tags.add(f"weights {way}")
        self.add(Layer(way, self.tensor(weight), bias, options))

    def conv(self) -> None:
        space = self.shape[1:]
        k = min(self.int(1, 3), *space)
        stride = self.pick(1, 1, 2)
        pad = self.pick(0, 0, 1) if k > 1 else 0
        if k > 1 and not pad and self.pick(0, 0, 1):
            value = self.amplitude * self.pick(0.0, 1.0, -1.0)
            pads = [1, 1] * len(space)
            self.add(lambda x: F.pad(x, pads, value=value))
            space = tuple(n + 2 for n in space)
        groups = self.pick(1, 1, self.shape[0])
        out = groups * self.int(1, 2) if groups > 1 else self.int(1, 6)
        self.layer(out, (k,) * len(space), stride=stride, padding=pad, groups=groups)
        self.shape = (out, *((n + 2 * pad - k) // stride + 1 for n in space))

    def pool(self, average: bool = False) -> None:
        if len(self.shape) < 2 or min(self.shape[1:]) < 2:
            return
        kinds: dict[tuple[int, bool], Any] = {
            (3, False): nn.MaxPool2d,
            (2, False): nn.MaxPool1d,
            (3, True): nn.AvgPool2d,
            (2, True): nn.AvgPool1d,
        }
        self.add(kinds[len(self.shape), average](2))
        self.shape = (self.shape[0], *(n // 2 for n in self.shape[1:]))

    def block(self) -> None:
        where = self.pick("", "before", "behind", "average", "sums")
        # The mean of sums with a bias is refused; some are drawn.
        self.biased = where != "sums" or self.rng.random() < 0.15
        self.conv()
        self.biased = True
        if where in ("before", "sums"):
            self.pool(where == "sums")
        self.between()
        self.quantiser()
        if where == "behind":
            self.pool()
        elif where == "average":
            self.pool(average=True)
            self.between()
            self.quantiser()
        if len(self.shape) == 3 and self.pick(*[0] * 6, 1):
            c, h, width = self.shape
            if h % 2 == width % 2 == 0:
                self.tags.add("pixel unshuffle")
                self.add(nn.PixelUnshuffle(2))
                self.shape = (4 * c, h // 2, width // 2)
            else:
                self.add(lambda x: x.permute(0, 1, 3, 2))
                self.shape = (c, width, h)

    def flat(self) -> None:
        rank = len(self.shape) + 1
        if rank == 2:
            return
        axes = list(range(2, rank))
        way = self.pick("flatten", "view", "module", "last", "mean", "sum", "adaptive", "amax")
        self.tags.add(f"flat by {way}")
        pooled = way in ("mean", "sum", "adaptive", "amax")
        match way:
            case "flatten":
                self.add(lambda x: torch.flatten(x, 1))
            case "view":
                self.add(lambda x: x.reshape(x.size(0), -1))
            case "module":
                self.add(nn.Flatten())
            case "last":
                self.add(lambda x: x.permute(0, *axes, 1).reshape(x.shape[0], -1))
            case "mean":
                self.add(lambda x: x.mean(axes))
            case "sum":
                self.add(lambda x: x.sum(axes))
                self.size *= float(np.prod(self.shape[1:]))
            case "adaptive":
                kind = nn.AdaptiveAvgPool2d if rank == 4 else nn.AdaptiveAvgPool1d
                self.add(kind(1))
                self.add(nn.Flatten())
            case "amax":
                self.add(lambda x: torch.amax(x, axes))
        self.shape = (self.shape[0] if pooled else int(np.prod(self.shape)),)

    def dense(self, out: int) -> None:
        self.layer(out, ())
        self.shape = (out,)

    def end(self) -> str:
        if self.pick(0, 0, 1):
            self.norm()
        options = ("", "", "", "softmax", "log_softmax", "argmax", "sigmoid", "tanh")
        if self.shape[0] == 1:
            options = ("", "", "sigmoid", "tanh")
        last = self.pick(*options)
        match last:
            case "softmax":
                self.add(nn.Softmax(1))
            case "log_softmax":
                self.add(lambda x: F.log_softmax(x, dim=-1))
            case "argmax":
                self.add(lambda x: x.argmax(1))
            case "sigmoid" | "tanh":
                by = 2.0 ** -np.ceil(np.log2(self.size + 1))
                self.add(lambda x: x * by)
                self.add(nn.Sigmoid() if last == "sigmoid" else nn.Tanh())
        return {"sigmoid": "Sigmoid", "tanh": "Tanh"}.get(last, "")


def draw(seed: int, path: Path, *, dynamo: bool) -> tuple[Drawn, onnx.ModelProto | None]:
    """Draw a network from a seed and export it to `path`.

    Returns
    -------
    Drawn
    ModelProto or None
        The same without what straight-through estimators leave behind, where it has such.
    """
    rng = np.random.default_rng((seed, 2))
    d = _Drawing(rng)
    kind = integers(rng) if rng.random() < 0.9 else Kind("float", -4, 4)
    c = d.pick(1, 1, 2, 3)
    d.shape = d.pick((d.int(5, 40),), (c, d.int(6, 16)), *[(c, d.int(4, 8), d.int(4, 8))] * 4)
    last = len(d.shape) == 3 and d.pick(*[0] * 5, 1)
    shape = (*d.shape[1:], c) if last else d.shape
    if last:
        d.add(lambda x: x.permute(0, 3, 1, 2))
    low, high = kind.ends
    d.size = max(abs(low), abs(high))
    if kind.name == "float":
        d.quantiser()
    else:
        if rng.random() < 0.4:
            by = d.pick(255.0, 1.0)
            mean, deviation = 0.5 * (low + high) / by, max(0.25 * (high - low) / by, 1e-3)
            if len(d.shape) > 1 and c > 1 and d.pick(0, 1):
                many = (1, c, *[1] * (len(d.shape) - 1))
                means = d.tensor(np.round(mean * rng.uniform(0.8, 1.2, c), 3)).reshape(many)
                spread = d.tensor(np.round(deviation * rng.uniform(0.8, 1.2, c), 3) + 1e-3)
                spread = spread.reshape(many)
                d.add(lambda x: (x / by - means) / spread)
                d.size = 1.5
                d.quantiser()
            else:
                d.add(lambda x: (x / by - mean) / deviation)
                d.size = 1.5
                if d.pick(0, 1):
                    d.quantiser()
        elif rng.random() < 0.6:
            if low >= 0:
                d.add(lambda x: x - (low + high) / 2)
            d.quantiser()
    for _ in range(d.int(0, 2)):
        if len(d.shape) > 1 and min(d.shape[1:]) > 1:
            d.block()
    d.flat()
    for _ in range(d.pick(0, 0, 1, 2)):
        d.dense(d.int(2, 12))
        d.between()
        d.quantiser()
    d.dense(d.pick(1, 2, 3, 5, 10))
    ends_in = d.end()
    net = nn.Sequential(*d.parts).eval()
    # Older sets of PyTorch's lack some functions.
    new = {"function:hardswish", "function:softsign", "pixel unshuffle"} & d.tags
    rounds = {"sign:round", *(f"quantiser:{way}" for way in ("dorefa", "pact", "steps"))} & d.tags
    opset = d.int(18, 23) if dynamo else d.int(14 if new else 11 if rounds else 9, 20)
    signs = [p for p in d.parts if isinstance(p, Sign)]
    twin = None
    if "residue" in d.tags:
        for sign in signs:
            sign.twin = True
        _export(net, shape, path, opset, dynamo)
        twin = onnx.load(path)
        for sign in signs:
            sign.twin = False
    _export(net, shape, path, opset, dynamo)
    x = kind.draw(rng, shape)
    taken = x if kind.name == "float" else kind.taken(x)
    layout = None
    if len(shape) == 3 and not last and rng.random() < 0.3:
        layout, x = "nhwc", x.transpose(0, 2, 3, 1)
    model = onnx.load(path)
    d.tags |= {f"opset {next(o.version for o in model.opset_import if not o.domain)}"}
    d.tags |= {f"input {kind.name}", *(n.op_type for n in model.graph.node)}
    return Drawn(model, kind, layout, x, taken, frozenset(d.tags), ends_in), twin


def _export(net: nn.Module, shape: tuple[int, ...], path: Path, opset: int, dynamo: bool) -> None:
    with (
        warnings.catch_warnings(),
        torch.no_grad(),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            torch.onnx.export(
                net,
                (torch.zeros(1, *shape),),
                str(path),
                dynamo=dynamo,
                opset_version=opset,
                **({"verbose": False, "external_data": False} if dynamo else {}),
            )
        except Exception as e:  # Its errors share no base class.
            raise NotExported(str(e).partition("\n")[0]) from e
        finally:
            logging.disable(logging.NOTSET)
