"""Raw ids in front of the states, ranking and raw ids behind them: `model.onnx` and `score.onnx`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from p5core.data.vocabulary import PAD_INT, PAD_STRING, Vocabulary
from p5core.errors import ExportError
from p5export.graph.blend import BlendGraph
from p5export.graph.operations import Ops
from p5export.graph.serving import Serving
from p5export.graph.states import VECTORS
from p5export.quantisation.item_vectors import ItemVectors, item_vectors

__all__ = ["ranking_graph", "scoring_graph"]

VERSIONS = {"ai.onnx.ml": 3, "com.microsoft": 1}
"""Operator sets beside the standard one."""


@dataclass(frozen=True)
class _Context:
    """The rows B of one request: at least one, even where the request has none."""

    n_rows: ir.Value
    """(1,) int64 rows of the request"""
    states: ir.Value
    """(B, D)"""
    empty: ir.Value
    """(B, 1) bool: nothing is known, so the popular items answer"""
    seen: ir.Value
    """(B, L) int64 places of items that the user has, -1 where there is none"""
    users: ir.Value | None
    """(B,) int64 user codes, -1 unknown"""
    vectors: ItemVectors
    blend: BlendGraph | None = None
    """scorers that are blended with the network"""


def ranking_graph(states: ir.Model, serving: Serving) -> ir.Model:
    """`history` (or `user`), `k` → `items`, `scores` and one output for each metadata column.

    The best k of the A items that may be recommended, best first. Where fewer are left, the rest is padding with the
    score -inf.
    """
    model, ops, inputs, context = _opened(states, serving)
    scores = _catalogue_scores(ops, serving, context)  # (B, A)
    if serving.options.exclude_seen:
        scores = _without_seen(ops, serving, context, scores)
    n_wanted = _input("k", ir.DataType.INT64, [1])
    k = ops("Min", n_wanted, len(serving.allowed))
    best, places = ops.several("TopK", 2, scores, k, axis=-1, largest=1, sorted=1)
    best, places = _or_popular(ops, serving, context, k, best, places)
    best, places = (ops("Slice", codes, 0, context.n_rows, 0) for codes in (best, places))
    places = ops("Where", ops("IsInf", best, detect_positive=0), len(serving.allowed), places)  # A is padding
    ids = serving.items.ids.to_numpy()[serving.allowed]
    padding: int | str = PAD_INT if serving.items.kind == "int64" else PAD_STRING
    outputs = [_named("items", ops("Gather", ops.constant(_table(ids, padding), "item_ids"), places))]
    outputs.append(_named("scores", best))
    for column, texts in serving.metadata.items():
        table = _table(np.array(texts, dtype=object)[serving.allowed], "")
        outputs.append(_named(column, ops("Gather", ops.constant(table, f"item_{column}"), places)))
    kinds = [_id_type(serving.items), ir.DataType.FLOAT, *[ir.DataType.STRING] * len(serving.metadata)]
    _close(ops, model, [*inputs, n_wanted], outputs, kinds, ["batch", "k"])
    return model


def scoring_graph(states: ir.Model, serving: Serving, heads: Mapping[str, ir.Model]) -> ir.Model:
    """`history` (or `user`), `candidates` → `scores`, and one output for each prediction of `serving`.

    Any of the V items is scored, seen or not; an unknown candidate has the score -inf, and predictions as an
    average item. One row of candidates is scored for every history, and one history against every row of candidates;
    any other unequal number of rows is an error. Expand is there for that: GatherElements would answer for the first
    rows alone.
    """
    model, ops, inputs, context = _opened(states, serving)
    candidates = _input("candidates", _id_type(serving.items), ["candidate_batch", "n"])
    codes = _codes(ops, candidates, serving.items)
    places = ops("Expand", codes, ops("Concat", context.n_rows, 1, axis=0))  # (R, n)
    is_known = ops("GreaterOrEqual", places, 0)
    rows = ops("Max", places, 0)
    of_request = _request_rows(ops, context, places)
    own_states = ops("Gather", context.states, of_request)  # (R, D)
    vectors = context.vectors.look_up(rows)  # (R, n, D)
    affinity = ops("Squeeze", ops("MatMul", vectors, ops("Unsqueeze", own_states, 2)), 2)  # (R, n)
    scores = affinity
    if context.blend is not None:
        catalogue = ops("Reshape", _blended(ops, context, context.blend), -1)  # (B · V,)
        begins = ops("Unsqueeze", ops("Mul", of_request, len(serving.items)), 1)  # (R, 1)
        scores = ops("Gather", catalogue, ops("Add", begins, rows))
    popular = ops("Gather", ops.constant(_fallback(serving), "popularity"), rows)
    scores = ops("Where", ops("Gather", context.empty, of_request), popular, scores)
    scores = ops("Where", is_known, scores, np.array(-np.inf, dtype=np.float32))
    outputs, kinds = [_named("scores", scores)], [ir.DataType.FLOAT]
    for name, head in heads.items():
        predicted = _predicted(ops, serving, context, name, head, own_states, of_request, places)
        outputs.append(_named(name, predicted))
        kinds.append(ir.DataType.FLOAT)
    _close(ops, model, [*inputs, candidates], outputs, kinds, ["scored_batch", "n"])
    return model


def _request_rows(ops: Ops, context: _Context, places: ir.Value) -> ir.Value:
    """(R,) the row of the request that each row of `places` (R, n) belongs to."""
    n_answers = ops("Squeeze", ops("Shape", places, start=0, end=1))
    n_rows = ops("Shape", context.states, start=0, end=1)
    return ops("Mod", ops("Range", np.array(0), n_answers, np.array(1)), n_rows)


def _opened(states: ir.Model, serving: Serving) -> tuple[ir.Model, Ops, list[ir.Value], _Context]:
    """A copy of the states' graph with raw ids in front."""
    model = states.clone()
    ops = Ops(model.graph)
    vectors = item_vectors(ops, serving.stored, serving.options.quantize)
    if serving.users is None:
        _use_table(model.graph, vectors)
        inputs, context = _by_history(ops, model.graph, serving, vectors)
    else:
        inputs, context = _by_user(ops, model.graph, serving, serving.users, vectors)
    return model, ops, inputs, context


