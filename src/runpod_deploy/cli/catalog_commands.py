"""`gpu-list`, `gpu-prices` and `gpu-inventory`: what can be rented, for how much, and what of it is free."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runpod_deploy.cli.amounts import count
from runpod_deploy.cli.arguments import (
    AllowPath,
    Cloud,
    Config,
    Job,
    Quiet,
    Refresh,
    Var,
    VarsFile,
    Verbose,
    one_file,
)
from runpod_deploy.cli.terminal import Terminal, open_terminal
from runpod_deploy.errors import EXIT_OK, InvalidInput, StockOut

if TYPE_CHECKING:
    from runpod_deploy.compiler.observed import ObservedCatalog
    from runpod_deploy.compiler.plan import Plan
    from runpod_deploy.executor.catalog_cache import Reading
    from runpod_deploy.executor.ports import GpuOffer


MOST_GPUS = 1000


class CloudType(StrEnum):
    """RunPod's two clouds, and both."""

    SECURE = "SECURE"
    COMMUNITY = "COMMUNITY"
    ANY = "ANY"


AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Type = Annotated[CloudType, typer.Option("--cloud-type", help="Secure or Community Cloud.")]
Count = Annotated[
    str, typer.Option("--gpu-count", metavar="N", help="Stock for pods with so many GPUs.")
]


Named = Annotated[
    str | None,
    typer.Argument(
        metavar="GPU",
        help="Only types that are called so, in whole or in part.",
        show_default=False,
    ),
]


