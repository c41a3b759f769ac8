"""The whole link, with faults: command line, driver, terminal, RTL of link and accelerator."""

import json
import random
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import xnorflow as xf
from xnorflow import demo
from xnorflow.cli import main
from xnorflow.cli.run import _baud
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.train.chain_file import ChainFile
from xnorflow_boards.host.driver import Driver
from xnorflow_boards.host.protocol import encode, hello
from xnorflow_boards.host.transport import SerialTransport
from xnorflow_boards.simulated.design_board import TOP, link_spec, simulated
from xnorflow_boards.simulated.link_twin import ModelBoard
from xnorflow_hw.link.link_format import Request
from xnorflow_hw.link.linked import LinkedAccelerator, emit_linked
from xnorflow_sim.board.board_worker import CompiledBoard
from xnorflow_sim.board.faults import FaultRates, NoisyLine
from xnorflow_sim.board.simulated_board import Trouble
from xnorflow_sim.interface import BytePorts
from xnorflow_sim.verilator.library import build

pytestmark = pytest.mark.rtl
pytest.importorskip("serial")
RATE = 0.0003


@pytest.fixture(scope="module")
def design():
    return xf.compile(xf.load(demo.model_path()))


@pytest.fixture(scope="module")
def folder(design, tmp_path_factory):
    return design.write(tmp_path_factory.mktemp("link") / "design")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    arrays = demo.data()
    np.savez(path, x=arrays["x_test"], y=arrays["y_test"])
    return path


def stream(design, count, *, timeout, seed=0, **options):
    """Send frames; return wrong, missing, statistics and the board's report."""
    x = np.random.default_rng(seed).integers(0, 17, (count, 8, 8)).astype(np.uint8)
    face = design.interface
    with simulated(design, seed=seed, **options) as board:
        transport = SerialTransport(board.port, 1_000_000)
        driver = Driver(transport, timeout=timeout)
        try:
            known = driver.expect(design.digest, face.frame, face.out_beats * face.out_bytes)
            answers = driver.run(face.pack(x).reshape(count, -1), known)
        finally:
            transport.close()
    scores = face.unpack(answers.results.reshape(count, face.out_beats, face.out_bytes))
    wrong = (scores != design.net(x)).any(axis=1) & answers.answered
    return int(wrong.sum()), int((~answers.answered).sum()), driver.statistics, board.report


def test_every_frame_through_drops_flips_repeats_inserts_pulls_and_resets(design):
    trouble = Trouble(
        FaultRates(RATE, RATE, RATE, RATE),
        resets=(9_000, 31_000),
        pulls=(20_000,),
        pull_seconds=0.3,
    )
    wrong, missing, statistics, report = stream(design, 600, timeout=0.4, trouble=trouble)
    assert (wrong, missing) == (0, 0)
    assert (report["resets"], report["pulls"]) == (2, 1)
    assert min(report[kind] for kind in ("drop", "flip", "repeat", "insert")) > 5
    assert statistics.sessions >= 4
    assert statistics.lost > 20


def test_bit_by_bit_through_the_uart(design):
    """Bytes are damaged; the wires are those of a UART with four cycles per bit."""
    trouble = Trouble(FaultRates(0.001, 0.001, 0.001, 0.001))
    wrong, missing, statistics, report = stream(
        design, 40, timeout=3, divisor=4, trouble=trouble, seed=1
    )
    assert (wrong, missing) == (0, 0)
    assert sum(report[kind] for kind in ("drop", "flip", "repeat", "insert")) > 3
    # Every byte of every frame takes ten bits of four cycles.
    assert report["cycles"] > 40 * 77 * 40


def test_a_board_that_dies_leaves_its_frames_reported(design):
    x = np.random.default_rng(2).integers(0, 17, (3000, 8, 8)).astype(np.uint8)
    face = design.interface
    with pytest.raises(CheckFailed, match="the simulated board died"), simulated(design) as board:
        transport = SerialTransport(board.port, 1_000_000)
        driver = Driver(transport, timeout=0.1, patience=2)
        known = driver.identify()

        def die(done, total):
            if done >= 100:
                board.kill()

        answers = driver.run(face.pack(x).reshape(len(x), -1), known, die)
        transport.close()
    scores = face.unpack(answers.results.reshape(len(x), face.out_beats, face.out_bytes))
    right = (scores == design.net(x)).all(axis=1)
    assert right[answers.answered].all()
    assert 100 <= answers.answered.sum() < len(x)
    with pytest.raises(CheckFailed, match="frames were not answered"):
        answers.check()


