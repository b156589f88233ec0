from .config.base import Choices, Config, ExpandedPath, PartSpec, Tunable
from .config.document import dump_experiment, load_experiment, parse_experiment
from .config.experiment import Experiment
from .config.prepare import PrepareConfig
from .contracts.backbone import Backbone
from .contracts.encoder import Encoder, Features
from .contracts.loader import Loader
from .contracts.loss import Candidates, ProbabilityLoss, RankingLoss, ValueLoss
from .contracts.metric import AtK, EvalResult, Metric
from .contracts.part import NoOptions, Part
from .contracts.preset import Preset
from .contracts.scorer import ItemNeighbours, Scorer
from .contracts.split import Split
from .contracts.task import FollowingTask, Output, Task, TaskInfo, TaskNetwork, TrainingData
from .contracts.tracker import RunEvent, StepEvent, Tracker, ValidationEvent
from .data.batch import NO_TARGET, Batch, Windows, bucket_by_length, cut_windows, gather_padded
from .data.catalogue import Catalogue, Entities
from .data.dataset import Dataset, Events, Ragged
from .data.holdout import Role
from .data.ingest.prepare import prepare
from .data.raw import RawData, Scan
from .errors import (
    ConfigError,
    DataError,
    DuplicatePartError,
    ExportError,
    P5Error,
    PluginError,
    RunError,
    TrainingError,
    UnknownPartError,
)
from .plugins.discovery import load_plugins
from .plugins.hookspecs import API_VERSION, hookimpl
from .plugins.registry import Registry
from .runs.base import Base
from .runs.create import list_runs, open_run
from .runs.run import Run
from .system.messages import Message
from .transfer.finetune import Finetuned, finetune
from .transfer.pretrain import pretrain, write_base
from .workflows.evaluate_run import evaluate_run
from .workflows.recommend import Recommendation, Recommender
from .workflows.train import resume, run
from .workflows.update import extend, update

__all__ = [
    "API_VERSION",
    "NO_TARGET",
    "AtK",
    "Backbone",
    "Base",
    "Batch",
    "Candidates",
    "Catalogue",
    "Choices",
    "Config",
    "ConfigError",
    "DataError",
    "Dataset",
    "DuplicatePartError",
    "Encoder",
    "Entities",
    "EvalResult",
    "Events",
    "ExpandedPath",
    "Experiment",
    "ExportError",
    "Features",
    "Finetuned",
    "FollowingTask",
    "ItemNeighbours",
    "Loader",
    "Message",
    "Metric",
    "NoOptions",
    "Output",
    "P5Error",
    "Part",
    "PartSpec",
    "PluginError",
    "PrepareConfig",
    "Preset",
    "ProbabilityLoss",
    "Ragged",
    "RankingLoss",
    "RawData",
    "Recommendation",
    "Recommender",
    "Registry",
    "Role",
    "Run",
    "RunError",
    "RunEvent",
    "Scan",
    "Scorer",
    "Split",
    "StepEvent",
    "Task",
    "TaskInfo",
    "TaskNetwork",
    "Tracker",
    "TrainingData",
    "TrainingError",
    "Tunable",
    "UnknownPartError",
    "ValidationEvent",
    "ValueLoss",
    "Windows",
    "__version__",
    "bucket_by_length",
    "cut_windows",
    "dump_experiment",
    "evaluate_run",
    "extend",
    "finetune",
    "gather_padded",
    "hookimpl",
    "list_runs",
    "load_experiment",
    "load_plugins",
    "open_run",
    "parse_experiment",
    "prepare",
    "pretrain",
    "resume",
    "run",
    "update",
    "write_base",
]

__version__: str
