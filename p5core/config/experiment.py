"""The schema of an experiment: everything about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from p5core.config.base import AUTO, Choices, Config, PartRef, PartSpec, Slot, Tunable, Value
from p5core.config.prepare import PrepareConfig

__all__ = [
    "EvaluateConfig",
    "Experiment",
    "ModelConfig",
    "OptimiserConfig",
    "ProbeConfig",
    "SourceConfig",
    "StageConfig",
    "TaskSpec",
]


class ModelConfig(Config):
    """The network: encoders, their combination and the backbone."""

    width: Annotated[int, Choices((32, 64, 128, 256))] = Field(64, ge=1, le=16_384)
    """Dimension of item, user and state vectors, D."""

    max_length: int = Field(50, ge=1, le=100_000)
    """Number of most recent history items that the model reads."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Dropout probability of the input vectors."""

    combine: Literal["sum", "gated"] = "sum"
    """Combination of several encoders: sum, or a learned gate."""

    unit_items: bool = False
    """Normalise item vectors to unit length, so that popularity does not raise scores."""

    encoders: Annotated[list[PartSpec], Slot("encoder")] = Field([AUTO], min_length=1)
    """Item encoders; their outputs are combined into item vectors."""

    user_encoders: Annotated[list[PartSpec], Slot("encoder")] = Field([AUTO], min_length=1)
    """User encoders, for backbones that read no history."""

    backbone: Annotated[PartSpec, Slot("backbone")] = AUTO
    """Network that turns a history into a state vector."""

    scorer: Annotated[PartSpec | None, Slot("scorer")] = None
    """Scorer that is the whole model, without a network; nothing is trained in stages."""

    blend: Annotated[list[PartSpec], Slot("scorer")] = []
    """Scorers blended with the model; their weights are chosen on validation events."""

    @field_validator("scorer", mode="before")
    @classmethod
    def _named(cls, scorer: object) -> object:
        return PartSpec.of(scorer) if isinstance(scorer, str) else scorer

    @property
    def scorers(self) -> Mapping[str, PartSpec]:
        """Place → scorer of the model, that which is the whole model first."""
        first = {} if self.scorer is None else {"model.scorer": self.scorer}
        return first | {f"model.blend.{nth}": spec for nth, spec in enumerate(self.blend)}


class OptimiserConfig(Config):
    """AdamW (arXiv 1711.05101) with linear warm-up and cosine decay."""

    learning_rate: Annotated[float, Tunable(2e-4, 1e-2, log=True)] = Field(1e-3, gt=0)
    """Peak learning rate."""

    weight_decay: Annotated[float, Tunable(1e-4, 0.3, log=True)] = Field(0.01, ge=0)
    """Weight decay of matrices; biases, norms and embeddings have none."""

    warmup: float = Field(0.05, ge=0, lt=1)
    """Fraction of all steps in which the learning rate rises."""

    final_share: float = Field(0.1, ge=0, le=1)
    """Final learning rate, as a fraction of the peak."""

    clip_norm: float = Field(5.0, gt=0)
    """Maximum gradient norm; longer gradients are scaled down to it."""

    accumulate: int = Field(1, ge=1, le=100_000)
    """Number of batches whose gradients are accumulated before each step."""


class TaskSpec(PartSpec):
    """A task of a stage with its weight and loss; other keys are the task's own options."""

    weight: float = Field(1.0, gt=0)
    """Weight of this task's loss."""

    loss: Annotated[PartSpec, Slot("loss")] = AUTO
    """Loss function; "auto" chooses by task and catalogue size."""


class SourceConfig(Config):
    """One of several data sets that a stage trains on."""

    data: Annotated[PartSpec | None, Slot("loader")] = None
    """Loader and its options; empty: the experiment's data."""

    prepare: PrepareConfig | None = None
    """Preparation of this data; empty: as the experiment's."""

    weight: float = Field(1.0, gt=0, le=1e6)
    """Factor of the share of batches that are drawn from this data."""


