"""Docs drift: every file that a document links to exists, and every command it shows is one that the project has.

Run by `make docs`; prints what is wrong and exits with 1 if anything is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
COMMAND = re.compile(r"^\s*(?:\$ )?(emotion-llama [a-z]+|make [a-z-]+)", re.MULTILINE)
CALL = re.compile(r"(?:emotion-llama|-m emotion_llama) ([a-z]+)")
SETTINGS = re.compile(r"(?<![\w/])configs/[\w/-]+\.(?:yaml|json)")
SHELL = ("", "bash", "sh", "console")
OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+)")


def documents() -> list[Path]:
    """Every Markdown file that git tracks or will track."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def fenced(text: str) -> list[tuple[str, str]]:
    """Give (language, code) of every fenced block; a block that is not closed ends with the document."""
    blocks: list[tuple[str, list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.strip().startswith("```"):
            inside = not inside
            if inside:
                blocks.append((line.strip().removeprefix("```").strip(), []))
        elif inside:
            blocks[-1][1].append(line)
    return [(language, "\n".join(lines) + "\n") for language, lines in blocks]


def broken_links(path: Path) -> list[str]:
    """Links to files that are not there."""
    targets = [
        t for t in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in t and not t.startswith("mailto:")
    ]
    return [f"{path.relative_to(ROOT)}: link to {t}: no such file" for t in targets if not (path.parent / t).exists()]


def unknown_commands(path: Path) -> list[str]:
    """Commands in a document that neither the program nor the Makefile has, and options that no command has."""
    text = path.read_text(encoding="utf-8")
    blocks = "\n".join(code for language, code in fenced(text) if language in SHELL)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wrong = []
    for command in sorted(set(COMMAND.findall(blocks))):
        program, word = command.split()
        known = targets if program == "make" else _subcommands()
        if word not in known:
            wrong.append(f"{path.relative_to(ROOT)}: `{command}`: no such command")
    for line in blocks.replace("\\\n", " ").splitlines():
        wrong += [f"{path.relative_to(ROOT)}: {fault}" for fault in _wrong_words(line)]
    return wrong


def _wrong_words(line: str) -> list[str]:
    """What is wrong in a line that calls the program: a command of a group, options, a settings file."""
    wrong = [f"{name}: no such file" for name in SETTINGS.findall(line) if not (ROOT / name).is_file()]
    match = CALL.search(line)
    if match is None or match[1] not in _subcommands():
        return wrong
    command, inner = match[1], _subcommands(match[1])
    if inner:
        word = (line[match.end() :].split("#")[0].split() or ["--help"])[0]
        word = "run" if "run" in inner and SETTINGS.fullmatch(word) else word  # `build CONFIG` is `build run CONFIG`
        if not word.startswith("-") and word not in inner:
            return [*wrong, f"`emotion-llama {command} {word}`: no such command"]
        command = command if word.startswith("-") else f"{command} {word}"
    known = OPTION.findall(_help(command))
    given = OPTION.findall(line[match.end() :].split(" #")[0])
    return wrong + [f"`emotion-llama {command}` has no option {option}" for option in given if option not in known]


def bad_python(path: Path) -> list[str]:
    """Python blocks that do not compile."""
    wrong = []
    for language, block in fenced(path.read_text(encoding="utf-8")):
        if language != "python":
            continue
        try:
            compile(block, str(path), "exec")
        except SyntaxError as error:
            wrong.append(f"{path.relative_to(ROOT)}: a Python block does not compile: {error}")
    return wrong


_helps: dict[str, str] = {}


def _help(command: str) -> str:
    if command not in _helps:
        done = subprocess.run(
            [sys.executable, "-m", "emotion_llama", *command.split(), "--help"],
            capture_output=True, text=True, check=False,
            # this tree's commands, whatever else is installed
            env={"COLUMNS": "200", "PATH": "/usr/bin:/bin", "NO_COLOR": "1", "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        _helps[command] = done.stdout
    return _helps[command]


def _subcommands(group: str = "") -> set[str]:
    """Commands of the program or of a group; nothing for a command that is no group."""
    _, heading, listed = _help(group).partition("Commands:")
    found = set(re.findall(r"^[\s│]+([a-z][a-z-]*)\s{2,}", listed, re.MULTILINE))
    return found | {"--help", "--version"} if heading else found


def main() -> int:
    """Check every document."""
    wrong = [w for path in documents() for check in (broken_links, unknown_commands, bad_python) for w in check(path)]
    print("\n".join(wrong) if wrong else "documents agree with the code")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