def _use_table(graph: ir.Graph, vectors: ItemVectors) -> None:
    """Let the traced look-ups read the table that the head multiplies with, so that it is stored once."""
    for node, _ in list(graph.initializers[VECTORS].uses()):
        if node.op_type != "Gather" or node.inputs[1] is None:
            raise ExportError(f"The traced network uses the item vectors in {node.op_type}, not in a look-up.")
        ir.convenience.replace_all_uses_with(node.outputs[0], vectors.look_up(node.inputs[1]))
        graph.remove(node, safe=True)


def _by_history(ops: Ops, graph: ir.Graph, serving: Serving, vectors: ItemVectors) -> tuple[list[ir.Value], _Context]:
    """Keep the newest known items, in order, in as few columns as they need."""
    history = _input("history", _id_type(serving.items), ["batch", "length"])
    n_rows = ops("Shape", history, start=0, end=1)
    codes = _with_a_row(ops, n_rows, _codes(ops, history, serving.items), [0])  # (B, L)
    is_known = ops("Cast", ops("GreaterOrEqual", codes, 0), to=ir.DataType.INT64.value)
    total = ops("ReduceSum", is_known, 1, keepdims=1)  # (B, 1)
    lengths = ops("Min", total, serving.max_length)  # (B, 1)
    width = ops("Max", ops("ReduceMax", lengths, 0, keepdims=0), 1)  # at least one column, even for no history
    # The n-th known item stands in column n, less the number of old ones that are dropped; column 0 takes the rest.
    nth = ops("Sub", ops("CumSum", is_known, np.array(1)), ops("Sub", total, lengths))
    column = ops("Mul", ops("Max", nth, 0), is_known)
    rows = ops("Max", codes, 0)
    wide = ops("Pad", rows, np.array([0, 1, 0, 1]))  # (B, L + 2); padding may hold any code
    items = ops("Slice", ops("ScatterElements", wide, column, rows, axis=1), 1, ops("Add", width, 1), 1)  # (B, T)
    _feed(graph, {"items": items, "lengths": ops("Squeeze", lengths, 1)})
    blend = None if serving.blend is None else BlendGraph(ops, serving.blend, items, lengths, serving.max_length)
    return [history], _Context(n_rows, graph.outputs[0], ops("Equal", total, 0), codes, None, vectors, blend)


