"""The whole series: runs, experiments, studies, and one page that goes through it claim by claim.

For each subject (a dataset) a run is made, or the one that lies there already is taken as it is; then every
experiment is made on it and every study trained. After each step the page is written anew, so that an
interrupted series leaves what it has; the same command goes on.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentshape.config import make_config
from latentshape.errors import InputError
from latentshape.experiments import EXPERIMENTS, STUDIES, run_series, run_study
from latentshape.experiments.bench import Bench
from latentshape.experiments.claims import (
    CLAIMS,
    STATUSES,
    UNMEASURED,
    Claim,
    Evidence,
    Found,
    judge,
)
from latentshape.experiments.subjects import SUBJECTS, absent, check_subjects
from latentshape.files import atomic_path, write_json
from latentshape.pipeline import run_all
from latentshape.progress import say
from latentshape.runs import RunFolder, read_record

__all__ = ["POSTS", "series_markdown", "series_record", "the_series", "write_series"]

#: Titles of the posts, as the page's headings.
POSTS = {
    "II": "Number distributions of the components",
    "III": "Correlations of the components",
    "IV": "The surroundings of the origin",
    "V": "Pictures from cubes around the origin",
    "VI": "Pictures along paths",
    "VII": "Pictures from intervals per component",
    "VIII": "A multivariate normal distribution, and ellipses",
    "IX": "Principal components",
    "X": "A generator from pairwise ellipses",
    "CAE-I": "Multivariate normal distributions that nobody enforced",
    "here": "Found here, and put to the same test",
}
CREDIT = (
    "The experiments and their claims are Ralph Mönchmeyer's: “Autoencoders and latent space "
    "fragmentation” (linux-blog.anracom.com, 2023; posts I to X) and “Latent space distribution "
    "of a CAE for face "
    "images” (machine-learning.anracom.com, 2024; CAE-I). They are told here in our words; numbers of the "
    "series are his."
)
SITES = ("https://linux-blog.anracom.com", "https://machine-learning.anracom.com")
#: Of the run of each subject, beside its preset's: weights kept on the way, for the experiment layers.
SNAPSHOTS = (1, 2, 4, 8)
#: Of a quick look, in place of the preset's.
QUICK: dict[str, Any] = {"epochs": 8, "n": 300, "draws": 3}
QUICK_FACES = "faces:n=6000"

Record = dict[str, Any]


def the_series(
    out: Path,
    subjects: Sequence[str] = (),
    *,
    quick: bool = False,
    jobs: int = 1,
    others: str | None = None,
) -> Path:
    """Reproduce the series and write ``series.json``, ``series.html`` and ``series.md``.

    Args:
        out: Of the runs (``out/<subject>``), the studies and the page; a quick look goes to ``out/quick``.
        subjects: From `SUBJECTS`; none for all whose images are there (a quick look: procedural faces).
        quick: As little as gives a complete page.
        jobs: Trainings of studies side by side.
        others: SPEC of photographs of other people than celebrities.

    Returns:
        The page.

    Raises:
        InputError: A subject is unknown, or the images of none are there.
    """
    wanted = ["faces"] if quick and not subjects else check_subjects(subjects)
    place = out / "quick" if quick else out
    missing: dict[str, str] = {}
    runs: dict[str, RunFolder] = {}
    refused: dict[str, dict[str, str]] = {}

    def page(unfinished: bool = True) -> None:
        write_series(series_record(place, runs, missing, quick, refused, unfinished), place)

    for subject in wanted:
        why = absent(SUBJECTS[subject].get("data", "faces"))
        if why:
            say(f"{subject} is not measured: {why}")
            missing[subject] = why
            continue
        say(f"== {subject}: the run")
        runs[subject] = _run(subject, place / subject, quick)
        page()
        bench = Bench(runs[subject], quick)
        for name in EXPERIMENTS:
            try:
                run_series(runs[subject], [name], quick=quick, bench=bench)
            except InputError as refusal:  # such as attributes where there are none
                say(f"{name} is not measured: {refusal}")
                refused.setdefault(subject, {})[name] = str(refusal)
            page()
    if not runs:
        raise InputError("None of the subjects could be measured: " + " ".join(missing.values()))
    for name in STUDIES:
        say(f"== {name}")
        try:
            run_study(name, out, _subjects_of(name, runs), quick=quick, jobs=jobs, others=others)
        except InputError as refusal:  # a study of other subjects than those here
            say(f"{name} is not measured: {refusal}")
            for subject in runs:
                refused.setdefault(subject, {})[name] = str(refusal)
        page()
    page(unfinished=False)
    return place / "series.html"


def _subjects_of(study: str, runs: Mapping[str, RunFolder]) -> list[str]:
    """The subjects of a study; that of datasets also asks for other people than celebrities."""
    if study != "datasets":
        return list(runs)
    return [*runs, "others", *(["mixed"] if "celeba" in runs else [])]


def _run(subject: str, path: Path, quick: bool) -> RunFolder:
    """The run of a subject: the one that is there as it is, or a new one by its preset."""
    if (path / "config.json").exists():
        config = RunFolder.open(path).config()
    else:
        options = {k: v for k, v in SUBJECTS[subject].items() if k != "epochs"}
        if quick:
            options |= QUICK | ({"data": QUICK_FACES} if subject == "faces" else {})
        epochs = make_config(**options).training.epochs
        kept = tuple(epoch for epoch in SNAPSHOTS if epoch < epochs)
        config = make_config(**options, snapshots=kept)
    return run_all(config, path)


def series_record(
    place: Path,
    runs: Mapping[str, RunFolder],
    missing: Mapping[str, str],
    quick: bool = False,
    refused: Mapping[str, Mapping[str, str]] | None = None,
    unfinished: bool = False,
) -> Record:
    """What ``series.json`` holds: every claim with its answer for each subject, and every question's.

    Args:
        place: Where the records of studies lie.
        runs: By subject.
        missing: Why other subjects were not measured.
        quick: Whether it was a quick look.
        refused: Why experiments and studies could not be made, by subject and name.
        unfinished: More is to come: what an earlier version left is not measured yet, and no error.

    Raises:
        InputError: A record is damaged, or of another version.
    """
    from latentshape import __version__

    refused = refused or {}
    studies = {}
    for name in STUDIES:
        path = place / f"{name}.json"
        if path.exists():
            studies[name] = read_record(path, "question")
    evidence = {
        subject: Evidence.of(
            run,
            {
                name: record["subjects"][subject]
                for name, record in studies.items()
                if isinstance(record.get("subjects", {}).get(subject), dict)
                and "rows" in record["subjects"][subject]
            },
            {
                name: record["not_measured"][subject]
                for name, record in studies.items()
                if subject in record.get("not_measured", {})
            }
            | dict(refused.get(subject, {})),
        )
        for subject, run in runs.items()
    }
    claims = []
    for claim in CLAIMS:
        found = {subject: _judged(claim, known, unfinished) for subject, known in evidence.items()}
        claims.append({
            "id": claim.id, "post": claim.post, "claim": claim.claim, "said": claim.said,
            "status": {subject: one.status for subject, one in found.items()},
            "why": {subject: one.why for subject, one in found.items()},
            "numbers": {subject: dict(one.numbers) for subject, one in found.items()},
        })  # fmt: skip
    return {
        "credit": CREDIT,
        "sites": list(SITES),
        "made": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "latentshape": __version__,
        "quick": quick,
        "subjects": {subject: _facts(run) for subject, run in runs.items()},
        "not_measured": dict(missing),
        "refused": {subject: dict(reasons) for subject, reasons in refused.items()},
        "claims": claims,
        "questions": [
            {"name": name, "question": record["question"], "answer": record.get("answer", {}),
             "not_measured": record.get("not_measured", {})}
            for name, record in studies.items()
        ],
        "experiments": {
            name: {subject: known.experiments[name]["question"] for subject, known in evidence.items()
                   if name in known.experiments}
            for name in EXPERIMENTS
        },
    }  # fmt: skip


def _judged(claim: Claim, known: Evidence, unfinished: bool) -> Found:
    try:
        return judge(claim, known)
    except InputError as damaged:
        if not unfinished:
            raise
        return Found(UNMEASURED, str(damaged))


def _facts(run: RunFolder) -> Record:
    """What a reader must know of a run: data, network, training, judging, time."""
    config, stages = run.config(), run.stages()
    data = read_record(run.dataset_path) if run.dataset_path.exists() else {}
    return {
        "images": data.get("splits", {}),
        "size": config.data.size,
        "latent_dim": config.model.latent_dim,
        "epochs": config.training.epochs,
        "seed": config.training.seed,
        "n": config.evaluation.n,
        "draws": config.evaluation.draws,
        "seconds": {name: round(entry["seconds"], 1) for name, entry in stages.items()},
    }


def write_series(record: Record, place: Path) -> None:
    """``series.json``, ``series.html``, ``series.md``."""
    from latentshape.report import embed, write_page

    write_json(place / "series.json", record)
    with atomic_path(place / "series.md") as temporary:
        temporary.write_text(series_markdown(record), encoding="utf-8")
    pictures = {
        question["name"]: {
            subject: embed(path)
            for subject in question["answer"]
            for path in [
                place / question["name"] / _folder(question["name"], subject) / "sweep.png"
            ]
            if path.exists()
        }
        for question in record["questions"]
    }
    strips = {
        name: {
            subject: embed(path)
            for subject in of
            for path in [_picture(place / subject, name, record["quick"])]
            if path.exists()
        }
        for name, of in record["experiments"].items()
    }
    write_page(
        "series.html",
        place / "series.html",
        {
            "record": record, "posts": POSTS, "by_post": _by_post(record), "counts": _counts(record),
            "pictures": pictures, "strips": strips, "statuses": STATUSES, "refusals": _refusals(record),
        },
    )  # fmt: skip


def _folder(study: str, subject: str) -> str:
    return "" if study == "datasets" else subject


def _picture(run: Path, name: str, quick: bool) -> Path:
    folder = RunFolder(run).series_path
    return (folder / "quick" if quick else folder) / f"{name}.png"


def _refusals(record: Record) -> list[str]:
    """What could not be made, and why: each reason once, with those whom it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for subject, reasons in record["refused"].items():
        for name, why in reasons.items():
            about.setdefault((name, why), []).append(subject)
    return [
        f"{name} is not measured ({', '.join(subjects)}): {why}"
        for (name, why), subjects in about.items()
    ]


