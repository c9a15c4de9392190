"""A plan on the terminal: the resolved whole, grouped, its hash last."""

from collections.abc import Iterable
from heapq import nlargest

from runpod_deploy.cli import plan_rows
from runpod_deploy.cli.amounts import count, limit, size
from runpod_deploy.cli.layout import INDENT, Row, flow, labelled, section, table
from runpod_deploy.cli.plan_rows import secret_source, upload_place, with_names
from runpod_deploy.cli.printable import block, line
from runpod_deploy.cli.style import Style
from runpod_deploy.compiler.payload_files import LARGEST, sums_of
from runpod_deploy.compiler.plan import PlanFile, Script

MOST_CANDIDATES = 30
_PREFERRED = {
    "gpu": "each GPU in every place, then the next GPU",
    "datacenter": "each datacenter with every GPU, then the next datacenter",
    "price": "the cheapest first, by the prices at apply",
}


def render_plan(plan_file: PlanFile, style: Style, *, width: int, scripts: bool = False) -> str:
    """Return the whole plan as text, without a line break at its end.

    Args:
        width: Columns to fill; only words that are longer run over.
        scripts: Show the scripts in full and not only their size and digest.
    """
    plan = plan_file.plan
    view = _View(plan_file, style, width)
    groups = [
        [f"{style.bold(line(plan.job.name))}  {style.dim(line(plan.job.file))}", ""],
        view.rows("Variables", "", plan_rows.variables(plan)) if plan.job.variables else [],
        view.candidates(),
        view.rows(
            "Pod", "", [*plan_rows.pod(plan, plan_file.observed.image), *plan_rows.storage(plan)]
        ),
        view.rows("Money and time", "", plan_rows.money(plan)),
        view.estimate(),
        view.payload(),
        view.secrets(),
        view.script_text() if scripts else view.script_table(),
        view.rows("Run", "", plan_rows.run(plan)),
        view.artifacts(),
        view.rows("Afterwards", "", [*plan_rows.ending(plan), plan_rows.telemetry(plan)]),
        view.steps(),
        view.identity(),
    ]
    return "\n".join(one for group in groups for one in group)


