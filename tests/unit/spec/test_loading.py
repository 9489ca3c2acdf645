"""Whole specs: findings, each with its place, and the description."""

from pathlib import Path

import pytest

from kit.toys import VALID, TapOptions, Tub, registry
from stockifyd.spec import Loaded, load, load_all, loads

REGISTRY = registry()
TEXT = VALID.decode()


def check(*changes: tuple[str, str], strict: bool = True, **environ: str) -> Loaded:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return loads(text.encode(), REGISTRY, file="bath.yaml", strict=strict, environ=environ)


def findings(*changes: tuple[str, str], strict: bool = True, **environ: str) -> list[str]:
    return [str(f) for f in check(*changes, strict=strict, **environ).findings]


def test_valid() -> None:
    """A valid spec has no findings, typed options, and the guarantee of its sink."""
    loaded = check()
    assert loaded.findings == ()
    assert loaded.spec is not None
    assert (
        loaded.spec.name,
        loaded.spec.source.name,
        loaded.spec.sinks[0].name,
        loaded.spec.guarantee,
    ) == ("bath", "tap", "tub", "exactly_once")
    assert TapOptions(pipe="main", rate=20) == loaded.spec.source.config
    assert (Tub, 100, 8 * 2**20) == (
        loaded.spec.sinks[0].component,
        loaded.spec.delivery.batch_max_rows,
        loaded.spec.delivery.batch_max_bytes,
    )


def test_equal_specs() -> None:
    """Specs that differ in comments and order of keys alone are equal: nothing to reload."""
    assert check().spec == check(("  pipe: main\n  rate: 20\n", "  rate: 20 # slow\n  pipe: 'main'\n")).spec


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("version: 1", "version: 2", "bath.yaml:1:10: version: expected 1, got '2'"),
        ("version: 1\n", "", "bath.yaml:1:1: 'version' is missing\n  HINT: add `version: ...`. The version of this format: 1."),
        ("name: bath", "nam: bath\nname: bath", "bath.yaml:2:1: nam: unknown key\n  HINT: did you mean 'name'?"),
        ("type: tap", "type: tub", "bath.yaml:4:9: source.type: 'tub' is a sink, not a source\n  HINT: there are radio and tap"),
        ("type: tub", "type: tubb", "bath.yaml:11:11: sinks[0].type: there is no sink 'tubb'\n  HINT: did you mean 'tub'?"),
        (
            "rate: 20",
            "raet: 20",
            "bath.yaml:6:3: source.raet: unknown option for source 'tap'\n  HINT: did you mean 'rate'?",
        ),
        ("rate: 20", "rate: many", "bath.yaml:6:9: source.rate: expected an integer, got 'many'"),
        ("rate: 20", "rate: 0", "bath.yaml:6:9: source.rate: '0' is below the least allowed, 1\n  HINT: Messages a second."),
        ("rate: 20", "rate: 500", "bath.yaml:6:9: source.rate: 500 is not slow, write 100 or less"),
        ("rate: 20", "burst: often", "bath.yaml:6:10: source.burst: expected a number or null, got 'often'"),
        (
            "rate: 20",
            "burst: .nan",
            "bath.yaml:6:10: source.burst: '.nan' is not a finite number\n  HINT: quote it if it is a word",
        ),
        (
            "rate: 20",
            "mode: fats",
            "bath.yaml:6:9: source.mode: expected 'fast' or 'slow', got 'fats'\n  HINT: did you mean 'fast'?",
        ),
        ("rate: 20", "password: 20", "bath.yaml:6:13: source.password: expected a string or null, got ***\n  HINT: quote it"),
        ("pipe: main", "pipe: true", "bath.yaml:5:9: source.pipe: expected a string, got 'true'\n  HINT: quote it"),
        ("into: kept", "into: 'ke pt'", "bath.yaml:13:21: sinks[0].tables.drops.into: 'ke pt' has a space"),
        ("into: kept", "into: {}", "bath.yaml:13:21: sinks[0].tables.drops.into: expected a string, got a mapping"),
        (
            "into: kept, ",
            "",
            "bath.yaml:13:14: sinks[0].tables.drops: 'into' is missing\n  HINT: add `into: ...`.",
        ),
        (
            "into: kept",
            "inot: kept",
            "bath.yaml:13:15: sinks[0].tables.drops.inot: unknown option for sink 'tub'\n  HINT: did you mean 'into'?",
        ),
        (
            "drops: {",
            "dorps: {",
            "bath.yaml:13:7: sinks[0].tables.dorps: no table 'dorps' arrives here\n  HINT: did you mean 'drops'?",
        ),
        (
            "[at]",
            "[at, volum]",
            "bath.yaml:13:41: sinks[0].tables.drops.columns[1]: table 'drops' has no column 'volum'\n  HINT: did you mean",
        ),
        ("batch_max_rows: 100", "batch_max_row: 100", "bath.yaml:15:3: delivery.batch_max_row: unknown key"),
        ("batch_max_rows: 100", "lanes: 65", "bath.yaml:15:10: delivery.lanes: '65' is above the most allowed, 64"),
        (
            "batch_max_rows: 100",
            "guarantee: exactly",
            "bath.yaml:15:14: delivery.guarantee: expected 'at_least_once', 'at_most_once', 'effectively_once', 'exactly_once'",
        ),
    ],
)
def test_one_mistake(old: str, new: str, expected: str) -> None:
    """Each mistake is one finding at its place, with its cure."""
    found = findings((old, new))
    assert (len(found), found[0][: len(expected)]) == (1, expected)