def _by_user(
    ops: Ops, graph: ir.Graph, serving: Serving, users: Vocabulary, vectors: ItemVectors
) -> tuple[list[ir.Value], _Context]:
    """Look up the vector and the items of each user."""
    user = _input("user", _id_type(users), ["batch"])
    n_rows = ops("Shape", user, start=0, end=1)
    codes = _with_a_row(ops, n_rows, _codes(ops, user, users), [])  # (B,)
    _feed(graph, {"users": codes})
    is_known = ops("GreaterOrEqual", codes, 0)
    empty = ops("Unsqueeze", ops("Not", is_known), 1)
    seen = _seen_of(ops, serving, ops("Max", codes, 0), is_known)
    return [user], _Context(n_rows, graph.outputs[0], empty, seen, codes, vectors)


def _with_a_row(ops: Ops, n_rows: ir.Value, codes: ir.Value, columns: list[int]) -> ir.Value:
    """The codes, or one row of unknown ids where there is none: few operations can take a batch of zero rows.

    `columns` holds a 0 for each further dimension.
    """
    missing = ops("Sub", 1, ops("Min", n_rows, 1))
    pads = ops("Concat", np.array([0, *columns]), missing, *([np.array(columns)] if columns else []), axis=0)
    return ops("Pad", codes, pads, np.array(-1))


def _seen_of(ops: Ops, serving: Serving, rows: ir.Value, is_known: ir.Value) -> ir.Value:
    """(B, L) places of the items that users `rows` (B,) have, -1 behind the last one."""
    assert serving.seen is not None
    offsets = ops.constant(serving.seen[0], "seen_offsets")
    places = ops.constant(np.append(serving.seen[1], -1).astype(np.int32), "seen_items")
    begins = ops("Gather", offsets, rows)
    counts = ops("Sub", ops("Gather", offsets, ops("Add", rows, 1)), begins)
    counts = ops("Mul", counts, ops("Cast", is_known, to=ir.DataType.INT64.value))  # (B,)
    longest = ops("ReduceMax", ops("Concat", counts, 1, axis=0), keepdims=0)
    nth = ops("Range", np.array(0), longest, np.array(1))  # (L,)
    index = ops("Add", ops("Unsqueeze", begins, 1), nth)  # (B, L)
    index = ops("Where", ops("Less", nth, ops("Unsqueeze", counts, 1)), index, len(serving.seen[1]))
    return ops("Cast", ops("Gather", places, index), to=ir.DataType.INT64.value)


def _catalogue_scores(ops: Ops, serving: Serving, context: _Context) -> ir.Value:
    """(B, A) scores of the items that may be recommended."""
    if context.blend is not None:
        scores = _blended(ops, context, context.blend)
        is_whole = len(serving.allowed) == len(serving.items)
        return scores if is_whole else ops("Gather", scores, ops.constant(serving.allowed, "allowed_items"), axis=1)
    vectors = context.vectors
    if len(serving.allowed) < len(serving.items):
        vectors = vectors.only(serving.allowed)
    return vectors.scores(context.states)


def _blended(ops: Ops, context: _Context, blend: BlendGraph) -> ir.Value:
    """(B, V) scores of the network and of the blended scorers as one."""
    return blend.scores(ops, context.vectors.scores(context.states))


def _or_popular(
    ops: Ops, serving: Serving, context: _Context, k: ir.Value, best: ir.Value, places: ir.Value
) -> tuple[ir.Value, ir.Value]:
    """The best items, or the same popular ones for every row of which nothing is known."""
    popular = _fallback(serving)[serving.allowed]
    order = np.argsort(-popular, kind="stable")
    scores = ops("Slice", ops.constant(popular[order], "popular_scores"), 0, k)
    items = ops("Slice", ops.constant(order, "popular_items"), 0, k)
    return ops("Where", context.empty, scores, best), ops("Where", context.empty, items, places)


def _fallback(serving: Serving) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """(V,) what an empty history scores."""
    popular = serving.popularity
    return popular if serving.options.popular else np.full_like(popular, -np.inf)


def _without_seen(ops: Ops, serving: Serving, context: _Context, scores: ir.Value) -> ir.Value:
    """-inf at the places of seen items."""
    seen = context.seen
    if len(serving.allowed) < len(serving.items):
        place = np.full(len(serving.items) + 1, -1)  # the last one is for -1
        place[serving.allowed] = np.arange(len(serving.allowed))
        seen = ops("Gather", ops.constant(place, "allowed_places"), seen)
    is_seen = ops("GreaterOrEqual", seen, 0)
    low, high = (np.array(bound, dtype=np.float32) for bound in (-np.inf, np.inf))
    # The minimum leaves a score as it is where the update is +inf, so that unknown items may point anywhere.
    updates = ops("Where", is_seen, low, high)
    return ops("ScatterElements", scores, ops("Max", seen, 0), updates, axis=1, reduction="min")


