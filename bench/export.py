"""Latency of an export beside the same network in PyTorch and in plain NumPy, measured in one run.

    python bench/export.py [--items 12000 300000 1000000]

A causal transformer of width 64 with two layers (untrained: its speed does not depend on what it knows) reads histories
of 50 items. Prints Markdown tables of medians in milliseconds and of ratios.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from torch import Tensor

from p5core.config.base import parse_config
from p5core.contracts.encoder import Features
from p5core.contracts.part import NoOptions
from p5core.data.vocabulary import Vocabulary
from p5core.fitting.trained_model import TrainedModel
from p5core.model.item_embeddings import ItemEmbeddings
from p5core.model.network import Network
from p5core.plugins.discovery import load_plugins
from p5export.bundle.onnx_file import write_model
from p5export.graph.operations import Ops
from p5export.graph.requests import ranking_graph
from p5export.graph.serving import ExportOptions, Serving
from p5export.graph.states import export_states
from p5export.quantisation.item_vectors import item_vectors

__all__: list[str] = []

WIDTH, LENGTH, K = 64, 50, 10


def serving_of(n_items: int) -> Serving:
    """An untrained network over `n_items` text ids."""
    registry = load_plugins()
    ids = [f"item-{code:07d}" for code in range(n_items)]
    gpt = registry.get("backbone", "gpt")
    torch.manual_seed(0)
    encoder = registry.get("encoder", "id")(NoOptions(), Features(n_items), WIDTH)
    backbone = gpt(parse_config(gpt.Config, {}, "gpt"), WIDTH, LENGTH)
    network = Network(ItemEmbeddings([encoder]), backbone, 0.0).eval()
    return Serving(
        model=TrainedModel(network, LENGTH, None, []),
        rows=np.arange(n_items),
        items=Vocabulary.of(ids),
        vectors=network.items.vectors().detach().numpy(),
        allowed=np.arange(n_items),
        popularity=np.log(np.random.default_rng(0).dirichlet(np.ones(n_items))).astype(np.float32),
        metadata={},
        users=None,
        seen=None,
        max_length=LENGTH,
        options=ExportOptions(),
    )


def bare_core(states: ir.Model, serving: Serving) -> ir.Model:
    """`items` (B, T) codes and `lengths` (B,) → `scores` (B, V): no raw ids, no filter, no ranking."""
    model = states.clone()
    ops = Ops(model.graph)
    scores = item_vectors(ops, serving.vectors, "none").scores(model.graph.outputs[0])
    scores.name, scores.type, scores.shape = "scores", ir.TensorType(ir.DataType.FLOAT), ir.Shape(["b", "v"])
    model.graph.outputs[0] = scores
    ops.finish()
    return model


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session on so many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def median_ms(calls: dict[str, Callable[[], Any]], seconds: float = 4.0) -> dict[str, float]:
    """Name → median milliseconds; the calls take turns of ten, so that what slows the machine slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or min(map(len, times.values())) < 30:
        for name, call in calls.items():
            call()  # wakes caches and threads that the others have put to sleep
            for _ in range(10):
                began = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - began)
    return {name: 1000 * statistics.median(measured) for name, measured in times.items()}


class Ranked(torch.nn.Module):
    """The computation of the export in PyTorch, from codes to codes."""

    def __init__(self, serving: Serving) -> None:
        super().__init__()
        self.network = serving.network
        self.vectors = torch.from_numpy(serving.vectors)

    def forward(self, items: Tensor, lengths: Tensor) -> Tensor:
        states = self.network.last_states(torch.full_like(lengths, -1), items, lengths)
        scores = (states @ self.vectors.T).scatter(1, items, -torch.inf)
        return scores.topk(K).indices


