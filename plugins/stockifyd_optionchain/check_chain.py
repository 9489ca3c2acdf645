"""The transform `check_chain`: chains that are well formed and yet not right are flagged, thinned out or rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from stockifyd.api import Batch, Config, Context, Message, Reject, Tables, Transform
from stockifyd_optionchain import quality
from stockifyd_optionchain.chain import Chain, ChainContext, Option
from stockifyd_optionchain.figures import figures
from stockifyd_optionchain.forward import RatePct
from stockifyd_optionchain.pace import mapped
from stockifyd_optionchain.quality import named
from stockifyd_optionchain.reading import typed
from stockifyd_optionchain.settlement import moment

OptionPolicy = Literal["flag", "drop", "dead_letter"]
ChainPolicy = Literal["flag", "dead_letter"]
OPTION_RULES = ("crossed_quote", "stale_price", "impossible_oi", "parity_violation")
CHAIN_RULES = ("stale_chain", "missing_strikes", "time_backwards")
COMPUTED = dict.fromkeys(("total_call_oi", "total_put_oi", "pcr_ratio", "max_pain_strike"))


class CheckChainOptions(Config, frozen=True):
    """What is done about each rule: `flag` it, `drop` the option out of its chain, or reject the chain (`dead_letter`)."""

    rate_pct: RatePct
    crossed_quote: Annotated[OptionPolicy, Meta(description="Bid above ask.")] = "flag"
    stale_price: Annotated[OptionPolicy, Meta(description="A last price outside the quote, or no trade this session.")] = "flag"
    impossible_oi: Annotated[
        OptionPolicy, Meta(description="OI that is no number of lots, or moved by more than the volume or not from `prev_oi`.")
    ] = "flag"
    parity_violation: Annotated[OptionPolicy, Meta(description="Call and put that give a sure gain against the forward.")] = (
        "flag"
    )
    stale_chain: Annotated[ChainPolicy, Meta(description="A time that is far behind the message's own.")] = "flag"
    missing_strikes: Annotated[ChainPolicy, Meta(description="A strike, or a side of one, missing near the money.")] = "flag"
    time_backwards: Annotated[
        ChainPolicy, Meta(description="Older than the chain before it in its series, as far as that is remembered.")
    ] = "flag"
    stale_after_secs: Annotated[float, Meta(gt=0, description="How far behind a chain's time may be.")] = 60.0
    parity_tolerance_pct: Annotated[float, Meta(ge=0, le=100, description="The gain let pass, in percent of the forward.")] = 0.1
    strikes_within_pct: Annotated[float, Meta(gt=0, le=100, description="How far from spot strikes must be complete.")] = 3.0


class CheckChain(Transform[CheckChainOptions]):
    """Checks canonical chains by rules. What is broken is named in column `quality`, of the options and of the chain's context.

    What was dropped is named in the context's. The last time of each series is remembered as a cache, empty after a start.
    """

    type = "check_chain"

    def __init__(self, config: CheckChainOptions, context: Context) -> None:
        super().__init__(config, context)
        self._clock = quality.Clock()
        self._limits = quality.Limits(
            config.rate_pct / 100, config.stale_after_secs, config.parity_tolerance_pct, config.strikes_within_pct
        )

    async def apply(self, batch: Batch) -> Batch:
        """Put the checked chain in each message's value."""
        return await mapped(batch, self._checked)

    def tables(self, before: Tables) -> Tables:
        """Those that come in."""
        return before

    def _checked(self, message: Message) -> Chain:
        chain = typed(message)
        flags, broken = self._of_chain(chain, message), self._of_options(chain)
        for rule in (*flags, *broken):
            if getattr(self.config, rule) == "dead_letter":
                raise Reject(f"options[{min(broken[rule])}]: {rule}" if rule in broken else rule)
        dropped = [rule for rule in broken if getattr(self.config, rule) == "drop"]
        gone = set().union(*(broken[rule] for rule in dropped))
        options = _flagged(chain.options, broken, gone)
        if not options:
            raise Reject(f"no option is left: {named(dropped)}")
        return replace(chain, options=options, context=_context(chain, options, named([*dropped, *flags])))

    def _of_chain(self, chain: Chain, message: Message) -> list[str]:
        found = (
            quality.stale_chain(chain, message, self._limits),
            quality.missing_strikes(chain, self._limits),
            self._clock.goes_backwards(chain, message),
        )
        return [rule for rule, is_broken in zip(CHAIN_RULES, found, strict=True) if is_broken]

    def _of_options(self, chain: Chain) -> Mapping[str, set[int]]:
        """The rules that are broken, each with the options that break it."""
        options, lot_size = chain.options, chain.context.lot_size if chain.context else None
        found = (
            {index for index, option in enumerate(options) if quality.crossed_quote(option)},
            {index for index, option in enumerate(options) if quality.stale_price(option)},
            {index for index, option in enumerate(options) if quality.impossible_oi(option, lot_size)},
            quality.parity_violations(chain, self._limits),
        )
        return {rule: those for rule, those in zip(OPTION_RULES, found, strict=True) if those}


def _flagged(options: list[Option], broken: Mapping[str, set[int]], gone: set[int]) -> list[Option]:
    rules = defaultdict[int, list[str]](list)
    for rule, those in broken.items():
        for index in those:
            rules[index].append(rule)
    return [
        option if option.quality == (found := named(rules.get(index, ()))) else replace(option, quality=found)
        for index, option in enumerate(options)
        if index not in gone
    ]


def _context(chain: Chain, options: list[Option], found: str | None) -> ChainContext | None:
    """The context with what is broken; its figures computed again where options were dropped."""
    context = chain.context
    if len(options) < len(chain.options) and context is not None and len({option.expiry for option in options}) == 1:
        context = replace(context, **COMPUTED)
        made = figures(options, moment(chain.timestamp)[1], context)
        context = replace(context, **{name: getattr(made, name) for name in COMPUTED})
    return context if found is None and context is None else replace(context or ChainContext(), quality=found)
