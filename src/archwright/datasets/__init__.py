"""Labelled data: loading, splits, and preprocessing."""

from archwright.datasets._advice import advice
from archwright.datasets._arrays import to_array
from archwright.datasets._audio import AudioPreprocess
from archwright.datasets._boxes import Box, Boxes, DetectionPreprocess, decode_boxes, locations, overlaps
from archwright.datasets._conll import Sentence, holds_tags, read_tags, spans, tag_files, tag_names
from archwright.datasets._data import Data, Part
from archwright.datasets._image_preprocess import ImagePreprocess
from archwright.datasets._interactions import InteractionPreprocess, Ranking, interaction_rows
from archwright.datasets._language_preprocess import (
    Continuation,
    LanguagePreprocess,
    read_text,
    units_of,
    usual_tokens,
)
from archwright.datasets._load import TASKS, data
from archwright.datasets._masks import Mask, SegmentationPreprocess
from archwright.datasets._moments import fitted_to_images, moments_of
from archwright.datasets._named import registry
from archwright.datasets._objects import Annotated, class_names_of, find_objects, read_objects, tensors_of
from archwright.datasets._pairs import IGNORED, find_pairs, image_size, read_pairs
from archwright.datasets._parallel import find_text_pairs, languages_in
from archwright.datasets._preprocess import (
    Estimate,
    Normalised,
    Noted,
    Prediction,
    Preprocess,
    Result,
    Target,
    load_preprocess,
    preprocess_from_json,
)
from archwright.datasets._reading import (
    GIGABYTES,
    IMAGES,
    InputError,
    check_file,
    limit_text,
    to_gigabytes,
    to_number,
)
from archwright.datasets._recordings import by_speaker, find_recordings, read_recordings
from archwright.datasets._series import Windows, looks_like_series, series_doubt, windows_between
from archwright.datasets._series_preprocess import Forecast, SeriesPreprocess
from archwright.datasets._series_table import GAPS, SeriesTable, Spacing, read_series, spacing_of
from archwright.datasets._speech import SpeechPreprocess, Transcript, spoken
from archwright.datasets._split import choose, split_in_order, three_parts
from archwright.datasets._table_preprocess import Column, Labels, TablePreprocess
from archwright.datasets._tag_preprocess import TagPreprocess, Tags, shape_of
from archwright.datasets._text_preprocess import UNKNOWN, TextPreprocess, padded, words_of
from archwright.datasets._texts import Text, Texts, find_texts, holds_texts, read_texts, usual_length, vocabulary_of
from archwright.datasets._transcripts import find_transcripts, holds_transcripts
from archwright.datasets._translation_preprocess import (
    BEGIN,
    END,
    FIRST,
    TranslationPreprocess,
    Written,
    joined_tokens,
    read_lines,
    tokens_of,
)

__all__ = [
    "BEGIN",
    "END",
    "FIRST",
    "GAPS",
    "GIGABYTES",
    "IGNORED",
    "IMAGES",
    "TASKS",
    "UNKNOWN",
    "Annotated",
    "AudioPreprocess",
    "Box",
    "Boxes",
    "Column",
    "Continuation",
    "Data",
    "DetectionPreprocess",
    "Estimate",
    "Forecast",
    "ImagePreprocess",
    "InputError",
    "InteractionPreprocess",
    "Labels",
    "LanguagePreprocess",
    "Mask",
    "Normalised",
    "Noted",
    "Part",
    "Prediction",
    "Preprocess",
    "Ranking",
    "Result",
    "SegmentationPreprocess",
    "Sentence",
    "SeriesPreprocess",
    "SeriesTable",
    "Spacing",
    "SpeechPreprocess",
    "TablePreprocess",
    "TagPreprocess",
    "Tags",
    "Target",
    "Text",
    "TextPreprocess",
    "Texts",
    "Transcript",
    "TranslationPreprocess",
    "Windows",
    "Written",
    "advice",
    "by_speaker",
    "check_file",
    "choose",
    "class_names_of",
    "data",
    "decode_boxes",
    "find_objects",
    "find_pairs",
    "find_recordings",
    "find_text_pairs",
    "find_texts",
    "find_transcripts",
    "fitted_to_images",
    "holds_tags",
    "holds_texts",
    "holds_transcripts",
    "image_size",
    "interaction_rows",
    "joined_tokens",
    "languages_in",
    "limit_text",
    "load_preprocess",
    "locations",
    "looks_like_series",
    "moments_of",
    "overlaps",
    "padded",
    "preprocess_from_json",
    "read_lines",
    "read_objects",
    "read_pairs",
    "read_recordings",
    "read_series",
    "read_tags",
    "read_text",
    "read_texts",
    "registry",
    "series_doubt",
    "shape_of",
    "spacing_of",
    "spans",
    "split_in_order",
    "spoken",
    "tag_files",
    "tag_names",
    "tensors_of",
    "three_parts",
    "to_array",
    "to_gigabytes",
    "to_number",
    "tokens_of",
    "units_of",
    "usual_length",
    "usual_tokens",
    "vocabulary_of",
    "windows_between",
    "words_of",
]
