"""Datasets, their versions and files, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select

from mellea_jupyter.exceptions import DatasetNotFound
from mellea_jupyter.models.datasets import Dataset, DatasetFile, DatasetPage, DatasetVersion
from mellea_jupyter.stores.runs import sqlite as dialect
from mellea_jupyter.stores.runs.rows import to_ms
from mellea_jupyter.stores.runs.sql_part import SqlPart, upsert_by_origin
from mellea_jupyter.stores.runs.tables import dataset_files, dataset_versions, datasets


class SqlDatasets(SqlPart):
    """What runs are given."""

    def upsert_dataset(
        self, dataset: Dataset, origin: str, files: Sequence[DatasetFile],
        *, keep: Collection[str] = (),
    ) -> Dataset:  # fmt: skip
        latest = dataset.latest
        with self._writing() as connection:
            dataset = upsert_by_origin(connection, datasets, dataset, origin, keep)
            version = {
                "dataset_id": dataset.id,
                "version": latest.version,
                "created_ms": to_ms(latest.created_at),
                "doc": latest.model_dump_json(),
            }
            connection.execute(dialect.upsert(dataset_versions), version)
            if files:
                rows = [{"version": latest.version, **dict(file)} for file in files]
                connection.execute(dialect.upsert(dataset_files), rows)
        return dataset

    def get_dataset(self, dataset_id: str) -> Dataset:
        with self._reading() as connection:
            doc = connection.scalar(select(datasets.c.doc).where(datasets.c.id == dataset_id))
        if doc is None:
            raise DatasetNotFound(dataset_id)
        return Dataset.model_validate_json(doc)

    def list_datasets(
        self, *, visible_to: str | None, limit: int, cursor: str | None
    ) -> DatasetPage:
        own = None if visible_to is None else datasets.c.owner_id == visible_to
        docs, following = self._newest(datasets, visible=own, limit=limit, cursor=cursor)
        return DatasetPage(datasets=tuple(map(Dataset.model_validate_json, docs)), next=following)

    def list_dataset_versions(self, dataset_id: str) -> list[DatasetVersion]:
        versions = dataset_versions.c
        query = select(versions.doc).where(versions.dataset_id == dataset_id)
        query = query.order_by(versions.created_ms.desc(), versions.version)
        with self._reading() as connection:
            return [DatasetVersion.model_validate_json(doc) for doc in connection.scalars(query)]

    def dataset_files(self, version: str) -> list[DatasetFile]:
        columns = (dataset_files.c.path, dataset_files.c.checksum, dataset_files.c.size_bytes)
        query = select(*columns).where(dataset_files.c.version == version)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(dataset_files.c.path)).all()
        return [DatasetFile.model_validate(row._asdict()) for row in rows]

    def is_dataset_checksum_known(self, checksum: str) -> bool:
        query = select(dataset_files.c.version).where(dataset_files.c.checksum == checksum)
        with self._reading() as connection:
            return connection.scalar(query.limit(1)) is not None

    def delete_dataset(self, dataset_id: str) -> None:
        versions = dataset_versions.c
        of_it = select(versions.version).where(versions.dataset_id == dataset_id)
        of_others = select(versions.version).where(versions.dataset_id != dataset_id)
        only_its = dataset_files.c.version.in_(of_it) & dataset_files.c.version.not_in(of_others)
        with self._writing() as connection:
            connection.execute(delete(dataset_files).where(only_its))
            if not connection.execute(delete(datasets).where(datasets.c.id == dataset_id)).rowcount:
                raise DatasetNotFound(dataset_id)
