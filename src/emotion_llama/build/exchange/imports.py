"""The formats of others → a data set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from emotion_llama.build.entry import ENTRIES, REJECTED, Entry, Rejected, Source, StepMark, write_lines
from emotion_llama.build.exchange.exports import check_kind
from emotion_llama.build.exchange.import_mer_csv import import_mer_csv
from emotion_llama.build.exchange.import_merr import import_merr
from emotion_llama.build.exchange.import_ncev import import_ncev
from emotion_llama.build.exchange.import_openface import import_openface
from emotion_llama.build.exchange.import_readers import (
    import_crema_d,
    import_dfew,
    import_emer,
    import_emodb,
    import_meld,
    import_ravdess,
)
from emotion_llama.build.exchange.options import ImportOptions, ImportReport
from emotion_llama.build.exchange.source import STEP, Imported, ImportSource, rejected
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.labels import is_known
from emotion_llama.output import new_files

IMPORTS: dict[str, Callable[[ImportSource], Imported]] = {
    "merr": import_merr,
    "ncev": import_ncev,
    "emer": import_emer,
    "mer-csv": import_mer_csv,
    "dfew": import_dfew,
    "meld": import_meld,
    "ravdess": import_ravdess,
    "crema-d": import_crema_d,
    "emodb": import_emodb,
    "openface": import_openface,
}
"""Name of a format → the function that reads it."""

LICENCES = {"ravdess": "CC BY-NC-SA 4.0", "crema-d": "ODbL 1.0, contents DbCL 1.0", "meld": "GPL-3.0"}
"""What the owners of these data sets say; the licence of the others is not known from their files."""

VERSION = "1"


def import_dataset(kind: str, source: Path, out: Path, *, options: ImportOptions | None = None) -> ImportReport:
    """Read files of one of `IMPORTS` and write them as a data set into the folder `out`, whole or not at all.

    An emotion that no label table knows is kept as it is and named in the report. Raises `UsageError` for an unknown
    format or an `out` that is a data set already, `ManifestError` for files that are not of this format, `OutputError`
    if the data set cannot be written.
    """
    check_kind(kind, IMPORTS, "--from")
    if (out / ENTRIES).exists() or (out / REJECTED).exists():
        raise UsageError(f"--out {out}: this folder is a data set already; give another one")
    if not source.exists():
        raise ManifestError(f"{source}: expected a file or folder to import as {kind}, found nothing; check the path")
    found = _Found(kind, ImportSource(source, options or ImportOptions()))
    with new_files((out / ENTRIES, out / REJECTED), overwrite=False) as folder:
        entries = write_lines(found.entries(), folder / ENTRIES)
        if not entries:
            why = f"; the first, {found.rejected[0].clip!r}: {found.rejected[0].reason}" if found.rejected else ""
            raise ManifestError(f"{source}: no clip could be read as {kind}{why}")
        write_lines(found.rejected, folder / REJECTED)
    return ImportReport(
        kind=kind,
        out=out,
        entries=entries,
        rejected=len(found.rejected),
        emotions=dict(found.emotions.most_common()),
        unknown_emotions=tuple(word for word in found.emotions if not is_known(word)),
        notes=tuple(found.source.notes),
    )


class _Found:
    """What a format's function gives, sorted into entries and rejections while it is written."""

    def __init__(self, kind: str, source: ImportSource) -> None:
        self.kind, self.source = kind, source
        self.rejected: list[Rejected] = []
        self.emotions: Counter[str] = Counter()

    def entries(self) -> Iterator[Entry]:
        """Give the entries one by one; a clip that comes twice is rejected the second time."""
        seen: set[str] = set()
        options = self.source.options
        origin = Source(licence=options.licence or LICENCES.get(self.kind), consent=options.consent)
        mark = StepMark(step=STEP, version=f"{self.kind}-{VERSION}", settings_sha256=_digest(options))
        for one in IMPORTS[self.kind](self.source):
            if isinstance(one, Rejected):
                self.rejected.append(one)
            elif one.name in seen:
                self.rejected.append(rejected(one.name, "another clip of this name stands before it"))
            else:
                seen.add(one.name)
                if one.clip.emotion is not None:
                    self.emotions[one.clip.emotion] += 1
                yield one.model_copy(update={"source": origin, "steps": (mark,)})


def _digest(options: ImportOptions) -> str:
    settings = options.model_dump(
        mode="json", exclude={"media"}
    )  # where a folder lies says nothing about what is in it
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
