"""The model card: description, metrics and usage of an export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template
from typing import Any

from p5core.system.text import cell

__all__ = ["calls", "licence_notes", "model_card", "node_call"]

Manifest = Mapping[str, Any]


def model_card(manifest: Manifest) -> str:
    """README.md of an export."""
    return (
        "\n\n".join(
            [
                f"# {manifest['run']}",
                _summary(manifest),
                "## Metrics",
                _figures(manifest),
                "## Inputs and outputs",
                _signature(manifest),
                "## Usage",
                *calls(manifest).values(),
            ]
        )
        + "\n"
    )


def _summary(manifest: Manifest) -> str:
    data, model = manifest["data"], manifest["model"]
    return (
        f"A recommender of {manifest['n_allowed']:,} items, exported by P5 {manifest['p5']} as ONNX, "
        f"opset {manifest['opset']}. "
        f"It takes raw {'item' if 'history' in manifest['inputs'] else 'user'} ids and returns raw item ids.\n\n"
        f"- Trained {manifest['trained'][:10]} on {data['events']:,} events of {data['users']:,} users with "
        f"{data['items']:,} items (loader `{data['loader']}`).\n"
        f"{_network(model)}{_blend(model)}{_updated(manifest)}{_quantised(manifest)}"
        f"- Compared with PyTorch on {manifest['parity']['cases']} random requests: largest difference of a score "
        f"{manifest['parity']['largest_difference']:.1e}. "
        "`p5 verify` on this folder repeats the check from `golden.json`."
    )


def _network(model: Mapping[str, Any]) -> str:
    if model["backbone"] is None:
        return "- No network: the scorers below, fitted to the training events.\n"
    encoders = ", ".join(f"`{name}`" for name in model["encoders"])
    return (
        f"- Backbone `{model['backbone']}`, width {model['width']}, item encoders {encoders}, "
        f"{model['parameters']:,} parameters. Stages: {'; '.join(model['stages'])}.\n"
    )


def _blend(model: Mapping[str, Any]) -> str:
    """The scorers beside the network, or those that are the model."""
    blend = model["blend"]
    if blend is None:
        return ""
    scorers = " + ".join(f"{scorer['weight']:g} log p of {scorer['name']}" for scorer in blend["scorers"])
    if model["backbone"] is None:
        return f"- Score: {scorers}; among equals the more popular item is first.\n"
    return f"- Score: {blend['network']:g} log p of the network + {scorers}; weights chosen on validation events.\n"


def _updated(manifest: Manifest) -> str:
    """Events added by `p5 update` after training, or a recipe that was trained again on all of them."""
    if manifest.get("refit_of") is not None:
        return f"- Trained on all events by the recipe of '{manifest['refit_of']}', whose figures stand below.\n"
    if manifest["updated_from"] is None:
        return ""
    return (
        f"- Updated without training: new events and items were added to '{manifest['updated_from']}', whose figures "
        "stand below.\n"
    )


def _quantised(manifest: Manifest) -> str:
    """The cost of quantisation in ranking quality."""
    cost = manifest["quantized"]
    if cost is None:
        return ""
    return (
        f"- Quantised ({cost['quantize']}): {cost['bytes'] / 1e6:.1f} MB instead of {cost['plain_bytes'] / 1e6:.1f}, "
        f"overlap@10 with the full file {cost['overlap_at_10']:.3f}, NDCG@10 {cost['ndcg_at_10']:.4f} instead of "
        f"{cost['plain_ndcg_at_10']:.4f} on the users measured; the figures below are those of the full network.\n"
    )


def _figures(manifest: Manifest) -> str:
    scorers = list(manifest["metrics"])
    head = f"| metric | {' | '.join(scorers)} |\n| --- |{' ---: |' * len(scorers)}"
    rows = [
        f"| {label} | {' | '.join(_figure(manifest, scorer, label) for scorer in scorers)} |"
        for label in manifest["metrics"]["model"]
    ]
    return (
        f"Test figures of {manifest['n_test_users']:,} users beside the baselines; 95 % intervals in brackets. "
        f"{manifest['protocol']}\n\n" + "\n".join([head, *rows])
    )


def _figure(manifest: Manifest, scorer: str, label: str) -> str:
    return cell(manifest["metrics"][scorer].get(label), manifest["intervals"][scorer].get(label))


def _signature(manifest: Manifest) -> str:
    rows = ["| file | name | type | shape | description |", "| --- | --- | --- | --- | --- |"]
    for file, inputs, outputs in (
        ("model.onnx", "inputs", "outputs"),
        ("score.onnx", "score_inputs", "score_outputs"),
    ):
        for name, (kind, shape) in {**manifest[inputs], **manifest[outputs]}.items():
            rows.append(
                f"| `{file}` | `{name}` | {kind} | [{', '.join(map(str, shape))}] | {_meaning(manifest, name)} |"
            )
    return "\n".join(rows)


def _meaning(manifest: Manifest, name: str) -> str:
    padding = f"`{manifest['padding']}`" if manifest["padding"] else "the empty text"
    seen = "items of the history are left out" if manifest["exclude_seen"] else "items of the history may come again"
    fallback = "the popular items" if manifest["popular"] else "nothing"
    meanings = {
        "history": f"item ids, newest last; {padding} fills unused places anywhere; unknown ids are skipped; the "
        f"newest {manifest['max_length']} known ones are read; a history without any gets {fallback}",
        "user": f"user ids; an unknown user gets {fallback}",
        "k": "how many items; more than there are gives all",
        "items": f"best first; {seen}; {padding} where fewer are left",
        "scores": "higher is better; -inf beside padding or for an unknown candidate",
        "candidates": "item ids to score, seen or not",
    }
    kinds = {
        "value": "predicted values in the unit of the data; that of an unknown item is an average one",
        "probability": "predicted probabilities; that of an unknown item is an average one",
    }
    meanings |= {output: kinds[kind] for output, kind in manifest["predictions"].items()}
    return meanings.get(name, f"column `{name}` of each item")


def node_call(manifest: Manifest, path: str) -> str:
    """Three lines for Node."""
    kind, ids = _example(manifest)
    values = ", ".join(f"{raw_id}n" if kind == "int64" else json.dumps(raw_id, ensure_ascii=False) for raw_id in ids)
    data = f"BigInt64Array.from([{values}])" if kind == "int64" else f"[{values}]"
    name, shape = _input(manifest, ids)
    return (
        f"const ort = require('onnxruntime-node'), {name} = new ort.Tensor('{kind}', {data}, [{shape}]);\n"
        "const k = new ort.Tensor('int64', BigInt64Array.from([5n]), [1]);\n"
        f"ort.InferenceSession.create({json.dumps(path)}).then((model) => model.run({{ {name}, k }}))"
        ".then((answer) => console.log(answer.items.data));"
    )


def _example(manifest: Manifest) -> tuple[str, list[str]]:
    """Kind and examples of the ids that go in."""
    if "history" in manifest["inputs"]:
        return manifest["id_kind"], manifest["examples"]
    return manifest["user_kind"], manifest["user_examples"][:1]


def _input(manifest: Manifest, ids: list[str]) -> tuple[str, str]:
    """Name and shape of the first input."""
    return ("history", f"1, {len(ids)}") if "history" in manifest["inputs"] else ("user", "1")


def calls(manifest: Manifest) -> dict[str, str]:
    """Language → a paragraph of Markdown that calls `model.onnx` with the names and ids of an export."""
    kind, ids = _example(manifest)
    name, shape = _input(manifest, ids)
    is_int = kind == "int64"
    quoted = ids if is_int else [json.dumps(raw_id, ensure_ascii=False) for raw_id in ids]
    words = {
        "name": name,
        "shape": shape,
        "ids": ", ".join(quoted),
        "longs": ", ".join(f"{raw_id}L" for raw_id in ids) if is_int else ", ".join(quoted),
        "dtype": "np.int64" if is_int else "object",
        "java": "long" if is_int else "String",
        "java_items": "long" if manifest["id_kind"] == "int64" else "String",
        "csharp": "long" if is_int else "string",
        "csharp_items": "long" if manifest["id_kind"] == "int64" else "string",
        "cpp": "int64_t" if is_int else "std::string",
        "brackets": "[][]" if name == "history" else "[]",
        "begin": "{{" if name == "history" else "{",
        "end": "}}" if name == "history" else "}",
        "node": node_call(manifest, "model.onnx"),
    }
    texts = {"Python": PYTHON, "Node": NODE, "Browser": BROWSER, "Java": JAVA, "C#": CSHARP, "C++": CPP}
    return {language: Template(text).substitute(words) for language, text in texts.items()}


PYTHON = """Python, with `pip install onnxruntime numpy`:

