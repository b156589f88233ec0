"""The experiment: one TOML file that says everything about a run."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field

from p5core.config.base import Choices, Config, PartSpec, Tunable, parse_config
from p5core.data.ingest.prepare import PrepareConfig
from p5core.data.split import LeaveOneOut, SplitConfig
from p5core.errors import ConfigError
from p5core.model.options import NeighboursConfig

__all__ = [
    "EvaluateConfig",
    "Experiment",
    "ModelConfig",
    "OptimiserConfig",
    "StageConfig",
    "TaskSpec",
    "dump_experiment",
    "load_experiment",
    "override",
    "parse_experiment",
]


STORABLE = (str, int, float, date, datetime, time, PurePath, Mapping, list, tuple)
"""What has a place in a TOML file."""


class ModelConfig(Config):
    """The network: how items become vectors and what reads them."""

    width: Annotated[int, Choices((32, 64, 128, 256))] = Field(64, ge=1)
    """Length of all vectors, D."""

    max_length: int = Field(50, ge=1)
    """How many of the newest history items are read."""

    dropout: Annotated[float, Tunable(0, 0.6)] = Field(0.2, ge=0, lt=1)
    """Share of the input vectors' entries that is dropped while training."""

    combine: Literal["sum", "gated"] = "sum"
    """How the vectors of several encoders become one."""

    unit_items: bool = False
    """Scale item vectors to length 1: then a score says what an item is, and not how often it came."""

    encoders: list[PartSpec] = [PartSpec(name="id")]
    """What item vectors are made of."""

    backbone: PartSpec = PartSpec(name="gpt")
    """What reads the history."""

    memory: NeighboursConfig | None = None
    """An item memory beside the network, such as { n_neighbours = 100 }; how both are mixed is chosen on validation
    events. None leaves it out."""


class OptimiserConfig(Config):
    """AdamW (arXiv 1711.05101) with linear warm-up and cosine decay."""

    learning_rate: Annotated[float, Tunable(2e-4, 1e-2, log=True)] = Field(1e-3, gt=0)
    """Highest step size."""

    weight_decay: Annotated[float, Tunable(1e-4, 0.3, log=True)] = Field(0.01, ge=0)
    """Decay of weight matrices; biases, norms and embeddings have none."""

    warmup: float = Field(0.05, ge=0, lt=1)
    """Share of all steps in which the step size rises."""

    final_share: float = Field(0.1, ge=0, le=1)
    """Step size at the end, as a share of the highest."""

    clip_norm: float = Field(5.0, gt=0)
    """Gradients longer than this are shortened to it."""

    accumulate: int = Field(1, ge=1)
    """Batches whose gradients are added up before each step."""


class TaskSpec(PartSpec):
    """A task of a stage with its weight and loss; other keys are the task's own options."""

    weight: float = Field(1.0, gt=0)
    """Factor of this task's loss."""

    loss: PartSpec = PartSpec(name="auto")
    """The loss; "auto" follows the size of the catalogue."""


class StageConfig(Config):
    """One stretch of training; a later stage starts from the weights of the one before."""

    name: str = "train"
    """What reports call it."""

    tasks: list[TaskSpec] = Field([TaskSpec(name="next_item")], min_length=1)
    """What is learnt."""

    epochs: int = Field(20, ge=1)
    """Passes over the training events at most."""

    token_budget: int = Field(2048, ge=1)
    """Positions of one batch, padding included."""

    patience: int = Field(0, ge=0)
    """Validations without improvement after which the stage stops; 0 never stops early."""

    validate_every: int = Field(1, ge=1)
    """Epochs between two validations."""

    watch: str = ""
    """Metric that picks the best epoch, such as "ndcg@10"; empty takes the last metric of the first task."""

    optimiser: OptimiserConfig = OptimiserConfig()
    """How weights are changed."""

    data: PartSpec | None = None
    """Other data than the experiment's, for this stage alone."""

    prepare: PrepareConfig | None = None
    """Other preparation, for this stage's own data."""

    from_run: str = Field("", alias="from")
    """A run whose weights this stage starts from; known raw ids keep their vectors."""


