"""What `validate --live` finds: whether a job could run now, as far as the cloud and the registry say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from runpod_deploy.cli.market import Market
from runpod_deploy.compiler.candidates import ring
from runpod_deploy.compiler.findings import Finding
from runpod_deploy.compiler.image_name import ImageReference, parse_image
from runpod_deploy.compiler.lints import told
from runpod_deploy.compiler.market import Wanted, reason
from runpod_deploy.compiler.observed import ObservedCatalog
from runpod_deploy.compiler.resolve import Resolved, resolve
from runpod_deploy.compiler.sections import pod, storage
from runpod_deploy.errors import Diagnostic, Severity
from runpod_deploy.executor.registry import ImageAnswer, ask_registry
from runpod_deploy.schema.job import JobConfig

_IMAGE = "/pod/image"
_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveChecks:
    """Asks one cloud, and each registry once for an image."""

    market: Market
    _answers: dict[ImageReference, ImageAnswer] = field(default_factory=dict)

    def findings(self, config: JobConfig) -> tuple[Diagnostic, ...]:
        """Return what is found about a job that can be planned.

        Raises:
            CloudError: The API could not be asked.
            AccountError: It refused the key.
        """
        resolved = resolve(config).config
        found = [*self._places(resolved), *self._image(resolved)]
        return tuple(told(resolved, (finding.at(config.source) for finding in found)))

    def _places(self, config: Resolved) -> Iterator[Finding]:
        nodes = config.cluster.nodes if config.cluster else 1
        wanted = Wanted(
            candidates=ring(config), pod=pod(config), storage=storage(config), nodes=nodes
        )
        catalog = self.market.see(wanted)
        asked = config.storage
        if asked.mode == "network_volume" and not asked.create and catalog.volume is None:
            yield _volume(config)
        yield from _not_listed(config, catalog)
        if all(offer.passed_over is not None for offer in catalog.candidates):
            yield _nothing_now(wanted, catalog)

    def _image(self, config: Resolved) -> Iterator[Finding]:
        image = config.pod.image
        # The emulator pulls nothing: what a registry has is no matter there.
        if image is None or self.market.target.label != "runpod":
            return
        reference = parse_image(image)
        if reference is None:
            yield Finding(
                pointer=_IMAGE,
                code="image-name",
                summary="The image's name is none",
                detail=f"{image!r} does not read as `[registry/]name[:tag][@digest]`.",
            )
            return
        if reference not in self._answers:
            self._answers[reference] = asyncio.run(ask_registry(reference))
        yield from _about_image(image, self._answers[reference], config.pod.registry_auth)


def _about_image(image: str, answer: ImageAnswer, registry_auth: str | None) -> Iterator[Finding]:
    said = f"{answer.why} when asked for {image!r}"
    if answer.found == "missing":
        yield Finding(
            pointer=_IMAGE,
            code="image-missing",
            summary="The registry does not have the image",
            detail=f"{said}. A pod would wait for it, and cost money, until its time to get ready is "
            "over.",
            help="Correct pod.image, or push the tag first.",
        )
    elif answer.found == "login" and registry_auth is None:
        yield Finding(
            pointer=_IMAGE,
            severity=Severity.WARNING,
            code="image-not-public",
            summary="The registry shows the image to nobody without a login",
            detail=f"{said}: it is private, or not there.",
            help="If it is private, name RunPod's credential for it in pod.registry_auth.",
        )
    elif answer.found in {"login", "unknown"}:
        yield Finding(
            pointer=_IMAGE,
            severity=Severity.NOTE,
            code="image-unchecked",
            summary="Whether the image exists is not known",
            detail=f"{said}.",
        )


def _volume(config: Resolved) -> Finding:
    return Finding(
        pointer="/storage/volume_name",
        code="volume-missing",
        summary="The account has no such network volume",
        detail=f"Not exactly one network volume of the account is called {config.storage.volume_name!r}.",
        help="Create it with `runpod-deploy volume create`, or write the id of the one you mean.",
    )


def _not_listed(config: Resolved, catalog: ObservedCatalog) -> Iterator[Finding]:
    known = {
        offer.gpu
        for offer in catalog.candidates
        if (offer.memory_gb, offer.price_per_gpu_hour_usd, offer.stock) != (None, None, None)
    }
    for index, gpu in enumerate(config.pod.gpu_order):
        if gpu not in known:
            yield Finding(
                pointer=f"/pod/gpu_order/{index}",
                severity=Severity.WARNING,
                code="gpu-not-listed",
                summary="The catalog does not list the GPU type",
                detail=f"{catalog.cloud} knows no {gpu!r}, so it would refuse a pod with it.",
                help="Take the id from the catalog:\n  runpod-deploy gpu-list",
            )


def _nothing_now(wanted: Wanted, catalog: ObservedCatalog) -> Finding:
    rows = [
        f"{candidate}: {reason(offer, wanted.pod)}"
        for candidate, offer in zip(wanted.candidates, catalog.candidates, strict=True)
    ]
    if len(rows) > _SHOWN:
        rows[_SHOWN:] = [f"and {len(rows) - _SHOWN} more"]
    return Finding(
        pointer="/pod/gpu_order" if wanted.pod.cpu is None else "/pod/cpu",
        severity=Severity.WARNING,
        code="nothing-to-be-had",
        summary="No candidate can be had now",
        detail=f"By the catalog of {catalog.cloud}: {'; '.join(rows)}.",
        help="Wait, widen pod.gpu_order or pod.datacenters, or raise the ceiling.",
    )
