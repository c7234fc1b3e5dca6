"""Callbacks that record a search in TensorBoard, MLflow, Weights & Biases or Trackio, each trial as a run."""

from archwright.callbacks._mlflow import MLflow
from archwright.callbacks._tensorboard import TensorBoard
from archwright.callbacks._tracker import Tracker
from archwright.callbacks._trackio import Trackio
from archwright.callbacks._wandb import WandB

__all__ = ["MLflow", "TensorBoard", "Tracker", "Trackio", "WandB"]