class EvaluateConfig(Config):
    """What is measured on held-out events."""

    metrics: list[str] = []
    """Metrics such as "ndcg@10"; empty takes those of the tasks."""

    baselines: list[Literal["popularity", "neighbours"]] = ["popularity", "neighbours"]
    """What runs beside the model."""

    exclude_seen: bool = True
    """Leave items of the history out of the ranking."""

    candidates: int = Field(0, ge=0)
    """Rank the target among so many sampled items instead of the whole catalogue; 0 ranks all."""

    memory: int = Field(256, ge=1)
    """Megabytes of scores held at once."""

    validation_users: int = Field(0, ge=0)
    """Users drawn for each validation while training; 0 takes all."""

    resamples: int = Field(1000, ge=0)
    """Bootstrap resamples of the 95 % intervals; 0 leaves them out."""


class Experiment(Config):
    """Everything about a run: data, preparation, split, model, stages, evaluation."""

    seed: int = Field(0, ge=0)
    """Start of all random draws."""

    device: str = "auto"
    """"auto" takes CUDA when there is one; else "cpu", "cuda", "cuda:1", "mps"."""

    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic of training; "auto" multiplies in bfloat16 where the processor or GPU does so by itself."""

    data: PartSpec
    """The loader and its options."""

    prepare: PrepareConfig = PrepareConfig()
    """Cleaning and encoding."""

    split: Annotated[SplitConfig, Field(discriminator="name")] = LeaveOneOut()
    """Which events are held out."""

    model: ModelConfig = ModelConfig()
    """The network."""

    stages: list[StageConfig] = Field([StageConfig()], min_length=1)
    """Training, in order."""

    evaluate: EvaluateConfig = EvaluateConfig()
    """Measurement."""

    export: dict[str, Any] = {}
    """Options of the export, checked by it."""

    trackers: list[PartSpec] = []
    """Who follows the run."""


def load_experiment(path: Path, assignments: Sequence[str] = ()) -> Experiment:
    """Read a TOML file and apply `key=value` overrides; raises ConfigError with the place of a fault."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no experiment file {path}. Write one with 'p5 init DATA'.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    for assignment in assignments:
        tree = override(tree, assignment)
    return parse_experiment(tree, path.name)


def parse_experiment(tree: Mapping[str, Any], where: str = "experiment") -> Experiment:
    """Check a tree of plain values; raises ConfigError."""
    return parse_config(Experiment, tree, where)


def override(tree: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """Apply one `a.b.0.c=value`; the value is read as TOML, or as text when it is none. A list may grow by one."""
    key, equals, text = assignment.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {assignment}: expected key=value, such as model.width=128.")
    assigned: dict[str, Any] = _assigned(tree, key.strip().split("."), _value(text.strip()), assignment)
    return assigned


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _assigned(node: Any, steps: list[str], value: Any, assignment: str) -> Any:
    head, rest = steps[0], steps[1:]
    if isinstance(node, list):
        if not head.isdecimal() or int(head) > len(node):
            raise ConfigError(f"--set {assignment}: '{head}' is no place in a list of {len(node)}.")
        place = int(head)
        old = node[place] if place < len(node) else _missing(rest)
        return [*node[:place], _assigned(old, rest, value, assignment) if rest else value, *node[place + 1 :]]
    if not isinstance(node, Mapping):
        raise ConfigError(f"--set {assignment}: '{head}' lies below a plain value.")
    inner = value if not rest else _assigned(node.get(head, _missing(rest)), rest, value, assignment)
    return {**node, head: inner}


def _missing(rest: list[str]) -> Any:
    """What stands where the file says nothing: a list when its first element is set, a table otherwise."""
    return [] if rest and rest[0].isdecimal() else {}


def dump_experiment(experiment: Experiment) -> str:
    """The TOML text of an experiment, every option spelt out; reading it back gives an equal experiment.

    Options that no file can hold, such as a DataFrame, are left out.
    """
    return tomli_w.dumps(_storable(experiment.model_dump(exclude_none=True, by_alias=True)))


def _storable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _storable(inner) for key, inner in value.items() if isinstance(inner, STORABLE)}
    if isinstance(value, (list, tuple)):
        return [_storable(inner) for inner in value if isinstance(inner, STORABLE)]
    return str(value) if isinstance(value, PurePath) else value