def test_nothing_wrong_is_nothing_found() -> None:
    """Words that YAML 1.1 takes for booleans and times are strings."""
    assert [findings(("pipe: main", f"pipe: {word}")) for word in ("no", "10:30")] == [[], []]


def test_all_at_once() -> None:
    """Mistakes of different kinds in different components are found together, in the order of the file."""
    found = check(
        ("rate: 20", "rate: many"), ("type: split", "type: splt"), ("into: kept", "into: 1"), ("batch_max_rows: 100", "x: 1")
    )
    assert [f.mark.line for f in found.findings] == [6, 8, 13, 15]


def test_which_entry_of_a_mapping() -> None:
    """Of several entries the one that `__post_init__` refuses is named, though msgspec does not say which."""
    drops = "drops: {into: kept, columns: [at]}"
    assert [f.path for f in check((drops, f"{drops}\n      other: {{into: 'o p'}}")).findings] == ["sinks[0].tables.other.into"]


def test_no_transform_no_table() -> None:
    """A sink that wants a table behind no transform at all is told so."""
    assert "bath.yaml:10:7: sinks[0].tables.drops: no table 'drops' arrives here\n  HINT: no transform makes a table" in findings(
        ("transforms:\n  - type: split\n    into: drops\n", "")
    )


def test_unknown_tables_are_not_checked() -> None:
    """Behind a transform that cannot say its tables, every table may arrive."""
    assert findings(("into: drops\n", "\n  - type: opaque\n"), ("drops: {", "anything: {")) == []


def test_tables_that_a_transform_refuses() -> None:
    """A ValueError of `Transform.tables` is a finding at the transform, or at the option that it begins with."""
    twice = ("into: drops\n", "into: drops\n  - type: split\n    name: again\n    into: drops\n")
    assert findings(twice) == ["bath.yaml:10:5: transforms[1]: there is a table 'drops' already"]


class TestNames:
    """Names of sinks and transforms."""

    def test_two_sinks_need_names(self) -> None:
        """As soon as there are two sinks, each must have a name."""
        found = check(("delivery:", "  - type: tub\ndelivery:"))
        assert [f.path for f in found.findings] == ["sinks[0]", "sinks[1]"]

    def test_sink_names_are_unique(self) -> None:
        """Two sinks of one name are an error at the second."""
        named = (("  - type: tub", "  - type: tub\n    name: a"), ("delivery:", "  - {type: jar, name: a}\ndelivery:"))
        assert [line.splitlines()[0] for line in findings(*named)] == [
            "bath.yaml:15:23: sinks[1].name: two sinks are called 'a', the first in line 11"
        ]

    def test_transform_names_are_unique(self) -> None:
        """Two transforms of one type need a name too."""
        found = check(("into: drops\n", "into: drops\n  - type: split\n    into: more\n"))
        assert [f.fact for f in found.findings] == ["two transforms are called 'split', the first in line 8"]

    def test_default_names(self) -> None:
        """Without a name a component is called by its type; dead letters have a name of their own."""
        spec = check(("delivery:\n", "delivery:\n  dead_letters: {sink: {type: jar}}\n")).spec
        assert spec is not None
        assert spec.dead_letters is not None
        assert (
            spec.source.name,
            spec.transforms[0].name,
            spec.sinks[0].name,
            spec.dead_letters.name,
        ) == ("tap", "split", "tub", "dead_letters")


