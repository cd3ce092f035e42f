"""What can be set on an emulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from migrator.emulator.choices import Choices
from migrator.emulator.faults.rules import FaultRule
from migrator.emulator.limits import RetryAfter


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings:
    """How one emulator behaves. The defaults describe a patient, well-behaved service.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes any free one.
        seed_offers: number of personalized offers present at the start, in each style; with at least one, all that
            they refer to is there too, and a few fallback offers and decisions (`seeds`).
        containers: number of xcore containers that exist (`seeded_container`); the seeds are dealt out to them in turn.
        sandboxes: names that ``x-sandbox-name`` may have. The dps seeds lie in the first.
        client_id: the only client id that the token endpoint accepts; None accepts any.
        client_secret: the only client secret that the token endpoint accepts; None accepts any.
        access_token: a token that is valid from the start and never expires; None for none.
        token_lifetime_s: seconds for which an issued token is valid.
        rate: requests per second that one api key may send; 0 means no limit.
        container_rate: requests per second that may go to one container (dps: sandbox); 0 means no limit.
        burst: requests that may arrive at once under either limit before it bites, at least 1.
        retry_after: how a 429 of the rate limit says when to come back: whole ``seconds``, a ``date``, an ``empty``
            header, or ``none`` at all.
        latency_s: seconds that each admitted request is held back, after its effect and before its answer.
        choices: how it answers the questions that the documents leave open.
        guardrails: refuse what exceeds the documented numbers of objects (errors-and-limits 4).
        too_large_status: status of the refusal of an object of more than 300 KB.
        delete_async: carry out xcore deletes a second later, and give an address to ask for their outcome.
        faults: rules of misbehaviour, as `FaultRule` or as its text, such as ``drop-after:PATCH:p=0.05``.
        fault_seed: what the chance in those rules is made from; the same seed and the same requests misbehave alike.
        request_log: number of requests that the log of requests keeps, the newest.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed_offers: int = 0
    containers: int = 1
    sandboxes: tuple[str, ...] = ("dev", "prod")
    client_id: str | None = None
    client_secret: str | None = None
    access_token: str | None = None
    token_lifetime_s: float = 86_399
    rate: float = 0
    container_rate: float = 0
    burst: int = 20
    retry_after: RetryAfter = "seconds"
    latency_s: float = 0.0
    choices: Choices = field(default_factory=Choices)
    guardrails: bool = False
    too_large_status: Literal[413, 422] = 422
    delete_async: bool = False
    faults: tuple[FaultRule | str, ...] = ()
    fault_seed: int = 0
    request_log: int = 10_000

    def __post_init__(self) -> None:
        """Refuse values that cannot be meant.

        Raises:
            ValueError: a count or a limit is too small, or a rule is none.
        """
        _ = self.rules
        if self.containers < 1 or self.burst < 1 or not self.sandboxes:
            raise ValueError("an emulator needs a container, a sandbox and a burst of at least 1")
        if min(self.seed_offers, self.rate, self.container_rate, self.latency_s, self.request_log) < 0:
            raise ValueError("seed_offers, rate, container_rate, latency_s and request_log cannot be negative")

    @property
    def rules(self) -> list[FaultRule]:
        """The rules of misbehaviour, read.

        Raises:
            ValueError: one of them is none; the message says why.
        """
        return [FaultRule.parse(rule) if isinstance(rule, str) else rule for rule in self.faults]
