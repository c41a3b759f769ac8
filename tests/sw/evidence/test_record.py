"""evidence.json: written, read back, refused where it is anything else, compared."""

import json
from dataclasses import replace

import pytest

from xnorflow.errors import BadInput
from xnorflow.evidence.record import Evidence, Outcome, changes, read_evidence


@pytest.fixture
def evidence():
    return Evidence(
        version="0.1.0",
        date="2026-11-28T22:00:00+00:00",
        command=("xnorflow", "check", "net.onnx"),
        model={
            "path": "net.onnx",
            "sha256": "a" * 64,
            "kind": "file",
            "file": None,
            "file_sha256": None,
        },
        data={"sha256": "b" * 64, "labels_sha256": None, "frames": 20, "shape": [8]},
        network={"name": "net", "digest": "c" * 64},
        design={},
        options={"rtl": 0, "frames": 20},
        tools={"numpy": "2.0"},
        outcomes=(Outcome("golden", "golden model", "qonnx", 20, total=60, digest="d" * 64),),
        notes=("a note",),
        accuracy=0.75,
    )


def test_evidence_is_read_as_it_was_written(evidence, tmp_path):
    evidence.write(tmp_path / "evidence.json")
    assert read_evidence(tmp_path / "evidence.json") == evidence
    content = json.loads((tmp_path / "evidence.json").read_text())
    assert content["format"] == "xnorflow-evidence-1" and content["differs"] is False
    assert content["outcomes"][0]["differs"] is False


@pytest.mark.parametrize(
    ("change", "differs", "only_ties"),
    [
        ({}, False, False),
        ({"labels": 1, "order": 1}, True, False),
        ({"order": 2, "ties": 1}, True, False),
        ({"order": 2, "ties": 2}, True, True),
        ({"scores": 1}, True, False),
        ({"scores": 1, "exact": False}, False, False),
        ({"scores": 1, "order": 1, "ties": 1, "exact": False}, True, True),
        ({"failure": "stuck"}, True, False),
        ({"failure": "stuck", "order": 1, "ties": 1}, True, False),
    ],
)
def test_what_counts_as_a_difference(evidence, change, differs, only_ties):
    outcome = replace(evidence.outcomes[0], **change)
    assert (outcome.differs, outcome.only_ties) == (differs, only_ties)
    assert replace(evidence, outcomes=(outcome,)).differs == differs


def test_an_altered_folder_differs_whatever_the_scores_say(evidence):
    assert replace(evidence, alterations=("a.hex, word 1, bit 2: layer conv0",)).differs


@pytest.mark.parametrize(
    "damage",
    [
        lambda c: c.update(format="xnorflow-evidence-2"),
        lambda c: c.pop("tools"),
        lambda c: c.update(outcomes=3),
        lambda c: c["outcomes"][0].update(frames="20"),
        lambda c: c["outcomes"][0].update(frames=True),
        lambda c: c["outcomes"][0].pop("digest"),
        lambda c: c.update(model=[]),
        lambda c: c.update(command=[1]),
        lambda c: c.update(tied="many"),
        lambda c: c["tools"].update(numpy=2),
    ],
)
def test_what_xnorflow_did_not_write_is_refused(evidence, tmp_path, damage):
    path = tmp_path / "evidence.json"
    evidence.write(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="no evidence that xnorflow wrote"):
        read_evidence(path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, "\udcff"])
def test_what_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "evidence.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for name in ("evidence.json", "none.json"):
        with pytest.raises(BadInput, match="no evidence that xnorflow wrote"):
            read_evidence(tmp_path / name)


def test_only_inputs_and_results_are_changes_that_matter(evidence):
    assert changes(evidence, replace(evidence, date="later", command=())) == ()
    later = replace(
        evidence,
        version="0.2.0",
        tools={"numpy": "2.1", "onnx": "1.17"},
        network={"name": "net", "digest": "e" * 64},
    )
    found = changes(evidence, later)
    assert [c.what for c in found] == ["integer network", "xnorflow", "numpy", "onnx"]
    assert not any(c.matters for c in found)
    assert str(found[0]) == f"integer network: {'c' * 12}..., now {'e' * 12}..."
    assert str(found[3]) == "onnx: none, now 1.17"
    worse = replace(
        evidence,
        model={**evidence.model, "sha256": "f" * 64},
        outcomes=(replace(evidence.outcomes[0], labels=3), Outcome("rtl", "RTL", "golden", 4)),
        accuracy=0.5,
    )
    found = changes(evidence, worse)
    assert [str(c) for c in found] == [
        f"model: {'a' * 12}..., now {'f' * 12}...",
        "accuracy: 0.75, now 0.5",
        "golden, labels: 0, now 3",
        "rtl: none, now compared",
    ]
    assert all(c.matters for c in found)


def test_evidence_from_before_fixed_point_is_read(evidence, tmp_path):
    """It does not say whether the network was rounded: none was."""
    path = tmp_path / "evidence.json"
    evidence.write(path)
    content = json.loads(path.read_text())
    for outcome in content["outcomes"]:
        assert outcome.pop("rounded") is False
    path.write_text(json.dumps(content))
    assert read_evidence(path) == evidence
    content["outcomes"][0]["rounded"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match="rounded of an outcome is 1"):
        read_evidence(path)


@pytest.mark.parametrize("what", ["labels", "order", "scores"])
def test_only_a_failure_counts_where_a_network_was_rounded(what):
    outcome = Outcome("golden", "a", "b", 9, **{what: 1})
    assert outcome.differs and not replace(outcome, rounded=True).differs
    assert replace(outcome, rounded=True, failure="it broke").differs