class TestGuarantee:
    """What is promised."""

    @pytest.mark.parametrize(
        ("source", "sink", "expected"),
        [
            ("tap", "tub", "exactly_once"),
            ("tap", "jar", "effectively_once"),
            ("tap", "bucket", "at_least_once"),
            ("radio", "tub", "at_most_once"),
        ],
    )
    def test_table(self, source: str, sink: str, expected: str) -> None:
        """The promise follows from the kinds of source and sink."""
        assert expected == check(("type: tap", f"type: {source}"), ("type: tub", f"type: {sink}")).guarantee

    def test_weakest_required_sink(self) -> None:
        """A pipeline promises what its weakest required sink gives; the others do not count."""
        two = ("type: tub\n", "type: tub\n    name: a\n"), ("delivery:", "  - {type: bucket, name: b%s}\ndelivery:")
        required = check(two[0], (two[1][0], two[1][1] % ""))
        optional = check(two[0], (two[1][0], two[1][1] % ", required: false"))
        assert (required.guarantee, optional.guarantee) == ("at_least_once", "exactly_once")
        assert [p.guarantee for p in required.promises] == ["exactly_once", "at_least_once"]

    def test_refused(self) -> None:
        """A guarantee that a required sink cannot give is refused, naming the sink and what it gives."""
        found = check(("type: tub", "type: jar"), ("batch_max_rows: 100", "guarantee: exactly_once"))
        assert found.findings[0].fact.startswith("exactly_once cannot be kept: sink 'jar' gives effectively once")
        assert (found.spec, found.findings[0].path) == (None, "delivery.guarantee")

    def test_weaker_is_given_more(self) -> None:
        """Who asks for less gets what the sinks give."""
        spec = check(("batch_max_rows: 100", "guarantee: at_least_once")).spec
        assert spec is not None
        assert spec.guarantee == "exactly_once"

    def test_no_required_sink(self) -> None:
        """A pipeline without a required sink would never hold anything to be delivered."""
        assert not check(("type: tub\n", "type: jar\n    required: false\n")).ok

    def test_ledger_is_required(self) -> None:
        """A sink that keeps a ledger cannot drop batches, so it must be required."""
        found = check(
            ("type: tub\n", "type: tub\n    name: a\n    required: false\n"), ("delivery:", "  - {type: jar, name: b}\ndelivery:")
        )
        assert [(f.path, f.severity) for f in found.findings][:1] == [("sinks[0].required", "error")]

    def test_promise_of_optional_sink(self) -> None:
        """A sink that is not required promises nothing."""
        two = ("type: tub\n", "type: tub\n    name: a\n"), ("delivery:", "  - {type: jar, name: b, required: false}\ndelivery:")
        assert [p.guarantee for p in check(*two).promises] == ["exactly_once", None]


class TestDeadLetters:
    """Where rejected messages go."""

    def test_nowhere(self) -> None:
        """Without a ledger and without dead letters there is a warning, and the spec can run."""
        found = check(("type: tub", "type: bucket"))
        assert ([f.severity for f in found.findings], found.ok, found.spec is not None) == (["warning"], True, True)

    def test_somewhere(self) -> None:
        """With a sink of dead letters there is none."""
        assert findings(("type: tub", "type: bucket"), ("delivery:\n", "delivery:\n  dead_letters: {sink: {type: jar}}\n")) == []

    def test_is_checked_as_any_sink(self) -> None:
        """Options of that sink are checked, and the one table it gets is known."""
        letters = "delivery:\n  dead_letters: {sink: {type: tub, tables: {dead_leters: {into: x}}}}\n"
        assert [f.fact for f in check(("delivery:\n", letters)).findings] == ["no table 'dead_leters' arrives here"]


