"""Where films go, and which of them may stay; nothing here opens a recording before it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama
    from emotion_llama.analyze.render.film import FilmStyle

FILM = ".mp4"
STILL = ".png"


class FilmPlan(NamedTuple):
    """Films of a run: the folder, `NAME.mp4` a recording and `NAME.png` a still picture, and how they are made."""

    folder: Path
    drawing: bool
    blur_faces: bool

    def path(self, clip: Clip, stem: str) -> Path | None:
        """Where a clip's film goes; `None` for text alone."""
        from emotion_llama.media.picture import open_picture

        if clip.path is None:
            return None
        return self.folder / (stem + (FILM if open_picture(clip.path) is None else STILL))

    def has(self, stem: str) -> bool:
        """Whether there is a finished film of this name that was made as it is asked for now."""
        from emotion_llama.analyze.render.mark import Mark, film_mark

        wanted = Mark(faces="hidden" if self.blur_faces else "shown", drawing=self.drawing)
        return any(film_mark(self.folder / (stem + ending)) == wanted for ending in (FILM, STILL))

    def forget_shown(self, stem: str) -> None:
        """With faces hidden: remove earlier films of this name that show them. Raises `OutputError`."""
        from emotion_llama.analyze.render.film import forget_shown

        for ending in (FILM, STILL) if self.blur_faces else ():
            forget_shown(self.folder / (stem + ending))

    def check(self, stems: Mapping[str, str], clips: Sequence[Clip]) -> None:
        """Raise `UsageError` where a film would take the place of a recording, or the folder is a file."""
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"--render {self.folder}: expected a folder for the films of many clips, found a file")
        recordings = {clip.path.resolve() for clip in clips if clip.path is not None}
        folder = self.folder.resolve()
        for stem in stems.values():
            if {folder / (stem + ending) for ending in (FILM, STILL)} & recordings:
                raise UsageError(
                    f"--render {self.folder}: the film of {stem} would take the place of a recording; choose another "
                    "folder"
                )


def film_style(model: EmotionLlama, *, drawing: bool, blur_faces: bool) -> FilmStyle:
    """How films are made; the model has what finds the faces. Raises `AssetMissingError` if it was not fetched."""
    from emotion_llama.analyze.render.film import FilmStyle

    return FilmStyle(drawing, model.parts.all_faces if blur_faces else None)


def single_target(render: Path, clip: Clip, forget_shown: bool = False) -> Path:
    """The film of a single clip: the file that was named, or its place in the folder that was named.

    `forget_shown` removes an earlier film of that name that shows faces. Raises `UsageError` where it cannot be written
    under this name, `MediaError` for a recording that cannot be read.
    """
    from emotion_llama.analyze.render import film
    from emotion_llama.media.probe import probe

    if clip.path is None:
        raise UsageError(f"--render: {clip.clip} is text alone: there is no recording to draw into")
    media = probe(clip.path)
    if render.is_dir() or not render.suffix:
        render = render / (clip.path.stem + (STILL if media.kind == "image" else FILM))
    film.check_target(render, media)
    if forget_shown:
        film.forget_shown(render)
    return render