def _by_post(record: Record) -> dict[str, list[Record]]:
    """Claims by the first post that made them, in the order of the posts."""
    found: dict[str, list[Record]] = {post: [] for post in POSTS}
    for claim in record["claims"]:
        found[claim["post"].split(",")[0]].append(claim)
    return {post: claims for post, claims in found.items() if claims}


def _counts(record: Record) -> dict[str, dict[str, int]]:
    """How many claims of each status, by subject."""
    return {
        subject: {
            status: sum(claim["status"][subject] == status for claim in record["claims"])
            for status in STATUSES
        }
        for subject in record["subjects"]
    }


def series_markdown(record: Record) -> str:
    """The page as Markdown, numbers and words only, for the documents."""
    subjects = list(record["subjects"])
    lines = [record["credit"], ""]
    for subject, facts in record["subjects"].items():
        images = ", ".join(f"{count:,} {split}" for split, count in facts["images"].items())
        lines.append(
            f"- **{subject}**: {images} images of {facts['size']} px, codes of dimension "
            f"{facts['latent_dim']}, {facts['epochs']} epochs, seed {facts['seed']}; n = {facts['n']} "
            f"pictures a row, {facts['draws']} draws."
        )
    lines += [f"- **{name}**: not measured. {why}" for name, why in record["not_measured"].items()]
    lines += [
        "",
        "| claims that | " + " | ".join(subjects) + " |",
        "|---" * (1 + len(subjects)) + "|",
    ]
    counts = _counts(record)
    lines += [
        "| "
        f"{status if status == 'not measured' else status.replace('does', 'do').replace('holds', 'hold')} | "
        + " | ".join(str(counts[subject][status]) for subject in subjects) + " |"
        for status in STATUSES
    ]  # fmt: skip
    for post, claims in _by_post(record).items():
        heading = POSTS[post] if post == "here" else f"Post {post}: {POSTS[post]}"
        lines += ["", f"## {heading}", ""]
        for claim in claims:
            lines += [f"**{claim['claim']}** ({claim['said'].rstrip('.')})", ""]
            # What mathematics decides is the same for all.
            reasons = {(claim["status"][s], claim["why"][s]) for s in subjects}
            named = (
                {"all": subjects[0]}
                if len(reasons) == 1 and len(subjects) > 1
                else {s: s for s in subjects}
            )
            lines += [
                f"- {name}: *{claim['status'][s]}*. {claim['why'][s]}" for name, s in named.items()
            ] + [""]
    lines += ["", "## The questions", ""]
    made = {question["name"] for question in record["questions"]}
    others = [name for name in STUDIES if name not in made]
    if others:
        lines += [f"Not made yet: `latentshape series {' '.join(others)}`.", ""]
    for question in record["questions"]:
        lines += [f"**{question['question']}** (`latentshape series {question['name']}`)", ""]
        for subject, sentences in question["answer"].items():
            lines += [f"- {subject}: {' '.join(s[0].upper() + s[1:] for s in sentences)}"]
        lines += [
            f"- {name}: not measured. {why}" for name, why in question["not_measured"].items()
        ]
        lines.append("")
    lines += [f"- {sentence}" for sentence in _refusals(record)]
    return "\n".join(lines).rstrip() + "\n"
