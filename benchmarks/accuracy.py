"""Check the golden model on whole test sets: accuracy, published scores, ONNX Runtime's labels.

Run: python benchmarks/accuracy.py
"""

from __future__ import annotations

import argparse
import sys

from networks import TRAINED
from standard_onnx import Executor

import xnorflow as xf


def main() -> None:
    """Print a line per network; exit with 1 if accuracy, scores or labels differ."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    failed = False
    print("| network | images | accuracy | expected | outside scores | labels of ONNX Runtime |")
    print("|---|---|---|---|---|---|")
    for trained in TRAINED:
        x, y = trained.images()
        net = xf.load(trained.path, input_scale=trained.scale)
        scores = net(x)
        accuracy = 100 * (scores.argmax(1) == y).mean()
        outside = trained.scores()
        wrong_scores = None if outside is None else int((scores != outside).sum())
        labels = Executor(trained.path, threads=2, fuse=False)(x, trained.scale).argmax(1)
        wrong_labels = int((labels != scores.argmax(1)).sum())
        failed |= round(accuracy, 2) != trained.accuracy or bool(wrong_scores) or wrong_labels > 0
        print(
            f"| {trained.name} | {len(x)} | {accuracy:.2f} % | {trained.accuracy:.2f} % |"
            f" {'-' if wrong_scores is None else f'{wrong_scores} of {scores.size} differ'} |"
            f" {wrong_labels} differ |",
            flush=True,
        )
    sys.exit(failed)


if __name__ == "__main__":
    main()
