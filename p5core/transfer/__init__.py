"""Pre-training for other data: bases, fine-tuning beside a control, and the protocol that measures transfer."""

__all__: list[str] = []