def gpu_list_command(
    gpu: Named = None,
    datacenter: Annotated[
        str | None,
        typer.Option(
            "--datacenter", metavar="ID", help="Only what is free there.", show_default=False
        ),
    ] = None,
    cloud_type: Type = CloudType.ANY,
    gpu_count: Count = "1",
    no_prices: Annotated[bool, typer.Option("--no-prices", help="Leave prices out.")] = False,
    cloud: Cloud = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """List every GPU type with memory, price of one GPU, and stock."""
    from runpod_deploy.cli.catalog_views import gpu_table, stock_of  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.market import open_market  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    query = _query(cloud_type, gpu_count)
    market = open_market(cloud, terminal, refresh=refresh)
    reading = market.read(query)
    offers = sorted(_named(reading.offers, gpu), key=lambda one: one.id)
    if datacenter is not None:
        offers = [
            one
            for one in offers
            if any(stock_of(one, name, datacenter) not in {None, "NONE"} for name in query.clouds)
        ]
    if as_json:
        rows = [_row(one, query.clouds, datacenter, prices=not no_prices) for one in offers]
        _print_reading(terminal, str(market.target.label), reading, rows)
        return
    where = f" in {datacenter}" if datacenter else ""
    _head(terminal, f"{count(len(offers), 'GPU type')}{where}", market.target.label, reading)
    if offers:
        lines = gpu_table(
            offers, terminal.out, clouds=query.clouds, prices=not no_prices, datacenter=datacenter
        )
        terminal.print("\n".join(lines))


def gpu_prices_command(
    gpu: Named = None,
    cloud_type: Type = CloudType.ANY,
    cloud: Cloud = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """List the prices of one GPU for an hour, the cheapest first; unknown ones last."""
    from runpod_deploy.cli.catalog_views import gpu_table  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.market import PRICES_KEPT_SEC, open_market  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    query = _query(cloud_type, "1")
    market = open_market(cloud, terminal, refresh=refresh)
    reading = market.read(query, max_age_sec=PRICES_KEPT_SEC)
    offers = sorted(
        _named(reading.offers, gpu), key=lambda one: (_cheapest(one, query.clouds), one.id)
    )
    if as_json:
        rows = [_row(one, query.clouds, None, prices=True, stock=False) for one in offers]
        _print_reading(terminal, str(market.target.label), reading, rows)
        return
    _head(terminal, "USD per GPU and hour", market.target.label, reading)
    if offers:
        lines = gpu_table(offers, terminal.out, clouds=query.clouds, levels=False)
        terminal.print("\n".join(lines))


def gpu_inventory_command(
    job: Job = None,
    config: Config = None,
    cloud: Cloud = None,
    refresh: Refresh = False,
    as_json: AsJson = False,
    var: Var = None,
    vars_file: VarsFile = None,
    allow_path: AllowPath = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> int:
    """Show which candidates of a job are free now; exit status 3 when none of them can be had."""
    from runpod_deploy.cli.market import open_market  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.planning import prepare  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.variables import read_variables  # noqa: PLC0415 - likewise

    terminal = open_terminal(verbose=verbose, quiet=quiet)
    path = one_file(job, config, command="gpu-inventory")
    values = read_variables(var or (), vars_file)
    planned = prepare(path, values, allow_path or (), None)
    terminal.findings(planned.diagnostics)
    plan = planned.plan_file.plan
    catalog = open_market(cloud, terminal, refresh=refresh).see(plan)
    had = any(one.passed_over is None for one in catalog.candidates)
    if as_json:
        _print_inventory(terminal, plan, catalog, had=had)
    else:
        _show_inventory(terminal, plan, catalog, had=had)
    return EXIT_OK if had else StockOut.exit_code


def _query(cloud_type: CloudType, gpu_count: str) -> Any:
    from runpod_deploy.executor.ports import StockQuery  # noqa: PLC0415 - not for `--help`

    whole = gpu_count.isascii() and gpu_count.isdecimal()
    if not whole or not 0 < int(gpu_count[:9]) <= MOST_GPUS:
        raise InvalidInput(
            f"--gpu-count {gpu_count} is no number of GPUs", help="Give a whole number from 1 on."
        )
    clouds = ("SECURE", "COMMUNITY") if cloud_type is CloudType.ANY else (cloud_type.value,)
    return StockQuery(gpu_count=int(gpu_count), clouds=clouds)


def _named(offers: Sequence[GpuOffer], gpu: str | None) -> list[GpuOffer]:
    """Return the GPU types that are meant: the one of that id, else those that are called so."""
    from runpod_deploy.compiler.listed import near_names  # noqa: PLC0415 - not for `--help`

    known = {one.id: one for one in offers}
    if gpu is None:
        return list(offers)
    if gpu in known:
        return [known[gpu]]
    near = near_names(gpu, known, most=len(known))
    if not near:
        raise InvalidInput(
            f"the catalog has no GPU type called {gpu}",
            help="To see all of them:\n  runpod-deploy gpu-list",
        )
    return [known[name] for name in near]


def _head(terminal: Terminal, title: str, label: str, reading: Reading) -> None:
    from runpod_deploy.cli.market_words import age  # noqa: PLC0415 - not for `--help`

    if not terminal.quiet:
        told = f"{label}, read {age(time.time() - reading.read_at)}"
        terminal.print(f"{terminal.out.bold(title)}  {terminal.out.dim(told)}")


def _cheapest(offer: GpuOffer, clouds: Sequence[str]) -> float:
    known = [price for price in map(offer.price, clouds) if price is not None]
    return min(known, default=float("inf"))


def _row(
    offer: GpuOffer,
    clouds: Sequence[str],
    datacenter: str | None,
    *,
    prices: bool,
    stock: bool = True,
) -> dict[str, Any]:
    from runpod_deploy.cli.catalog_views import stock_of  # noqa: PLC0415 - loaded by then

    row: dict[str, Any] = {
        "id": offer.id,
        "name": offer.name or None,
        "memory_gb": offer.memory_gb or None,
    }
    if prices:
        row["price_per_gpu_hour_usd"] = {name.lower(): offer.price(name) for name in clouds}
    if stock:
        row["stock"] = {name.lower(): stock_of(offer, name, datacenter) for name in clouds}
        row["datacenters"] = {
            name.lower(): {
                place: level for place, level in offer.stock.get(name, {}).items() if place
            }
            for name in clouds
        }
        row["max_gpus_per_pod"] = {name.lower(): offer.max_count.get(name) for name in clouds}
    return row


def _print_reading(
    terminal: Terminal, label: str, reading: Reading, rows: list[dict[str, Any]]
) -> None:
    from runpod_deploy.record.journal import utc_stamp  # noqa: PLC0415 - not for `--help`

    document = {
        "cloud": label,
        "read_at": f"{utc_stamp(reading.read_at)[:19]}Z",
        "kept": reading.kept,
        "gpus": rows,
    }
    terminal.document(document)


def _print_inventory(
    terminal: Terminal, plan: Plan, catalog: ObservedCatalog, *, had: bool
) -> None:
    from runpod_deploy.compiler.market import asking_order  # noqa: PLC0415 - loaded by then
    from runpod_deploy.schema.plain import to_plain  # noqa: PLC0415 - likewise

    document = {
        "job": plan.job.name,
        "available": had,
        **to_plain(catalog),
        "asking_order": asking_order(plan.pod, catalog.candidates),
    }
    terminal.document(document)


def _show_inventory(terminal: Terminal, plan: Plan, catalog: ObservedCatalog, *, had: bool) -> None:
    from runpod_deploy.cli.catalog_views import candidate_table  # noqa: PLC0415 - not for `--help`
    from runpod_deploy.cli.market_words import source  # noqa: PLC0415 - likewise
    from runpod_deploy.cli.printable import line  # noqa: PLC0415 - likewise

    style = terminal.out
    if not terminal.quiet:
        what = "GPU" if plan.pod.cpu is None else "vCPU"
        told = f"{count(plan.pod.units, what)} a pod; {source(catalog, time.time())}"
        terminal.print(f"{style.bold(line(plan.job.name))}  {style.dim(told)}")
        terminal.print("\n".join(candidate_table(plan, catalog, style)))
    if had:
        return
    terminal.alert(
        f"{terminal.err.bad('None of the candidates can be had now.')}\n"
        "Wait and ask again, widen pod.gpu_order or pod.datacenters, allow COMMUNITY, raise the\n"
        "ceiling, or let apply wait for capacity: capacity: {wait_minutes: 60}"
    )
