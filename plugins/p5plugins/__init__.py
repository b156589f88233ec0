"""The built-in parts, registered exactly as a third party's; imports wait until a kind is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from p5core.plugins.hookspecs import API_VERSION, hookimpl

if TYPE_CHECKING:
    import click

    from p5core.contracts.backbone import Backbone
    from p5core.contracts.encoder import Encoder
    from p5core.contracts.loader import Loader
    from p5core.contracts.loss import Loss
    from p5core.contracts.metric import Metric
    from p5core.contracts.preset import Preset
    from p5core.contracts.scorer import Scorer
    from p5core.contracts.split import Split
    from p5core.contracts.task import Task
    from p5core.contracts.tracker import Tracker

__all__: list[str] = []

P5_API_VERSION = API_VERSION


@hookimpl
def p5_loaders() -> list[type[Loader]]:
    from p5plugins.layouts.films import Jester, Netflix
    from p5plugins.layouts.places import Foursquare, Gowalla, RecBole, Social, Steam, Yelp
    from p5plugins.layouts.reading import MIND, BookCrossing, EBNeRD, Goodreads, LastFM
    from p5plugins.layouts.shops import (
        HM,
        AmazonReviews,
        Diginetica,
        OnlineRetail,
        Otto,
        Personalize,
        RetailRocket,
        Taobao,
        Tmall,
        Yoochoose,
    )
    from p5plugins.loaders.dataframe import InMemory
    from p5plugins.loaders.movielens import MovieLens
    from p5plugins.loaders.sequences import Sequences
    from p5plugins.loaders.sql import SQL
    from p5plugins.loaders.synthetic import Synthetic
    from p5plugins.loaders.table import Table

    return [
        InMemory, MovieLens, Sequences, SQL, Synthetic, Table,
        AmazonReviews, BookCrossing, Diginetica, EBNeRD, Foursquare, Goodreads, Gowalla, HM, Jester, LastFM, MIND,
        Netflix, OnlineRetail, Otto, Personalize, RecBole, RetailRocket, Social, Steam, Taobao, Tmall, Yelp, Yoochoose,
    ]  # fmt: skip


@hookimpl
def p5_splits() -> list[type[Split]]:
    from p5plugins.splits.by_user import ByUser
    from p5plugins.splits.item_cold import ItemCold
    from p5plugins.splits.leave_one_out import LeaveOneOut
    from p5plugins.splits.random import RandomRatio
    from p5plugins.splits.time import TimeWindows

    return [ByUser, ItemCold, LeaveOneOut, RandomRatio, TimeWindows]


@hookimpl
def p5_encoders() -> list[type[Encoder]]:
    from p5plugins.encoders.categories import Categories
    from p5plugins.encoders.id import IdEmbedding
    from p5plugins.encoders.numbers import Numbers
    from p5plugins.encoders.text import Text
    from p5plugins.encoders.vectors import Vectors

    return [Categories, IdEmbedding, Numbers, Text, Vectors]


@hookimpl
def p5_backbones() -> list[type[Backbone]]:
    from p5plugins.backbones.bag import Bag
    from p5plugins.backbones.bert import BERT
    from p5plugins.backbones.filter import Filter
    from p5plugins.backbones.gpt import GPT
    from p5plugins.backbones.mf import MF
    from p5plugins.backbones.mlp import MLP
    from p5plugins.backbones.recurrent import GRU, LSTM

    return [BERT, Bag, Filter, GPT, GRU, LSTM, MF, MLP]


@hookimpl
def p5_tasks() -> list[type[Task]]:
    from p5plugins.tasks.align import Align
    from p5plugins.tasks.bayesian_fm import BayesianFM
    from p5plugins.tasks.contrastive import Contrastive
    from p5plugins.tasks.masked_item import MaskedItem
    from p5plugins.tasks.next_item import NextItem
    from p5plugins.tasks.rating import RatingPrediction

    return [Align, BayesianFM, Contrastive, MaskedItem, NextItem, RatingPrediction]


@hookimpl
def p5_losses() -> list[type[Loss]]:
    from p5plugins.losses.bce import BCE
    from p5plugins.losses.bpr import BPR
    from p5plugins.losses.cross_entropy import CrossEntropy
    from p5plugins.losses.gbce import GBCE
    from p5plugins.losses.mse import MSE
    from p5plugins.losses.sampled_softmax import SampledSoftmax

    return [BCE, BPR, CrossEntropy, GBCE, MSE, SampledSoftmax]


@hookimpl
def p5_scorers() -> list[type[Scorer]]:
    from p5plugins.scorers.als import ALS
    from p5plugins.scorers.bpr_mf import BPRMF
    from p5plugins.scorers.content import Content
    from p5plugins.scorers.cooccurrence import CoOccurrence
    from p5plugins.scorers.ease import EASE
    from p5plugins.scorers.item_knn import ItemKNN
    from p5plugins.scorers.markov import Markov
    from p5plugins.scorers.popularity import Popularity
    from p5plugins.scorers.sequential_ridge import SequentialRidge
    from p5plugins.scorers.user_knn import UserKNN

    return [Popularity, CoOccurrence, EASE, ItemKNN, SequentialRidge, Markov, ALS, BPRMF, UserKNN, Content]


@hookimpl
def p5_metrics() -> list[type[Metric]]:
    from p5plugins.metrics import lists, probabilities, ranking, ratings

    return [
        ranking.AUC,
        ranking.F1,
        ranking.HitRate,
        ranking.MAP,
        ranking.MRR,
        ranking.NDCG,
        ranking.Precision,
        ranking.Recall,
        lists.Coverage,
        lists.Diversity,
        lists.Gini,
        lists.Novelty,
        probabilities.BinaryCrossEntropy,
        ratings.Accuracy,
        ratings.LogLoss,
        ratings.MAE,
        ratings.RMSE,
        ratings.SquaredError,
    ]


@hookimpl
def p5_trackers() -> list[type[Tracker]]:
    from p5plugins.trackers.spreadsheet import Spreadsheet

    return [Spreadsheet]


@hookimpl
def p5_presets() -> list[type[Preset]]:
    from p5plugins.presets import starts
    from p5plugins.presets.sequential import Sequential

    classic = [starts.EASE, starts.ItemKNN, starts.ALS, starts.SLIST, starts.BPRMF, starts.SVDpp]
    networks = [starts.SASRec, starts.BERT4Rec, starts.GRU4Rec, starts.NARM, starts.FMLP]
    by_purpose = [
        starts.NextItemPreset,
        starts.PretrainFinetune,
        starts.Recurrent,
        starts.Factorisation,
        starts.Ratings,
    ]
    return [*classic, *networks, *by_purpose, Sequential]


@hookimpl
def p5_commands() -> list[click.Command]:
    from p5plugins.cli.demo import demo
    from p5plugins.cli.example import example

    return [demo, example]