```python
import numpy as np
import onnxruntime

model = onnxruntime.InferenceSession("model.onnx")
$name = np.array([$ids], dtype=$dtype).reshape($shape)
items, scores = model.run(["items", "scores"], {"$name": $name, "k": np.array([5])})
```"""

NODE = """Node, with `npm install onnxruntime-node`:

```js
$node
```"""

BROWSER = """Browser, with `onnxruntime-web` from your own host: the calls of Node, after
`import * as ort from "./ort.wasm.min.mjs"`; a session is made from a URL or from the bytes of `model.onnx`."""

JAVA = """Java, with `com.microsoft.onnxruntime:onnxruntime` (not run when this was written):

```java
OrtEnvironment environment = OrtEnvironment.getEnvironment();
OrtSession model = environment.createSession("model.onnx", new OrtSession.SessionOptions());
OnnxTensor $name = OnnxTensor.createTensor(environment, new $java$brackets $begin$longs$end);
OnnxTensor k = OnnxTensor.createTensor(environment, new long[] {5});
OrtSession.Result answer = model.run(Map.of("$name", $name, "k", k));
$java_items[][] items = ($java_items[][]) answer.get("items").get().getValue();
```"""

CSHARP = """C#, with `Microsoft.ML.OnnxRuntime` (not run when this was written):

```csharp
using var model = new InferenceSession("model.onnx");
var $name = new DenseTensor<$csharp>(new $csharp[] { $ids }, new[] { $shape });
var k = new DenseTensor<long>(new long[] { 5 }, new[] { 1 });
using var answer = model.Run(new[] {
    NamedOnnxValue.CreateFromTensor("$name", $name), NamedOnnxValue.CreateFromTensor("k", k) });
var items = answer.First(one => one.Name == "items").AsTensor<$csharp_items>();
```"""

CPP = """C++, with the onnxruntime library: `$name` is a tensor of `$cpp`, `k` one of `int64_t`. The sources of P5 hold
a program that reads an export, in `export/clients/cpp`."""


def licence_notes(manifest: Manifest) -> str:
    """LICENSE.md of an export."""
    return Template(LICENCE).substitute(loader=manifest["data"]["loader"])


LICENCE = """# Licence

The weights in `model.onnx` and `score.onnx` were learnt from the data that `README.md` describes (loader `$loader`).
The files hold its item ids, with the columns that were asked for. Whether they may be passed on, and how, follows from
the licence of that data, which P5 does not know: add it here before you publish this folder.

P5, which made these files, is under the Apache License 2.0 and claims no right in what it exports.
"""