class TestVariables:
    """Values from outside."""

    def test_plain_becomes_a_number(self) -> None:
        """A plain placeholder has the type of what it holds, a quoted one is a string."""
        assert (findings(("rate: 20", "rate: ${N:-30}")), len(findings(("rate: 20", "rate: '${N:-30}'")))) == ([], 1)

    def test_digits_where_a_string_is_wanted(self) -> None:
        """A password of digits is a string, without quotes too: its type must not hang on what it holds."""
        spec = check(("rate: 20", "password: ${PW}"), PW="12345").spec
        assert spec is not None
        assert isinstance(spec.source.config, TapOptions)
        assert spec.source.config.password is not None
        assert spec.source.config.password.reveal() == "12345"

    def test_no_structure(self) -> None:
        """What a variable holds can never add keys."""
        spec = check(("pipe: main", "pipe: ${P}"), P="x\n  mode: fast # {a: b}").spec
        assert spec is not None
        assert TapOptions(pipe="x\n  mode: fast # {a: b}", rate=20) == spec.source.config

    def test_unset_is_an_error_to_run(self) -> None:
        """To run, an unset variable is an error with its place."""
        expected = "bath.yaml:6:9: source.rate: variable RATE is not set\n  HINT: set RATE, or write ${RATE:-default}"
        assert [expected] == findings(("rate: 20", "rate: ${RATE}"))

    @pytest.mark.parametrize("option", ["rate", "mode", "burst", "password"])
    def test_unset_is_one_warning_to_validate(self, option: str) -> None:
        """To validate, it is a warning, whatever the type, and nothing else is said of that value."""
        found = check(("rate: 20", f"{option}: ${{X}}"), strict=False)
        assert ([f.severity for f in found.findings], found.spec, found.ok) == (["warning"], None, True)

    def test_unset_hides_nothing_else(self) -> None:
        """Beside an unset variable everything else is still checked, the tables too."""
        changes = (("into: kept", "into: '${TABLE}'"), ("drops: {", "dorps: {"), ("rate: 20", "rate: ${RATE}\n  moode: x"))
        assert [(f.path, f.severity) for f in check(*changes, strict=False).findings] == [
            ("source.rate", "warning"),
            ("source.moode", "error"),
            ("sinks[0].tables.dorps", "error"),
            ("sinks[0].tables.dorps.into", "warning"),
        ]

    def test_unset_type(self) -> None:
        """A type that nobody knows is one warning; its options are not guessed at."""
        assert [f.path for f in check(("type: tub", "type: ${SINK}"), strict=False).findings] == ["sinks[0].type"]

    @pytest.mark.parametrize(
        "change",
        [
            ("rate: 20", "rate: ${V}"),
            ("rate: 20", "mode: ${V}"),
            ("into: kept", "into: ${V}"),
            ("type: tub", "type: ${V}"),
            ("name: bath", "name: ${V}"),
        ],
    )
    def test_errors_show_the_raw_text(self, change: tuple[str, str]) -> None:
        """No finding prints what a variable holds, not even where an option's own check does."""
        found = findings(change, V="hunter2 hunter2")
        assert found
        assert not [line for line in found if "hunter2" in line]

    def test_relative_file(self, tmp_path: Path) -> None:
        """A file is looked for beside the spec."""
        (tmp_path / "pw").write_text("s3cret\n")
        path = tmp_path / "bath.yaml"
        path.write_text(TEXT.replace("rate: 20", "password: ${file:pw}"))
        assert load(path, REGISTRY).ok


class TestFiles:
    """Reading files and folders."""

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is a finding."""
        assert [f"{tmp_path}/nope.yaml:1:1: cannot be read: no such file or directory"] == [
            str(f) for f in load(tmp_path / "nope.yaml", REGISTRY).findings
        ]

    def test_folder_as_file(self, tmp_path: Path) -> None:
        """A folder in place of a file is a finding."""
        assert not load(tmp_path, REGISTRY).ok

    def test_folder(self, tmp_path: Path) -> None:
        """Of a folder all YAML files are loaded, by name; a name used twice is an error of the second."""
        for name in ("b.yaml", "a.yml", "c.txt"):
            (tmp_path / name).write_bytes(VALID)
        first, second = load_all([tmp_path], REGISTRY)
        assert (first.ok, second.ok) == (True, False)
        assert f"pipeline 'bath' is in {tmp_path / 'a.yml'} already" == second.findings[0].fact

    def test_too_big(self, tmp_path: Path) -> None:
        """A file over the cap is refused without being read whole."""
        (tmp_path / "big.yaml").write_bytes(b"#" * (2**20 + 5))
        assert not load(tmp_path / "big.yaml", REGISTRY).ok


def test_many_findings_end() -> None:
    """A hopeless file ends after a hundred findings."""
    junk = "".join(f"key{i}: 1\n" for i in range(5000))
    assert len(loads(junk.encode(), REGISTRY).findings) == 100
