"""Stores of studies: in memory, in an SQLite file, or in a team's database."""

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.store._store import DOCUMENTS, MemoryStore, Record, Snapshot, Store

if TYPE_CHECKING:
    from archwright.store._sql import Listed, SQLStore, list_studies
    from archwright.store._transfer import Checked, back_up, check_studies, export_studies, import_studies, new_file
    from archwright.store._url import RUN, address, database_url

__all__ = [
    "DOCUMENTS",
    "RUN",
    "Checked",
    "Listed",
    "MemoryStore",
    "Record",
    "SQLStore",
    "Snapshot",
    "Store",
    "address",
    "back_up",
    "check_studies",
    "database_url",
    "export_studies",
    "import_studies",
    "list_studies",
    "new_file",
]

__getattr__ = lazy(  # these load SQLAlchemy
    __name__,
    {
        "_sql": ("Listed", "SQLStore", "list_studies"),
        "_transfer": ("Checked", "back_up", "check_studies", "export_studies", "import_studies", "new_file"),
        "_url": ("RUN", "address", "database_url"),
    },
)
