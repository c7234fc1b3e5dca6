"""Tasks: data, loss and metrics of a training."""

from archwright.tasks._baseline import ClassicalMethod, Fitted, fit_within
from archwright.tasks._classification import Classification, ClassTask
from archwright.tasks._combination import MeanOutputs, MeanProbabilities
from archwright.tasks._detection import Detection
from archwright.tasks._forecasting import Forecasting
from archwright.tasks._language import LanguageModel
from archwright.tasks._make import as_task, task
from archwright.tasks._meta_features import meta_features
from archwright.tasks._multilabel import MultiLabel
from archwright.tasks._recommendation import Recommendation
from archwright.tasks._registry import entries, register
from archwright.tasks._regression import Regression
from archwright.tasks._segmentation import Segmentation
from archwright.tasks._speech_commands import SpeechCommands
from archwright.tasks._speech_recognition import SpeechRecognition
from archwright.tasks._tagging import SpanF1, Tagging
from archwright.tasks._task import Task
from archwright.tasks._tensors import leaves, map_tensors, size_of
from archwright.tasks._text import TextClassification
from archwright.tasks._translation import Summarisation, Translation, rouge_l

__all__ = [
    "ClassTask",
    "ClassicalMethod",
    "Classification",
    "Detection",
    "Fitted",
    "Forecasting",
    "LanguageModel",
    "MeanOutputs",
    "MeanProbabilities",
    "MultiLabel",
    "Recommendation",
    "Regression",
    "Segmentation",
    "SpanF1",
    "SpeechCommands",
    "SpeechRecognition",
    "Summarisation",
    "Tagging",
    "Task",
    "TextClassification",
    "Translation",
    "as_task",
    "entries",
    "fit_within",
    "leaves",
    "map_tensors",
    "meta_features",
    "register",
    "rouge_l",
    "size_of",
    "task",
]