def against_torch(folder: Path, serving: Serving, threads: int) -> None:
    """Eager, compiled and exported at batch 1 and 64."""
    torch.set_num_threads(threads)
    model, ranked = session(folder / "model.onnx", threads), Ranked(serving)
    compiled = torch.compile(ranked, dynamic=False)
    print(f"\n{len(serving.items):,} items, {threads} thread(s)\n")
    print("| batch | eager ms | compile ms | ONNX ms | eager / ONNX | compile / ONNX |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for batch in (1, 64):
        codes, raw = histories(serving, batch)
        items, lengths = torch.from_numpy(codes), torch.full((batch,), LENGTH)
        with torch.inference_mode():
            times = median_ms(
                {
                    "eager": partial(ranked, items, lengths),
                    "compile": partial(compiled, items, lengths),
                    "onnx": partial(model.run, ["items"], {"history": raw, "k": np.array([K])}),
                }
            )
        eager, quick, onnx = times["eager"], times["compile"], times["onnx"]
        print(f"| {batch} | {eager:.2f} | {quick:.2f} | {onnx:.2f} | {eager / onnx:.1f} | {quick / onnx:.1f} |")


def histories(serving: Serving, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Random histories (B, T) as codes and as raw ids."""
    codes = np.random.default_rng(0).integers(0, len(serving.items), (batch, LENGTH))
    return codes, np.array(serving.items.decode(codes.ravel()), dtype=object).reshape(batch, LENGTH)


def overhead(folder: Path, serving: Serving) -> None:
    """Raw ids, filter and ranking on top of the bare core, on one thread."""
    model, core = session(folder / "model.onnx", 1), session(folder / "core.onnx", 1)
    for batch in (1, 64) if len(serving.items) < 100_000 else (1, 8):
        codes, raw = histories(serving, batch)
        full = {"history": raw, "k": np.array([K])}
        bare = {"items": codes, "lengths": np.full(batch, LENGTH)}
        times = median_ms({"full": partial(model.run, None, full), "bare": partial(core.run, None, bare)})
        share = times["full"] / times["bare"] - 1
        print(f"| {len(serving.items):,} | {batch} | {times['bare']:.3f} | {times['full']:.3f} | {share:+.1%} |")


def against_numpy(folder: Path, serving: Serving) -> None:
    """Exact top ten of a large catalogue beside a matrix-vector product and argpartition."""
    model = session(folder / "model.onnx", 1)
    inputs = {"history": histories(serving, 1)[1], "k": np.array([K])}
    state = np.random.default_rng(1).normal(size=WIDTH).astype(np.float32)
    times = median_ms(
        {
            "onnx": lambda: model.run(None, inputs),
            "numpy": lambda: np.argpartition(-(serving.vectors @ state), K)[:K],
        }
    )
    print(f"\n{len(serving.items):,} items, exact top {K}, one thread for ONNX\n")
    print(f"numpy {times['numpy']:.1f} ms, ONNX {times['onnx']:.1f} ms: {times['onnx'] / times['numpy']:.2f} times")


def in_pieces(folder: Path, states: ir.Model, serving: Serving) -> None:
    """The file with product-quantised vectors beside that of float32."""
    small = replace(serving, options=ExportOptions(quantize="product"))
    write_model(ranking_graph(states, small), folder / "product.onnx")
    inputs = {"history": histories(serving, 1)[1], "k": np.array([K])}
    calls: dict[str, Callable[[], Any]] = {
        name: partial(session(folder / f"{name}.onnx", 1).run, None, inputs) for name in ("model", "product")
    }
    times = median_ms(calls)
    share = times["product"] / times["model"]
    print(f"\nproduct-quantised: {times['product']:.1f} ms, float32 {times['model']:.1f} ms: {share:.2f} times")
    loading(folder / "product.onnx")


LOAD = """
import sys, time
import numpy, onnxruntime
def peak():
    line = next(one for one in open("/proc/self/status") if one.startswith("VmHWM"))
    return int(line.split()[1])
before = peak()
began = time.perf_counter()
model = onnxruntime.InferenceSession(sys.argv[1])
model.run(None, {"history": numpy.array([["item-0000001"]], dtype=object), "k": numpy.array([10])})
seconds = time.perf_counter() - began
print(f"{seconds:.2f} {peak() / 1024:.0f} {(peak() - before) / 1024:.0f}")
"""


def loading(path: Path) -> None:
    """Seconds and memory of a fresh process that opens the file and answers once."""
    done = subprocess.run([sys.executable, "-c", LOAD, str(path)], capture_output=True, text=True, check=True)
    seconds, whole, added = map(float, done.stdout.split())
    size = path.stat().st_size / 2**20
    print(f"load and first answer {seconds:.2f} s; file {size:.0f} MiB; peak memory of the process {whole:.0f} MiB,")
    print(f"{added:.0f} MiB of them for the model: {added / size:.2f} times the file")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[12_000, 300_000, 1_000_000])
    for n_items in parser.parse_args().items:
        with tempfile.TemporaryDirectory() as name:
            folder, serving = Path(name), serving_of(n_items)
            states = export_states(serving)
            write_model(ranking_graph(states, serving), folder / "model.onnx")
            write_model(bare_core(states, serving), folder / "core.onnx")
            if n_items <= 50_000:
                for threads in (1, 2):
                    against_torch(folder, serving, threads)
            print("\nRaw ids, seen filter and ranking on top of the bare int64 core, one thread\n")
            print("| items | batch | core ms | with raw ids ms | overhead |\n| ---: | ---: | ---: | ---: | ---: |")
            overhead(folder, serving)
            if n_items >= 500_000:
                against_numpy(folder, serving)
                in_pieces(folder, states, serving)
            loading(folder / "model.onnx")


if __name__ == "__main__":
    main()
