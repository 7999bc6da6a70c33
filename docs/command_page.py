"""The page of every verb and flag: ``python docs/command_page.py`` makes ``docs/use/commands.md`` from the settings classes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.parser import default_of, flags_of, inner_of, own_flags, title_of
from napari_liver_anomaly.cli.program import load_verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_liver_anomaly.cli.verb import Verb
    from napari_liver_anomaly.settings import Option

PAGE = Path(__file__).parent / "use" / "commands.md"
PROGRAMS = ("napari_liver_anomaly.cli", "liver_anomaly_study.cli")
INTRODUCTION = """# Commands

<!-- made by docs/command_page.py from the settings classes of the verbs: change those -->

Every verb with its flags, as `VERB --help` shows them. Exit code 0: done; 1: the program is at fault; 2: wrong usage, a value out of range among it,
before anything was read; 3: the input was refused; 4: a question about the scan, with the flag that answers it; 130: stopped. With 2 and 4
nothing was written, with 3 and 130 neither, unless the line on stderr says so.

`liver-anomaly completion bash` prints a script with which the shell completes verbs, flags and files; `zsh` and `fish` likewise:

```sh
liver-anomaly completion bash > ~/.local/share/bash-completion/completions/liver-anomaly
```
"""


def row(option: Option) -> str:
    """Describe one flag."""
    name = option.name.upper() if option.positional else option.flag
    values = ", ".join(option.choices) or " ".join(filter(None, [option.range, option.unit]))
    return f"| `{name}` | {option.help} | {values} | {default_of(option)} |"


def table(flags: Iterable[Option]) -> str:
    """Make a table of flags."""
    return "\n".join(["| Flag | Meaning | Values | Default |", "|---|---|---|---|", *map(row, flags)])


def section(program: str, name: str, verb: type[Verb]) -> str:
    """Describe one verb."""
    parts = [f"### {program} {name}\n\n{(verb.__doc__ or '').splitlines()[0]}"]
    parts += [table(own_flags(verb))] if own_flags(verb) else []
    parts += [f"{title_of(inner.base)}:\n\n{table(inner.flags)}" for inner in inner_of(verb)]
    renamed = [f"`--{option.was.replace('_', '-')}` is now `{option.flag}`" for option in flags_of(verb) if option.was]
    parts += [f"Former names, which still work: {', '.join(renamed)}."] if renamed else []
    return "\n\n".join(parts)


def made() -> str:
    """Make the page."""
    parts = [INTRODUCTION.strip()]
    for place in PROGRAMS:
        module = import_module(place)
        parts.append(f"## {module.PROGRAM}\n\n{module.ABOUT}")
        parts += [section(module.PROGRAM, name, load_verb(verb)) for name, verb in module.VERBS.items()]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(made(), encoding="utf-8")
