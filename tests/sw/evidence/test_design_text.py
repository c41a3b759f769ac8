"""What lies in a design's folder: every altered bit is found, and its layer named."""

import json

import pytest

from xnorflow import compile, demo, load
from xnorflow.design.design import Design
from xnorflow.errors import BadInput
from xnorflow.evidence.design_text import (
    alterations,
    carry,
    locate_first,
    read_text,
    with_probes,
)
from xnorflow_sim.locate import Mismatch

from . import small_design


@pytest.fixture(scope="module")
def large():
    """A design with ROM images beside the Verilog."""
    return compile(load(demo.model_path()), cycles=3000)


@pytest.fixture
def folder(large, tmp_path):
    return large.write(tmp_path / "design")


def altered(design, folder):
    return [str(a) for a in alterations(design, read_text(folder, design))]


def test_a_folder_as_it_was_written_is_intact(large, folder):
    text = read_text(folder, large)
    assert text.intact and text.digest == large.digest and alterations(large, text) == ()


def test_every_bit_of_an_image_belongs_to_a_layer(large, folder):
    seen = set()
    for path in sorted(folder.glob("*.hex")):
        original = path.read_text()
        words = original.split()
        words[1] = f"{int(words[1], 16) ^ 1:0{len(words[1])}x}"
        path.write_text("\n".join(words) + "\n")
        layer = next(n for n in ("conv1", "conv2") if f"_{n}_" in path.name)
        assert altered(large, folder) == [f"{path.name}, word 1, bit 0: layer {layer}"]
        assert not read_text(folder, large).intact
        path.write_text(original)
        seen.add(layer)
    assert seen == {"conv1", "conv2"}
    assert read_text(folder, large).intact


def test_images_are_described_by_what_is_wrong_with_them(large, folder):
    path = folder / "digits_conv2_weights_1.hex"
    original = path.read_text()
    words = original.split()
    for content, said in (
        (" ".join(["3", *words[1:]]), None),
        (" ".join(words[:-1]), f"{len(words) - 1} words instead of {len(words)}"),
        (" ".join(["xyz", *words[1:]]), "word 0 is 'xyz'"),
        (original + "\n", "in its white space only"),
    ):
        path.write_text(content)
        (found,) = altered(large, folder)
        assert found.endswith(": layer conv2")
        assert said is None or said in found
    path.unlink()
    assert altered(large, folder) == [f"{path.name}, which is not there: layer conv2"]


def test_a_bit_in_the_verilog_is_found_by_line_and_layer(large, folder):
    line = small_design.turn_weight_bit(folder, "dense0", word=1700)
    assert altered(large, folder) == [
        f"digits.v, line {line} in module digits_dense0_array_rom: layer dense0"
    ]


def test_what_belongs_to_no_layer_is_found_too(large, folder):
    path = folder / "digits.v"
    text = path.read_text()
    for old, new, said in (
        ("// Ports", "// Doors", "outside of all modules"),
        ("module digits_input_stage(", "module digits_input_stage (", "layer input"),
    ):
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        (found,) = altered(large, folder)
        assert said in found
    path.write_text(text.replace("module digits_pool0_array(", "module other("))
    assert any("module digits_pool0_array is not there: layer pool0" in a
               for a in altered(large, folder))  # fmt: skip


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b.hex", ""])
def test_files_elsewhere_are_not_read(large, folder, name):
    content = json.loads((folder / "design.json").read_text())
    content["files"].append(name)
    (folder / "design.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match="names files in other folders"):
        read_text(folder, large)


def test_alterations_are_carried_over_to_the_design_with_probes(large, folder):
    """Into modules whose ports have other numbers there, too."""
    probed = with_probes(large)
    image, verilog = folder / "digits_conv2_weights_0.hex", folder / "digits.v"
    image.write_text(image.read_text().replace("0", "1", 1))
    line = small_design.turn_weight_bit(folder, "dense0", word=9)
    text = verilog.read_text()
    start = text.index("module digits_conv1_array(")
    at = text.index("o_row <= late_row", start)
    verilog.write_text(text[:at] + "o_row <= ~late_row" + text[at + len("o_row <= late_row") :])
    made = carry(large, read_text(folder, large), probed)
    assert made.images[image.name] == image.read_text() != probed.images[image.name]
    new, old = (t.splitlines()[line - 1] for t in (verilog.read_text(), large.verilog))
    pairs = zip(made.verilog.splitlines(), probed.verilog.splitlines(), strict=True)
    changed = [(a.strip(), b.strip()) for a, b in pairs if a != b]
    assert new != old and (new.strip(), old.strip()) in changed and len(changed) == 2
    assert any(a == b.replace("<= late_row", "<= ~late_row") for a, b in changed)


def test_alterations_that_fit_no_one_place_are_not_carried(large, folder):
    path = folder / "digits.v"
    text = path.read_text()
    probed = with_probes(large)
    for old, new in (
        ("module digits_pool0_array(", "module other("),
        ("module digits(rst,", "module digits( rst,"),
    ):
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        assert carry(large, read_text(folder, large), probed) is None


@pytest.mark.rtl
@pytest.mark.parametrize(("layer", "word"), [("conv0", 5), ("dense0", 40)])
def test_the_first_wrong_feature_is_located_through_the_altered_text(tmp_path, layer, word):
    design = small_design.design()
    folder = design.write(tmp_path / "small")
    small_design.turn_weight_bit(folder, layer, word=word, bit=1)
    read = Design.describe(folder)
    text, x = read_text(folder, read), small_design.frames(40)
    run = text.simulator(read).run(x)
    wrong = (run.scores != design.net(x)).any(axis=1)
    assert wrong.any()
    frame = int(wrong.argmax())
    found = locate_first(read, text, x[frame : frame + 1], frame)
    assert isinstance(found, Mismatch) and (found.layer, found.frame) == (layer, frame)
    assert isinstance(locate_first(read, None, x[frame : frame + 1], frame), str)