@pytest.fixture(scope="module")
def slow():
    """The design takes several times as long for a frame as a line of 4 cycles per bit."""
    design = xf.compile(xf.load(demo.model_path()), cycles=12_000)
    assert design.ii > 3 * 40 * design.interface.frame
    return design


def test_a_slow_accelerator_loses_nothing_with_the_right_queue(slow):
    wrong, missing, statistics, _ = stream(slow, 20, timeout=30, divisor=4)
    assert (wrong, missing, statistics.lost, statistics.sessions) == (0, 0, 0, 1)


def test_a_queue_that_runs_over_is_survived(slow):
    """A board that promises a window of 16 frames but can queue six."""
    wrong, missing, statistics, _ = stream(slow, 30, timeout=5, divisor=4, window=16)
    assert (wrong, missing) == (0, 0)
    assert 0 < statistics.lost < 60


def test_the_rtl_answers_damaged_bytes_as_the_model_does(design):
    face, spec = design.interface, link_spec(design)
    top = LinkedAccelerator(spec, face.top)
    built = build(
        f"{emit_linked(top, name=TOP)}\n{design.verilog}",
        BytePorts(TOP),
        images=design.emitted.images,
    )

    def accelerator(frame):
        scores = design.net(np.frombuffer(frame, np.uint8).reshape(1, 8, 8))
        return face.pack_scores(scores).tobytes()

    rtl = CompiledBoard(str(built.library), str(built.folder), settle=5000, seed=3)
    model = ModelBoard(spec.identity, spec.frame, accelerator, spec.version)
    line = NoisyLine(FaultRates(0.002, 0.002, 0.002, 0.002), 5)
    rng = random.Random(7)
    for session in range(1, 6):
        frames = [
            encode(Request.DATA, session, n, bytes(rng.choices(range(17), k=64))) for n in range(40)
        ]
        for piece in (hello(session), line.carry(b"".join(frames)), b"\x7e"):
            assert rtl.feed(piece) + rtl.drain() == model.feed(piece)
        if session == 3:
            rtl.reset()
            model.reset()
            piece = frames[0]
            assert rtl.feed(piece) + rtl.drain() == model.feed(piece)
    rtl.close()


def run(*arguments):
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


def test_run_prints_accuracy_and_rate(design, folder, images, tmp_path):
    out = tmp_path / "out.npz"
    with simulated(design) as board:
        done = run(
            folder,
            "--port",
            board.port,
            "--data",
            images,
            "--limit",
            60,
            "--timeout",
            30,
            "--check",
            "--json",
            "-o",
            out,
        )
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    x, y = (demo.data()[name][:60] for name in ("x_test", "y_test"))
    scores = design.net(x)
    assert result["accuracy"] == (scores.argmax(1) == y).mean()
    assert (result["frames"], result["mismatches"], result["sent_again"]) == (60, 0, 0)
    assert result["fps"] == pytest.approx(60 / result["seconds"])
    with np.load(out) as written:
        assert (written["scores"] == scores).all()
        assert (written["labels"] == scores.argmax(1)).all()


def test_run_again_after_a_first_host(design, folder, images):
    with simulated(design) as board:
        for _ in range(2):
            done = run(
                folder,
                "--port",
                board.port,
                "--data",
                images,
                "--limit",
                10,
                "--timeout",
                30,
                "--check",
            )
            assert done.exit_code == 0, done.output
            assert "every score equals the golden model's" in done.output
            assert "accuracy" in done.output


def error_of(done):
    assert "Traceback" not in done.output
    text = " ".join(done.stderr.split())
    assert text.count("error:") == 1
    return text