def _predicted(
    ops: Ops,
    serving: Serving,
    context: _Context,
    name: str,
    head: ir.Model,
    own_states: ir.Value,
    of_request: ir.Value,
    places: ir.Value,
) -> ir.Value:
    """(R, n) a task's prediction of the items at `places` (R, n), -1 unknown, in the states (R, D) of the request.

    A row more goes in and is taken off again, for few layers take a batch of zero rows.
    """
    shape = ops("Shape", places)
    flat = ops("Unsqueeze", ops("Size", places), 0)  # its one dimension: R · n
    width = serving.vectors.shape[1]
    items = ops("Reshape", places, flat, allowzero=1)  # (R · n,)
    is_known = ops("GreaterOrEqual", items, 0)
    rows = ops("Max", items, 0)
    nothing = np.array(0, dtype=np.float32)
    vectors = ops("Where", ops("Unsqueeze", is_known, 1), context.vectors.look_up(rows), nothing)
    codes = ops("Where", is_known, ops("Gather", ops.constant(serving.rows, f"{name}_item_codes"), rows), -1)
    each = ops("Expand", ops("Unsqueeze", own_states, 1), ops("Concat", shape, width, axis=0))  # (R, n, D)
    states = ops("Reshape", each, ops("Concat", flat, width, axis=0), allowzero=1)
    unknown = ops("Expand", np.array(-1), ops("Shape", own_states, start=0, end=1))
    of_row = unknown if context.users is None else ops("Gather", context.users, of_request)  # (R,)
    users = ops("Reshape", ops("Expand", ops("Unsqueeze", of_row, 1), shape), flat, allowzero=1)
    inputs = {
        name: ops("Pad", value, np.array([0, 0, 1, 0])) for name, value in (("states", states), ("vectors", vectors))
    }
    inputs |= {
        name: ops("Pad", value, np.array([0, 1]), np.array(-1)) for name, value in (("users", users), ("items", codes))
    }
    values = ops.inline(head, name, inputs)
    return ops("Reshape", ops("Slice", values, 0, -1), shape, allowzero=1)


def _codes(ops: Ops, raw: ir.Value, ids: Vocabulary) -> ir.Value:
    """Codes of raw ids, -1 for unknown ones and for padding."""
    keys = ids.ids.tolist()
    name = "keys_int64s" if ids.kind == "int64" else "keys_strings"
    options = {name: keys, "values_int64s": list(range(len(keys))), "default_int64": -1}
    return ops("LabelEncoder", raw, domain="ai.onnx.ml", **options)


def _table(ids: np.ndarray, padding: int | str) -> np.ndarray:
    """Raw ids as a constant, padding behind the last."""
    if isinstance(padding, int):
        return np.append(ids.astype(np.int64), padding)
    return np.append(ids.astype(object), padding)


def _id_type(ids: Vocabulary) -> ir.DataType:
    return ir.DataType.INT64 if ids.kind == "int64" else ir.DataType.STRING


def _input(name: str, kind: ir.DataType, shape: Sequence[str | int]) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(kind))


def _named(name: str, value: ir.Value) -> ir.Value:
    """The value under the name of an output."""
    value.name = name
    return value


def _feed(graph: ir.Graph, values: dict[str, ir.Value]) -> None:
    """Let computed values stand in for inputs of the graph."""
    for value in list(graph.inputs):
        assert value.name is not None
        ir.convenience.replace_all_uses_with(value, values[value.name])
    graph.inputs.clear()


def _close(
    ops: Ops,
    model: ir.Model,
    inputs: list[ir.Value],
    outputs: list[ir.Value],
    kinds: list[ir.DataType],
    shape: list[str],
) -> None:
    """Set inputs and outputs, all of one shape."""
    for value, kind in zip(outputs, kinds, strict=True):
        value.type, value.shape = ir.TensorType(kind), ir.Shape(shape)
    graph = model.graph
    graph.inputs.extend(inputs)
    graph.outputs.clear()
    graph.outputs.extend(outputs)
    ops.finish()
    graph.name = "p5"
    for domain in {node.domain for node in graph} - {""}:
        graph.opset_imports[domain] = VERSIONS[domain]