class StageConfig(Config):
    """One stretch of training; a later stage starts from the weights of the one before."""

    name: str = "train"
    """Name of the stage in reports."""

    tasks: Annotated[list[TaskSpec], Slot("task")] = Field([TaskSpec(name="auto")], min_length=1)
    """Training tasks; their weighted losses are summed."""

    epochs: int = Field(20, ge=1, le=1_000_000)
    """Maximum number of passes over the training events."""

    token_budget: Annotated[int, Field(ge=1, le=100_000_000)] | Literal["auto"] = Field(default="auto")
    """Positions per batch, padding included; "auto" chooses by device and size of the log."""

    patience: int = Field(0, ge=0, le=1_000_000)
    """Stop after this many validations without improvement; 0 disables early stopping."""

    validate_every: int = Field(1, ge=1, le=1_000_000)
    """Number of epochs between validations."""

    watch: str = ""
    """Metric that selects the best epoch; empty: the last metric of the first task."""

    optimiser: OptimiserConfig = OptimiserConfig()
    """Optimiser and learning-rate schedule."""

    data: Annotated[PartSpec | None, Slot("loader")] = None
    """Data of this stage, if it differs from the experiment's."""

    prepare: PrepareConfig | None = None
    """Preparation of this stage's own data; empty: as the experiment's."""

    sources: list[SourceConfig] = []
    """Several data sets to train on; each batch is drawn from one of them."""

    temperature: float = Field(1.0, ge=1, le=100)
    """Sources are drawn by their size to the power 1 / temperature."""

    freeze: list[str] = []
    """Modules whose weights are not trained, such as "backbone" or "items.encoders.0"."""

    learning_rates: dict[str, float] = {}
    """Factors of the learning rate of modules, such as { backbone = 0.1 }."""

    from_run: str = Field("", alias="from")
    """Run or base to initialise weights from; known items keep their vectors."""

    match: Literal["id", "title"] = "id"
    """Items known to that run or base: by domain and id, or by equal titles too."""

    @model_validator(mode="after")
    def _data_once(self) -> Self:
        if self.sources and (self.data is not None or self.prepare is not None):
            raise ValueError("a stage with sources has no data or prepare of its own; make it one of the sources")
        if any(not 0 < factor <= 1_000 for factor in self.learning_rates.values()):
            raise ValueError("factors in learning_rates must be above 0 and at most 1000; freeze names modules to keep")
        return self

    @property
    def all_sources(self) -> Sequence[SourceConfig]:
        """The data sets that the stage trains on; one without a loader is the experiment's."""
        return self.sources or [SourceConfig(data=self.data, prepare=self.prepare)]


class ProbeConfig(Config):
    """Choice of options by short trainings before a run, judged on validation events."""

    candidates: list[dict[str, Value]] = []
    """Values to try beside those of the experiment, such as { dropout = 0.5 }; empty: none."""

    budget: float = Field(2.0, gt=0, le=100)
    """Epochs of all short trainings together, as a multiple of those of the run."""


class EvaluateConfig(Config):
    """Options of evaluation on held-out events."""

    metrics: Annotated[list[PartRef], Slot("metric")] = []
    """Metrics such as "ndcg@10"; empty: those of the tasks."""

    baselines: Annotated[list[PartRef], Slot("scorer")] = ["auto"]
    """Scorers evaluated beside the model; "auto": the default ones."""

    exclude_seen: bool = True
    """Exclude items of the history from the ranking."""

    candidates: int = Field(0, ge=0, le=10_000_000)
    """Number of sampled items to rank the target against; 0 ranks the whole catalogue."""

    memory: int = Field(256, ge=1, le=1_000_000)
    """Memory for scores, in megabytes."""

    validation_users: int = Field(0, ge=0, le=1_000_000_000)
    """Number of users sampled for each validation during training; 0: all."""

    resamples: int = Field(1000, ge=0, le=1_000_000)
    """Bootstrap resamples for 95 % intervals; 0: no intervals."""


class Experiment(Config):
    """Everything about a run: data, preparation, split, model, stages, evaluation."""

    seed: int = Field(0, ge=0, lt=2**63)
    """Seed of all random draws."""

    device: str = "auto"
    """"auto" uses CUDA when available; or "cpu", "cuda", "cuda:1"."""

    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Numeric precision of training; "auto" uses bfloat16 where the hardware supports it."""

    data: Annotated[PartSpec, Slot("loader")]
    """Loader and its options."""

    prepare: PrepareConfig = PrepareConfig()
    """Cleaning of the events."""

    split: Annotated[PartSpec, Slot("split")] = AUTO
    """Split into training, validation and test events."""

    model: ModelConfig = ModelConfig()
    """Model architecture."""

    stages: list[StageConfig] = Field([StageConfig()], min_length=1)
    """Training stages, in order."""

    probe: ProbeConfig = ProbeConfig()
    """Choice of options by short trainings before the run; false: none."""

    evaluate: EvaluateConfig = EvaluateConfig()
    """Evaluation on held-out events."""

    trackers: Annotated[list[PartSpec], Slot("tracker")] = []
    """Trackers that receive the events of the run."""

    notes: tuple[str, ...] = Field((), exclude=True)
    """One sentence for each option with a former spelling that was rewritten."""

    def without_probe(self) -> Experiment:
        """The experiment as it is, without options to try."""
        return self.model_copy(update={"probe": ProbeConfig()})

    @field_validator("probe", mode="before")
    @classmethod
    def _no_probe(cls, probe: object) -> object:
        if probe is True:
            raise ValueError("list the values to try, such as { candidates = [{ dropout = 0.5 }] }, or write false")
        return {} if probe is False else probe
