"""Stores of studies: in memory, in an SQLite file, or in a team's database."""

from typing import TYPE_CHECKING

from archwright._lazy import lazy
from archwright.store._store import DOCUMENTS, MemoryStore, Record, Snapshot, Store

if TYPE_CHECKING:
    from archwright.store._sql import Listed, SQLStore, list_studies
    from archwright.store._url import address, database_url

__all__ = [
    "DOCUMENTS",
    "Listed",
    "MemoryStore",
    "Record",
    "SQLStore",
    "Snapshot",
    "Store",
    "address",
    "database_url",
    "list_studies",
]

__getattr__ = lazy(  # these load SQLAlchemy
    __name__, {"_sql": ("Listed", "SQLStore", "list_studies"), "_url": ("address", "database_url")}
)
