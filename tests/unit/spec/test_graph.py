"""Pipelines as drawings, for a terminal and as Mermaid."""

from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from kit.toys import VALID, registry
from stockifyd.cli.main import main
from stockifyd.cli.settings import Settings
from stockifyd.registry import Registry
from stockifyd.spec import load, loads
from stockifyd.spec.graph import graph_of
from stockifyd.spec.picture import mermaid, terminal

ROOT = Path(__file__).parents[3]
BUILT_IN = Registry.load(built_in=True)
FANCY = b"""\
version: 1
name: bath
source: {type: tap, pipe: "${SURELY_NOT_SET}", password: hunter2}
transforms:
  - {type: split}
  - {type: split, name: again, into: more, columns: [x]}
  - {type: opaque}
sinks:
  - {type: jar, name: cellar, tables: {drops: {into: kept}}}
  - {type: bucket, name: spill, required: false}
delivery: {lanes: 2, dead_letters: {sink: {type: bucket}}}
"""


def drawn(spec: bytes) -> str:
    graph = graph_of(loads(spec, registry(), strict=False, environ={}))
    assert graph is not None
    return terminal(graph)


def test_storage() -> None:
    """The pipeline that ships: source, transform with the tables it makes, sink with their targets."""
    graph = graph_of(load(ROOT / "pipelines/storage.yaml", BUILT_IN, strict=False, environ={}))
    assert graph is not None
    assert terminal(graph) == dedent(
        """\
        storage: exactly once, 1 lane

        ● source kafka
        │   brokers: localhost:9092
        │   topics: market.enriched
        │   group: storage-group
        │
        ● transform flatten_chain
        │   makes snapshots (18 columns) and options (24 columns)
        │
        └─> sink postgres: exactly once, required
              snapshots → market_snapshots
              options → option_contracts
              dead letters, in the transaction of the rows"""
    )
    assert mermaid([graph]) == dedent(
        """\
        flowchart LR
          subgraph storage_pipeline["storage: exactly once, 1 lane"]
            direction LR
            storage_source(["kafka<br/>brokers: localhost:9092<br/>topics: market.enriched<br/>group: storage-group"])
            storage_transform_0["flatten_chain<br/>makes snapshots (18 columns) and options (24 columns)"]
            storage_source --> storage_transform_0
            storage_sink_0[("postgres<br/>snapshots → market_snapshots<br/>options → option_contracts<br/>\
dead letters, in the transaction of the rows")]
            storage_transform_0 -->|"exactly once, required"| storage_sink_0
          end"""
    )


def test_everything() -> None:
    """Names, lanes, several sinks, one that is not required, dead letters, tables that nobody knows; no secret."""
    assert drawn(FANCY) == dedent(
        """\
        bath: effectively once, 2 lanes, each with its own transforms and sinks

        ● source tap
        │   pipe: ${SURELY_NOT_SET}
        │
        ● transform split
        │   makes drops (2 columns)
        │
        ● transform again (split)
        │   makes more (1 column)
        │
        ● transform opaque
        │   its tables are not known beforehand
        │
        ├─> sink cellar (jar): effectively once, required
        │
        ├─> sink spill (bucket): not required: what it cannot take is dropped and counted
        │
        └─> sink bucket: dead letters"""
    )


def test_messages() -> None:
    """A sink behind transforms that make no table gets messages."""
    spec = b"version: 1\nname: bath\nsource: {type: tap, pipe: main}\nsinks: [{type: bucket}]\n"
    assert drawn(spec).splitlines()[-2:] == ["└─> sink bucket: at least once, required", "      messages"]


def test_at_most_once() -> None:
    """A source that cannot be read again."""
    assert drawn(VALID.replace(b"type: tap", b"type: radio")).startswith("bath: at most once, 1 lane\n")


def test_mermaid_of_everything() -> None:
    """Ways that may lose something are dotted; what Mermaid would read as its own is escaped; each pipeline has a box."""
    spec = FANCY.replace(b"${SURELY_NOT_SET}", b'a\\"<b>&`')
    one = graph_of(loads(spec, registry(), environ={}))
    two = graph_of(loads(VALID.replace(b"name: bath", b"name: shower"), registry(), environ={}))
    assert one is not None
    assert two is not None
    lines = mermaid([one, two]).splitlines()
    assert '    bath_source(["tap<br/>pipe: a#quot;#lt;b#gt;#amp;#96;"])' in lines
    assert '    bath_transform_2 -.->|"not required: what it cannot take is dropped and counted"| bath_sink_1' in lines
    assert '    bath_transform_2 -.->|"dead letters"| bath_dead_letters' in lines
    assert [line for line in lines if line.startswith("  subgraph")] == [
        '  subgraph bath_pipeline["bath: effectively once, 2 lanes, each with its own transforms and sinks"]',
        '  subgraph shower_pipeline["shower: exactly once, 1 lane"]',
    ]


def test_no_graph_of_a_bad_spec() -> None:
    """A spec with an error has none."""
    assert graph_of(loads(VALID.replace(b"type: tub", b"type: tubb"), registry())) is None


class TestCommand:
    """`stockifyd graph`."""

    @pytest.fixture
    def spec(self, tmp_path: Path) -> Path:
        (tmp_path / "bath.yaml").write_bytes(VALID)
        return tmp_path / "bath.yaml"

    def call(self, *args: object) -> Result:
        settings = Settings()
        settings.__dict__["registry"] = registry()
        return CliRunner().invoke(main, ["graph", *map(str, args)], obj=settings)

    def test_terminal(self, spec: Path) -> None:
        """It prints the drawing."""
        assert (self.call(spec).exit_code, self.call(spec).output) == (0, drawn(VALID) + "\n")

    def test_mermaid(self, spec: Path) -> None:
        """Or a flowchart."""
        assert self.call(spec, "--mermaid").output.startswith("flowchart LR\n  subgraph bath_pipeline")

    def test_nothing_of_the_environment(self, spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A drawing is passed around: it shows no variable's value."""
        monkeypatch.setenv("PIPE", "hunter2")
        spec.write_bytes(VALID.replace(b"pipe: main", b"pipe: '${PIPE}'"))
        done = self.call(spec)
        assert (done.exit_code, "pipe: ${PIPE}" in done.output, "hunter2" in done.output) == (0, True, False)

    def test_bad_spec(self, spec: Path) -> None:
        """A bad one: its findings on stderr, exit 78; the others are drawn."""
        (spec.parent / "other.yaml").write_bytes(VALID.replace(b"name: bath", b"name: Other"))
        done = self.call(spec.parent)
        assert (done.exit_code, done.stdout) == (78, drawn(VALID) + "\n")
        assert done.stderr.splitlines()[0].startswith(f"{spec.parent}/other.yaml:2:7: name: 'Other' does not match")

    def test_several(self, spec: Path) -> None:
        """Several, with a line between."""
        (spec.parent / "other.yaml").write_bytes(VALID.replace(b"name: bath", b"name: other"))
        assert "\n\n\nother: exactly once" not in self.call(spec.parent).stdout
        assert "\n\nother: exactly once, 1 lane\n" in self.call(spec.parent).stdout
