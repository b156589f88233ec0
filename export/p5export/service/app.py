"""The HTTP service of an exported model: /recommend, /score, /health and offline documentation at /docs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from starlette.middleware.trustedhost import TrustedHostMiddleware

from p5core.errors import ExportError
from p5export.bundle.bundle import Bundle
from p5export.bundle.raw_ids import as_id, as_ids
from p5export.runtime import Recommended
from p5export.service.batching import MicroBatcher
from p5export.service.guard import BUSY, Guard, Load
from p5export.service.ids import to_json
from p5export.service.limits import Limits
from p5export.service.model import Answer, RecommendJob, RequestModel, Scored, ScoreJob
from p5export.service.schema import (
    Health,
    Item,
    Problem,
    RecommendAnswer,
    RecommendRequest,
    ScoreAnswer,
    ScoreRequest,
)

__all__ = ["Source", "build_app"]

CELLS = 2**24
"""Scores that one call may hold: 64 MB."""

REFUSALS: dict[int | str, dict[str, Any]] = {
    408: {"model": Problem, "description": "The request did not arrive in time"},
    413: {"model": Problem, "description": "The request is too large"},
    422: {"model": Problem, "description": "The request is wrong"},
    503: {"model": Problem, "description": "Too many requests; try again after the seconds in Retry-After"},
}


class _Service:
    """The model and the processing of requests."""

    def __init__(self, model: RequestModel, limits: Limits, source: Source | None) -> None:
        self.model, self.limits, self.load, self.source = model, limits, Load(), source
        self.batcher: MicroBatcher[RecommendJob | ScoreJob, Answer] = MicroBatcher(
            lambda jobs: self.model.answer(jobs), model.shape, lambda: self.load.reading, self._most(), limits.wait
        )

    def _most(self) -> int:
        """Requests of one call at most."""
        return max(1, min(self.limits.batch, CELLS // max(1, int(self.model.bundle.manifest["n_items"]))))

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """The model answers while the application runs."""
        worker = asyncio.create_task(self.batcher.run())
        reloader = asyncio.create_task(self._reload_when_asked()) if self.source else None
        try:
            yield
        finally:
            for task in (worker, *([reloader] if reloader else [])):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    async def _reload_when_asked(self) -> None:
        """Load the model again at each SIGHUP."""
        assert self.source is not None
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        while await asked.wait():
            asked.clear()
            try:
                model = await asyncio.to_thread(self.source.load)
                _refuse_other_ids(self.model.bundle, model.bundle)
            except Exception as error:  # whatever an export raises must not end the server or later reloads
                self.source.say(f"The model is not replaced: {error}")
            else:
                self.model = model
                self.batcher.most = self._most()
                self.source.say(f"Serving '{model.bundle.manifest['run']}' from now on.")

    async def recommend(self, asked: RecommendRequest) -> RecommendAnswer:
        """The `k` best items of the catalogue, best first."""
        self._limit("k", asked.k, self.limits.k)
        recommended = await self._answer(RecommendJob(self._who(asked), asked.k))
        assert isinstance(recommended, list)
        return RecommendAnswer(items=[_item(result) for result in recommended])

    async def score(self, asked: ScoreRequest) -> ScoreAnswer:
        """One score and one of each prediction a candidate."""
        self._limit("candidates", len(asked.candidates), self.limits.candidates, "items")
        candidates = as_ids(asked.candidates, self.model.bundle.id_kind)
        scored = await self._answer(ScoreJob(self._who(asked), candidates))
        assert isinstance(scored, Scored)
        scores = [None if score == float("-inf") else score for score in scored.scores]
        return ScoreAnswer(scores=scores, ratings=scored.predictions.get("ratings"), predictions=scored.predictions)

    async def health(self) -> Health:
        """The model served, its limits and the number of answers so far."""
        manifest, counted = self.model.bundle.manifest, self.batcher.counted
        return Health(
            state="ready",
            model=str(manifest["run"]),
            takes=_takes(self.model.bundle),
            id_kind=self.model.bundle.id_kind,
            n_items=manifest["n_items"],
            sha256=manifest["files"]["model.onnx"],
            requests=counted.requests,
            calls=counted.calls,
            largest_call=counted.largest_call,
            open=self.load.open,
            reading=self.load.reading,
        )

    async def _answer(self, job: RecommendJob | ScoreJob) -> Answer:
        try:
            return await self.batcher.submit(job, self.limits.timeout)
        except TimeoutError:
            text = f"The request was not answered within {self.limits.timeout:g} seconds. Try again."
            raise HTTPException(503, text, BUSY) from None

    def _who(self, asked: RecommendRequest | ScoreRequest) -> Sequence[str | int] | str | int:
        """The history or the user as the model knows them; raises ExportError for the one that it does not take."""
        if not self.model.uses_history:
            if asked.user is None or asked.history is not None:
                raise ExportError("This model knows users and reads no history. Give 'user', and no 'history'.")
            return as_id(asked.user, str(self.model.bundle.manifest["user_kind"]))
        if asked.history is None or asked.user is not None:
            raise ExportError("This model reads histories and knows no users. Give 'history', and no 'user'.")
        self._limit("history", len(asked.history), self.limits.history, "items")
        return as_ids(asked.history, self.model.bundle.id_kind)

    def _limit(self, name: str, actual: int, most: int, unit: str = "") -> None:
        if actual > most:
            raise ExportError(f"{name}: {actual:,} {unit}".rstrip() + f" is more than this server allows ({most:,}).")


@dataclass(frozen=True)
class Source:
    """Loads the model again, and says how it went."""

    load: Callable[[], RequestModel]
    say: Callable[[str], None]


def _refuse_other_ids(old: Bundle, new: Bundle) -> None:
    """Raise ExportError for a model that takes something else: requests that wait were made for the old one."""
    if (old.id_kind, _takes(old), old.manifest.get("user_kind")) != (
        new.id_kind, _takes(new), new.manifest.get("user_kind"),
    ):  # fmt: skip
        raise ExportError("the export takes other ids than the model that is served. Start another server for it.")


def build_app(model: RequestModel, limits: Limits, hosts: Sequence[str], source: Source | None = None) -> FastAPI:
    """The application; `hosts` are the names under which it may be asked, against DNS rebinding.

    With a `source` the model is loaded again at SIGHUP; one that cannot be trusted replaces nothing.
    """
    service = _Service(model, limits, source)
    app = FastAPIOffline(
        redoc_url=None,
        title=f"P5 recommender '{model.bundle.manifest['run']}'",
        version=str(model.bundle.manifest["p5"]),
        description=_description(model.bundle, limits),
        lifespan=service.running,
        swagger_ui_parameters={"validatorUrl": None},  # the page would ask a validator on the web otherwise
    )
    app.post("/recommend", responses=REFUSALS)(service.recommend)
    app.post("/score", responses=REFUSALS)(service.score)
    app.get("/health")(service.health)
    app.add_exception_handler(ExportError, _refuse)
    app.add_exception_handler(RequestValidationError, _explain)
    app.add_middleware(Guard, limits=limits, load=service.load)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    return app


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    return _problem(str(error))


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    """The first fault of a body in a sentence."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"][1:]).lstrip(".")
    fault = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return _problem(f"The body is no JSON: {first['ctx']['error']} at character {first['loc'][1]}.")
    if not place:
        return _problem(f"The body is no JSON object with Content-Type: application/json ({fault}).")
    return _problem(f"{place}: {fault}.")


def _problem(text: str) -> JSONResponse:
    return JSONResponse({"detail": text.encode("utf-8", "backslashreplace").decode()}, 422)


def _item(recommended: Recommended) -> Item:
    return Item(item=to_json(recommended.item), score=recommended.score, metadata=dict(recommended.metadata))


def _takes(bundle: Bundle) -> str:
    return "history" if bundle.uses_history else "user"


def _description(bundle: Bundle, limits: Limits) -> str:
    ids = "texts" if bundle.id_kind == "string" else "64-bit integers"
    return (
        f"This model takes a `{_takes(bundle)}`; its item ids are {ids}. A request may give an id as a number or as "
        "a text. Answers give integer ids as numbers, those of 2^53 and more (or -2^53 and less), which JavaScript "
        f"cannot hold exactly, as texts.\n\nA request may ask for {limits.k:,} items, read a history of "
        f"{limits.history:,} items, score {limits.candidates:,} candidates and be {limits.body:,} bytes large. "
        f"{limits.requests:,} requests are taken at once; one more gets 503 with Retry-After."
    )
