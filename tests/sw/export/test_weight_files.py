"""Parameters as npz, hex images and a C header: read back by loops of the tests' own."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from xnorflow import demo, ir, load
from xnorflow.errors import BadInput, ToolMissing
from xnorflow.export import save_weights
from xnorflow.export.weight_files import narrowest, parameters
from xnorflow_sim.verilator import toolchain

from ..ir.test_graphs import network


@pytest.fixture(scope="module")
def net():
    """The demo network, with parameters of every kind and awkward values."""
    made = load(demo.model_path())
    layers = list(made.layers)
    last = layers[-1]
    layers[-1] = replace(last, offsets=np.arange(10) * 300 - 1500)
    wide = ir.Alphabet(-3, 2, 4)
    rng = np.random.default_rng(4)
    for i, layer in enumerate(layers):
        if layer.name == "conv1":
            codes = rng.integers(0, 4, layer.weights.shape)
            layers[i] = replace(layer, weights=wide.values(codes), alphabet=wide)
    return ir.IntegerNetwork("net", made.shape, tuple(layers))


def test_an_npz_holds_every_parameter_in_the_narrowest_type(net, tmp_path):
    names = save_weights(net, tmp_path / "w.npz", "npz")
    with np.load(tmp_path / "w.npz") as arrays:
        found = {p.name: p.values for p in parameters(net)}
        assert set(names) == set(found) == set(arrays.files) - {"about"}
        for name, values in found.items():
            np.testing.assert_array_equal(arrays[name], values)
        assert arrays["conv0.weights"].dtype == np.int8
        assert arrays["scores.offsets"].dtype == np.int16
        about = json.loads(str(arrays["about"]))
    assert [entry["name"] for entry in about["layers"]] == [layer.name for layer in net.layers]
    assert about["digest"] == net.digest
    conv = next(e for e in about["layers"] if e["name"] == "conv1")
    assert conv["alphabet"] == {"lo": -3, "step": 2, "levels": 4}
    assert conv["window"]["kernel"] == [3, 3]


def test_a_network_that_branches_says_what_each_layer_reads_and_where_outputs_are(tmp_path):
    made = network()
    names = save_weights(made, tmp_path / "w.npz", "npz")
    with np.load(tmp_path / "w.npz") as arrays:
        about = json.loads(str(arrays["about"]))
        for output, entry in zip(made.outputs, about["outputs"], strict=True):
            assert (entry["name"], tuple(entry["shape"])) == (output.name, output.shape)
            np.testing.assert_array_equal(arrays[entry["places"]], output.gather)
        np.testing.assert_array_equal(arrays["sum.multiply"], [[1], [-2]])
        np.testing.assert_array_equal(arrays["position.values"], made.layers[6].values)
    assert "output.0.places" in names
    layers = {entry["name"]: entry for entry in about["layers"]}
    assert layers["sum"]["reads"] == ["a", "b"] and layers["a"]["reads"] == [""]
    assert layers["position"]["reads"] == ["both"]
    assert layers["larger"]["factors"] == [2, 3] and layers["larger"]["fill"] == "repeat"
    assert layers["both"]["axis"] == 2 and layers["most"]["minimum"] is True
    axes = {p.name: p.axes for p in parameters(made)}
    assert axes["sum.multiply"] == "input, channel or one for all"
    assert axes["output.1.places"].startswith("element of the output")


def test_files_of_outputs_are_not_named_as_a_model_likes(tmp_path):
    made = network()
    away = replace(made.outputs[0], name="../away")
    save_weights(replace(made, outputs=(away,)), tmp_path, "hex")
    assert (tmp_path / "output.0.places.hex").is_file()
    assert not (tmp_path.parent / "away.hex").exists()


def test_hex_lines_hold_the_codes_of_a_channel_the_first_lowest(net, tmp_path):
    names = save_weights(net, tmp_path, "hex")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    for p in parameters(net):
        codes, bits = p.codes
        lines = (tmp_path / f"{p.name}.hex").read_text().splitlines()
        words = [line for line in lines if not line.startswith("//")]
        assert len(words) == len(p.values) and len(lines) == len(words) + 2
        for word, row, values in zip(words, codes, p.values, strict=True):
            number = int(word, 16)
            for code, value in zip(np.ravel(row), np.ravel(values), strict=True):
                field = number & ((1 << bits) - 1)
                assert field == code
                if p.alphabet is not None:
                    assert p.alphabet.lo + p.alphabet.step * field == value
                elif p.values.min() < 0:
                    assert field - ((field >> (bits - 1)) << bits) == value
                else:
                    assert field == value
                number >>= bits
            assert number == 0


def test_a_c_header_compiles_without_a_warning_and_holds_the_values(net, tmp_path):
    try:
        compiler = toolchain.compiler()
    except ToolMissing as e:
        pytest.skip(str(e))
    assert save_weights(net, tmp_path / "w.h", "c") == ("w.h",)
    prints = "".join(
        f"show(sizeof net_{p.layer}_{p.field}[0]{'[0]' * (p.values.ndim - 1)},"
        f" sizeof net_{p.layer}_{p.field}, (const char *)net_{p.layer}_{p.field});\n"
        for p in parameters(net)
    )
    (tmp_path / "main.c").write_text(
        '#include "w.h"\n#include <stdio.h>\n'
        "static void show(unsigned long item, unsigned long size, const char *at) {\n"
        '  printf("%lu", item);\n'
        "  for (unsigned long i = 0; i < size; i += item)\n"
        '    printf(" %d", item == 1 ? *(const int8_t *)(at + i)\n'
        "      : item == 2 ? *(const int16_t *)(at + i) : *(const int32_t *)(at + i));\n"
        '  printf("\\n");\n}\n'
        f"int main(void) {{\n{prints}return 0;\n}}\n"
    )
    options = ["-x", "c", "-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.c"]
    subprocess.run([str(compiler.path), *options], cwd=tmp_path, check=True)
    out = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    for line, p in zip(out.splitlines(), parameters(net), strict=True):
        size, *values = map(int, line.split())
        kind = narrowest(p.values)
        assert size == np.dtype(kind).itemsize
        np.testing.assert_array_equal(np.array(values).astype(kind), p.values.ravel())


def test_the_narrowest_type_holds_both_ends():
    for values, name in (
        ([-128, 127], "int8"),
        ([0, 128], "uint8"),
        ([-1, 128], "int16"),
        ([0, 65535], "uint16"),
        ([-1, 65535], "int32"),
        ([0, 1 << 31], "uint32"),
        ([1 << 32], "int64"),
        ([], "int8"),
    ):
        assert narrowest(np.array(values, np.int64)) == name


def test_what_cannot_be_written_is_bad_input(net, tmp_path):
    with pytest.raises(BadInput, match="cannot write"):
        save_weights(net, tmp_path / "none" / "w.h", "c")
    with pytest.raises(BadInput, match="npz, hex, c, not as xml"):
        save_weights(net, tmp_path / "w.xml", "xml")