@pytest.mark.parametrize(
    ("text", "baud"),
    [
        ('{"baud": 115200}', 115200),
        ('{"baud": null}', 1_000_000),
    ],
)
def test_run_takes_the_baud_rate_of_the_build(tmp_path, text, baud):
    assert _baud(tmp_path) == 1_000_000
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "build.json").write_text(text)
    assert _baud(tmp_path) == baud


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"baud": 0}', '{"baud": "fast"}'])
def test_run_refuses_a_damaged_record_of_the_build(tmp_path, text):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "build.json").write_text(text)
    with pytest.raises(BadInput, match="build.json is not what xnorflow build wrote"):
        _baud(tmp_path)


def test_run_refuses_another_design(design, folder, images, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    content = json.loads((other / "design.json").read_text())
    content["design_digest"] = "ab" * 32
    (other / "design.json").write_text(json.dumps(content))
    with simulated(design) as board:
        done = run(other, "--port", board.port, "--data", images, "--timeout", 30)
    assert done.exit_code == 1
    assert f"its digest is {design.digest[:32]}, the design's is {'ab' * 16}" in error_of(done)


def test_run_refuses_an_old_protocol(design, folder, images):
    with simulated(design, version=0) as board:
        done = run(folder, "--port", board.port, "--data", images, "--timeout", 30)
    assert done.exit_code == 1
    assert "the board speaks version 0 of the link protocol" in error_of(done)


def test_run_refuses_a_truncated_data_file(folder, images, tmp_path):
    cut = tmp_path / "cut.npz"
    cut.write_bytes(images.read_bytes()[:-400])
    done = run(folder, "--port", "/dev/there-is-none", "--data", cut)
    assert done.exit_code == 2
    assert f"{cut} is not a readable .npz or .npy file" in error_of(done)


def test_run_says_when_nothing_answers(design, folder, images):
    with simulated(design, trouble=Trouble(pulls=(0,), pull_seconds=60)) as board:
        done = run(folder, "--port", board.port, "--data", images, "--timeout", 0.05)
    assert done.exit_code == 1
    assert "no xnorflow board answers on the port" in error_of(done)


def test_run_refuses_a_port_that_is_not_there(folder, images):
    done = run(folder, "--port", "/dev/there-is-none", "--data", images)
    assert done.exit_code == 2
    assert "cannot open the port /dev/there-is-none" in error_of(done)


def test_every_frame_has_its_own_number_of_edges_over_a_bad_line(tmp_path):
    """Frames that are sent again keep their number, and those around them theirs."""
    rng = np.random.default_rng(2)
    file = ChainFile("net", (1, 3, 3))
    parts = [rng.integers(-1, 2, (5, 9)) * size for size in (5, 3, 1)]
    file.sum_of_layers([np.asarray(part, np.float32) for part in parts])
    file.save(tmp_path / "net.onnx", 5, "")
    design = xf.compile(xf.load(tmp_path / "net.onnx", edges=True))
    design.write(tmp_path / "design")
    x = rng.integers(0, 256, (300, 3, 3)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=x[:40])
    edges, face = rng.integers(1, 4, len(x)), design.interface
    payloads = np.concatenate([edges[:, None], face.pack(x).reshape(len(x), -1)], 1)
    with simulated(design, trouble=Trouble(FaultRates(0.002, 0.002, 0.002, 0.002))) as board:
        transport = SerialTransport(board.port, 1_000_000)
        driver = Driver(transport, timeout=0.4)
        try:
            known = driver.expect(design.digest, payloads.shape[1], face.out_beats * face.out_bytes)
            answers = driver.run(payloads.astype(np.uint8), known)
        finally:
            transport.close()
        args = ["--port", board.port, "--data", str(tmp_path / "x.npz"), "--edges", "1", "--check"]
        ran = CliRunner().invoke(main, ["run", str(tmp_path / "design"), *args, "--json"])
    assert answers.answered.all() and driver.statistics.lost > 5
    scores = face.unpack(answers.results.reshape(len(x), face.out_beats, face.out_bytes))
    np.testing.assert_array_equal(scores, design.net(x, edges=edges))
    assert (scores != design.net(x)).any()
    assert ran.exit_code == 0 and json.loads(ran.output)["mismatches"] == 0