class _View:
    """The sections that are not plain rows."""

    def __init__(self, plan_file: PlanFile, style: Style, width: int) -> None:
        self.plan_file = plan_file
        self.plan = plan_file.plan
        self.style = style
        self.width = width

    def rows(self, title: str, note: str, rows: Iterable[Row]) -> list[str]:
        return section(title, note, labelled(rows, self.style, self.width), self.style)

    def candidates(self) -> list[str]:
        all_of_them = self.plan.candidates
        cpu = self.plan.pod.cpu is not None
        order = "one place after the other" if cpu else _PREFERRED[self.plan.pod.prefer]
        seen, title = self.plan_file.observed.catalog, f"Candidates ({len(all_of_them)})"
        if seen is not None:
            from runpod_deploy.cli import catalog_views, market_words  # noqa: PLC0415 - only for prices

            told = f"{INDENT}{market_words.then(seen, self.plan_file.observed.compiled_at)}"
            rows = catalog_views.candidate_table(self.plan, seen, self.style, most=MOST_CANDIDATES)
            return section(title, order, [*rows, self.style.dim(told)], self.style)
        shown = [
            [f"{number}", one.gpu, _place(one.datacenter), one.cloud]
            for number, one in enumerate(all_of_them[:MOST_CANDIDATES], 1)
        ]
        body = table(shown, self.style, right="r")
        if len(all_of_them) > MOST_CANDIDATES:
            body.append(f"{INDENT}… and {len(all_of_them) - MOST_CANDIDATES} more")
        body.append(self.style.dim(f"{INDENT}prices and stock not looked up: --live asks for them"))
        return section(title, order, body, self.style)

    def estimate(self) -> list[str]:
        seen, made = self.plan_file.observed.catalog, self.plan_file.observed.estimate
        if seen is None or made is None:
            return []
        from runpod_deploy.cli.market_words import estimate_rows  # noqa: PLC0415 - only for prices

        return self.rows("Estimate", "", estimate_rows(self.plan, seen, made))

    def payload(self) -> list[str]:
        staging = self.plan.staging
        if not staging:
            return []
        body = table(
            [
                [
                    one.label,
                    f"{one.source} → {with_names(one.destination)}",
                    count(one.files, "file"),
                    size(one.bytes),
                    one.tree_sha256.removeprefix("sha256:")[:12],
                ]
                for one in staging
            ],
            self.style,
            right="..rr",
        )
        body += self._largest()
        for one in staging:
            if one.excludes:
                first = f"left out of {one.label}: {one.excludes[0]}"
                rules = flow([first, *one.excludes[1:]], self.width - len(INDENT), "  ")
                body += [self.style.dim(f"{INDENT}{rule}") for rule in rules]
        files, total = sum(one.files for one in staging), sum(one.bytes for one in staging)
        note = f"{count(files, 'file')}, {size(total)}"
        return section("Payload", note, body, self.style)

    def _largest(self) -> list[str]:
        payload = self.plan_file.payload
        sums = {label: sums_of(entries) for label, entries in payload.items()}
        files = sum(len(payload[label]) - one.links for label, one in sums.items())
        if files < 2:
            return []
        several = len(payload) > 1
        every = [
            (bytes_, path or "(the file itself)", label)
            for label, one in sums.items()
            for bytes_, path in one.largest
        ]
        rows = [
            [size(bytes_), f"{label}: {path}" if several else path]
            for bytes_, path, label in nlargest(LARGEST, every, key=lambda one: one[0])
        ]
        rest = f" of {files:,}" if files > LARGEST else ""
        head = self.style.dim(f"{INDENT}the largest {len(rows)}{rest}:")
        return [head, *table(rows, self.style, right="r")]

    def secrets(self) -> list[str]:
        if not self.plan.secrets:
            return []
        body = table(
            [
                [
                    one.name,
                    secret_source(one),
                    f"→ {with_names(one.destination)}",
                    one.mode,
                    "" if one.export else "not exported",
                ]
                for one in self.plan.secrets
            ],
            self.style,
        )
        return section("Secrets", "references; values are read at apply", body, self.style)

    def script_table(self) -> list[str]:
        body = table(
            [
                [
                    one.name,
                    f"{_lines(one.text):,}",
                    f"{len(one.text.encode()):,}",
                    one.sha256[:12],
                    "" if one.timeout_sec is None else f"≤ {limit(one.timeout_sec)}",
                ]
                for one in self.plan.scripts
            ],
            self.style,
            head=["name", "lines", "bytes", "sha256", ""],
            right=".rr",
        )
        return section("Scripts", "in full with --scripts", body, self.style)

    def script_text(self) -> list[str]:
        return [text for script in self.plan.scripts for text in self._script(script)]

    def _script(self, script: Script) -> list[str]:
        note = f"{script.path}  {script.mode}  sha256 {script.sha256}"
        bar = self.style.dim("│")
        body = [f"{bar} {one}".rstrip() for one in block(script.text.rstrip("\n")).split("\n")]
        return section(f"Script {line(script.name)}", with_names(note), body, self.style)

    def artifacts(self) -> list[str]:
        if not self.plan.artifacts:
            return section("Artifacts", "none: nothing comes back but the log", [], self.style)
        body = table(
            [
                [
                    one.label,
                    with_names(one.remote_path),
                    f"→ {with_names(one.local_path)}",
                    "" if one.required else "optional",
                    "" if one.every_minutes is None else f"every {one.every_minutes:g} min",
                    "" if one.upload is None else f"and {upload_place(one.upload)}",
                ]
                for one in self.plan.artifacts
            ],
            self.style,
        )
        return section("Artifacts", "checked by sha256 before the pod goes", body, self.style)

    def steps(self) -> list[str]:
        texts = [
            one.name if one.timeout_sec is None else f"{one.name} ≤ {limit(one.timeout_sec)}"
            for one in self.plan.steps
        ]
        lines = flow(texts, self.width - len(INDENT))
        return section("Steps", "", [f"{INDENT}{one}" for one in lines], self.style)

    def identity(self) -> list[str]:
        seen = self.plan_file.observed
        rows = []
        if seen.git is not None and seen.git.sha:
            branch = f" on {seen.git.branch}" if seen.git.branch else ""
            state = ", with changes that are not committed" if seen.git.dirty else ""
            rows.append(Row(label="commit", text=f"{seen.git.sha[:12]}{branch}{state}"))
        if seen.lockfile is not None:
            text = f"{seen.lockfile.name}  sha256 {seen.lockfile.sha256[:12]}"
            rows.append(Row(label="lock file", text=text))
        source = self.rows("Source", "seen while planning; not part of the hash", rows)
        hash_line = f"{self.style.bold('Plan')} {self.style.accent(line(self.plan_file.plan_hash))}"
        return [*(source if rows else []), hash_line]


def _place(datacenter: str | None) -> str:
    if datacenter is None:
        return "any datacenter"
    return "where the volume is" if datacenter == "@volume" else datacenter


def _lines(text: str) -> int:
    return len(text.splitlines())
