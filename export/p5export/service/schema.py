"""Schemas of the server's requests and answers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from p5export.service.ids import shown

__all__ = ["Health", "Item", "Problem", "RecommendAnswer", "RecommendRequest", "ScoreAnswer", "ScoreRequest"]


def _checked_id(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"{shown(value)} is no id; an id is a text or a whole number")
    if isinstance(value, str) and any("\ud800" <= member <= "\udfff" for member in value):
        raise ValueError(f"{shown(value)} holds half a character (a lone surrogate), which no id does")
    return value


def _checked_k(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{shown(value)} is no whole number")
    return value


Id = Annotated[int | str, BeforeValidator(_checked_id)]


class _Who(BaseModel):
    model_config = ConfigDict(extra="forbid")

    history: list[Id] | None = Field(None, description="Item ids, oldest first. For models that read histories.")
    user: Id | None = Field(None, description="A user id. For models that know users instead of histories.")


class RecommendRequest(_Who):
    """A history, or a user, and how many items are wanted."""

    k: Annotated[int, BeforeValidator(_checked_k)] = Field(10, ge=0, description="How many items.")


class ScoreRequest(_Who):
    """A history, or a user, and the items to score."""

    candidates: list[Id] = Field(description="Item ids.")


class Item(BaseModel):
    """One recommended item."""

    item: int | str
    score: float
    metadata: dict[str, str] = Field(description="Column → text, for the columns that were exported.")


class RecommendAnswer(BaseModel):
    """The best items, best first; fewer than `k` where the catalogue is used up."""

    items: list[Item]


class ScoreAnswer(BaseModel):
    """One score a candidate, in their order."""

    scores: list[float | None] = Field(description="null for an item that the model does not know.")
    ratings: list[float] | None = Field(description="The prediction `ratings`; null for a model without it.")
    predictions: dict[str, list[float]] = Field(description="Every prediction of the model, by its name.")


class Health(BaseModel):
    """The model served, its limits and the number of answers so far."""

    state: str = Field(description='"ready": the model is loaded before the server listens.')
    model: str = Field(description="Name of the run.")
    takes: str = Field(description='"history" or "user".')
    id_kind: str = Field(description='"string" or "int64".')
    n_items: int
    sha256: str = Field(description="Hash of model.onnx.")
    requests: int = Field(description="Requests that the model has answered.")
    calls: int = Field(description="Calls of the model; fewer than requests where several were answered by one.")
    largest_call: int = Field(description="Most requests answered by one call.")
    open: int = Field(description="Requests that wait or are answered now.")
    reading: int = Field(description="Requests that are still arriving.")


class Problem(BaseModel):
    """The reason why a request was refused."""

    detail: str
