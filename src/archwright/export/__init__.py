"""What a found network leaves on disk."""

from archwright.export._best import Saved, export_network, load_best, read_best, save_best

__all__ = ["Saved", "export_network", "load_best", "read_best", "save_best"]
