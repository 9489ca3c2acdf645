"""Components from a spec."""

from kit.toys import VALID, Split, Tap, Tub, registry
from stockifyd.spec import Instance, Spec, loads
from stockifyd.spec.build import build, build_dead_letters, build_sinks, build_transforms, tables_of

REGISTRY = registry()


def spec_of(text: str) -> Spec:
    spec = loads(text.encode(), REGISTRY).spec
    assert spec is not None
    return spec


SPEC = spec_of(VALID.decode())


def test_build() -> None:
    """Source, transforms and sinks are of the classes that the types name."""
    made = build(SPEC)
    assert (made.pipeline, type(made.source), [type(t) for t in made.transforms], [type(s) for s in made.sinks]) == (
        "bath",
        Tap,
        [Split],
        [Tub],
    )


def test_contexts() -> None:
    """Each knows its pipeline, name, logger and instance; all but the source know who reads."""
    made = build(SPEC, Instance(2, 3))
    contexts = [c.context for c in (made.source, *made.transforms, *made.sinks)]
    assert [(c.name, c.log.name, c.instance_id, c.total_instances, c.consumer) for c in contexts] == [
        ("tap", "stockifyd.bath.tap", 2, 3, ""),
        ("split", "stockifyd.bath.split", 2, 3, "tap-main"),
        ("tub", "stockifyd.bath.tub", 2, 3, "tap-main"),
    ]


def test_tables_are_chained() -> None:
    """A transform knows the tables that come in, a sink those that leave the last transform."""
    made = build(SPEC)
    assert (made.transforms[0].context.tables, made.sinks[0].context.tables) == ({}, {"drops": ("at", "volume")})


def test_unknown_tables() -> None:
    """Behind a transform that cannot say its tables nobody knows any."""
    made = build(spec_of(VALID.decode().replace("type: split\n    into: drops", "type: opaque")))
    assert (made.sinks[0].context.tables, tables_of(made.transforms)) == (None, None)


def test_a_set_for_each_lane() -> None:
    """Lanes have components of their own, with the same names."""
    first = build_transforms(SPEC, consumer="c")
    lanes = [build_sinks(SPEC, Instance(), first, consumer="c") for _ in range(2)]
    assert lanes[0][0] is not lanes[1][0]
    assert lanes[0][0].context == lanes[1][0].context


def test_dead_letters() -> None:
    """The sink of dead letters is built where the spec has one."""
    letters = spec_of(VALID.decode().replace("delivery:\n", "delivery:\n  dead_letters: {sink: {type: jar}}\n"))
    sink = build_dead_letters(letters, consumer="c")
    assert sink is not None
    assert (sink.context.name, build_dead_letters(SPEC, consumer="c")) == ("dead_letters", None)
