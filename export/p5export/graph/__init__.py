"""The ONNX graph: raw ids, states, ranking."""

__all__: list[str] = []
