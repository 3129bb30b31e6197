"""What the reference pages say, from the program itself.

    python docs/reference.py

writes docs/cli.md from the parsers of the command line; `tests/test_docs.py` fails when it is stale. Names in
Python are filled in while the site is built (`fill_in`), so a new public name needs no line here.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import latentshape
from latentshape.cli import _parser
from latentshape.config import field_sections
from latentshape.samplers import SAMPLERS, sampler_class

HERE = Path(__file__).parent
HEAD = """# The command line

Written by `python docs/reference.py` from the program's own help; `latentshape COMMAND --help` says the
same. Defaults stand in square brackets. A mistake that you can mend ends in one sentence and exit code 2;
Ctrl-C in exit code 130, and the same command then goes on where it stopped. What to use when:
[the guide](guide.md).

| command | what it does |
|---|---|
"""
CONFIG = """## Options of the config

`run`, `train` and `sweep` take every field of a run's config. A preset goes before the defaults shown here,
and what you type goes before the preset.
"""

#: Under which heading of docs/api.md a public name stands, by the first word of the module it lives in.
GROUPS = {
    "Data and runs": ("config", "data", "pipeline", "runs"),
    "Models and their codes": ("adapters", "adopting", "codes", "decoding", "models"),
    "The shape of codes": ("analysis", "shape"),
    "New codes": ("samplers",),
    "Pictures": ("images",),
    "For others": ("sharing",),
    "Mistakes": ("errors",),
}


def cli_page() -> str:
    """The page on the command line, as Markdown."""
    verbs = list(_verbs(_parser()))
    parts = [HEAD]
    for name, about, _ in verbs:
        parts.append(f"| [`{name}`](#latentshape-{name.replace(' ', '-')}) | {about} |\n")
    for name, about, parser in verbs:
        parts.append(f"\n## latentshape {name}\n\n{about[0].upper()}{about[1:]}.\n\n")
        parts.append(f"```text\nlatentshape {name} {_synopsis(parser)}\n```\n")
        config = [action for _, actions in _config_groups(parser) for action in actions]
        parts.append(_table([action for action in parser._actions if action not in config]))
        if config:
            parts.append("\nAnd all [options of the config](#options-of-the-config).\n")
    train = next(parser for name, _, parser in verbs if name == "train")
    parts.append("\n" + CONFIG)
    parts += [f"\n### {title}\n{_table(actions)}" for title, actions in _config_groups(train)]
    return "".join(parts)


def _verbs(
    parser: argparse.ArgumentParser, before: str = ""
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Every command with its one line and its parser; commands of a command in its place."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            about = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, sub in action.choices.items():
                inner = list(_verbs(sub, f"{before}{name} "))
                yield from inner or [(f"{before}{name}", about[name], sub)]


def _config_groups(parser: argparse.ArgumentParser) -> list[tuple[str, list[argparse.Action]]]:
    """Sections of the config that a command takes, with their flags."""
    sections = {section for section, _ in field_sections().values()}
    groups = [(str(group.title), group._group_actions) for group in parser._action_groups]
    return [(title, actions) for title, actions in groups if title in sections]


def _synopsis(parser: argparse.ArgumentParser) -> str:
    words = []
    for action in parser._actions:
        if not action.option_strings:
            name = str(action.metavar or action.dest)
            words.append({"*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name))
        elif action.required:
            words.append(f"{action.option_strings[0]} {action.metavar or action.dest.upper()}")
    return " ".join([*words, "[options]"])


def _table(actions: list[argparse.Action]) -> str:
    shown = [action for action in actions if action.dest != "help"]
    if not shown:
        return ""
    rows = [f"| {_flags(action)} | {_cell((action.help or '').strip())} |\n" for action in shown]
    return "\n| argument | meaning [default] |\n|---|---|\n" + "".join(rows)


def _flags(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_cell(str(action.metavar or action.dest))}`"
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    if action.choices is not None:
        value = "|".join(map(str, action.choices))
    return ", ".join(f"`{_cell(f'{flag} {value}'.strip())}`" for flag in action.option_strings)


def _cell(text: str) -> str:
    """Text in a table: bars are escaped, and stars and brackets mean themselves."""
    return re.sub(r"([|*<>])", r"\\\1", text) if "|" in text or "*" in text else text


def public_names() -> str:
    """Every name of ``latentshape.__all__`` under its heading, for autodoc."""
    headings: dict[str, list[str]] = {heading: [] for heading in (*GROUPS, "More")}
    for name in latentshape.__all__:
        headings[heading_of(name)].append(name)
    parts = []
    for heading, names in headings.items():
        if names:
            parts += [f"## {heading}", "", "```{eval-rst}", *map(_directive, names), "```", ""]
    return "\n".join(parts)


def heading_of(name: str) -> str:
    """Under which heading a public name stands."""
    home = latentshape._HOMES[name].split(".")[0]
    return next((heading for heading, homes in GROUPS.items() if home in homes), "More")


def _directive(name: str) -> str:
    value = getattr(latentshape, name)
    if inspect.isclass(value):
        members = "" if issubclass(value, Exception) else "   :members:\n"
        return f".. autoclass:: latentshape.{name}\n{members}"
    if callable(value):
        return f".. autofunction:: latentshape.{name}\n"
    return f".. autodata:: latentshape.{latentshape._HOMES[name]}.{name}\n   :no-value:\n"


def samplers() -> str:
    """A table of the registry, and the class behind every name."""
    rows = ["| name | law | density |", "|---|---|---|"]
    classes = ["```{eval-rst}"]
    for name in SAMPLERS:
        cls = sampler_class(name)
        where = f"{cls.__module__}.{cls.__qualname__}"
        rows.append(
            f"| {{py:class}}`{name} <{where}>` | {cls.description} | {'yes' if cls.has_density else ''} |"
        )
        classes += [f".. autoclass:: {where}", ""]
    return "\n".join([*rows, "", "## The classes", "", *classes, "```", ""])


#: Marks in pages, and what takes their place while the site is built.
FILLED = {"<!-- public names -->": public_names, "<!-- samplers -->": samplers}


def fill_in(app: object, docname: str, source: list[str]) -> None:
    """Put the names that there are in the place of a page's marks."""
    for mark, text in FILLED.items():
        if mark in source[0]:
            source[0] = source[0].replace(mark, text())


if __name__ == "__main__":
    (HERE / "cli.md").write_text(cli_page(), encoding="utf-8")
