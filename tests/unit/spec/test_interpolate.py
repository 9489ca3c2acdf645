"""Placeholders in one scalar."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockifyd.spec.interpolate import MAX_FILE_BYTES, Surroundings, interpolate


def text_of(raw: str, folder: Path = Path(), **environ: str) -> str:
    return interpolate(raw, Surroundings(environ, folder)).text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("${A}", "1"),
        ("x${A}y${A}", "x1y1"),
        ("${NONE:-2}", "2"),
        ("${EMPTY:-2}", "2"),
        ("${EMPTY}", ""),
        ("${A:-2}", "1"),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b}", "a:-b"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("a$b $", "a$b $"),
    ],
)
def test_values(raw: str, expected: str) -> None:
    """Variables, defaults and escaped dollars."""
    assert expected == text_of(raw, A="1", EMPTY="")


@given(st.text())
def test_a_value_is_never_looked_at_again(value: str) -> None:
    """What a variable holds stands as it is, dollars and braces too."""
    assert f"<{value}>" == text_of("<${A}>", A=value)


@given(st.text())
def test_escaped_text_comes_back(text: str) -> None:
    """A text with every dollar doubled is that text."""
    done = interpolate(text.replace("$", "$$"), Surroundings({}))
    assert (text, False, [], []) == (done.text, done.used, done.missing, done.wrong)


@given(st.text(alphabet="${}:-AB/.", max_size=40))
def test_any_text_is_read(raw: str) -> None:
    """No text raises, and what is neither missing nor wrong has no placeholder left unread."""
    done = interpolate(raw, Surroundings({"A": "1"}))
    assert isinstance(done.text, str)


def test_many_openings_are_read_at_once() -> None:
    """A megabyte of openings is one finding, in linear time."""
    assert len(interpolate("${" * 2**19, Surroundings({})).wrong) == 1


@pytest.mark.parametrize("raw", ["${", "${A", "${}", "${1A}", "${A-b}", "${A:-${B}}", "${credential:}", "${credential:../x}"])
def test_wrong(raw: str) -> None:
    """What can never be resolved is wrong, whatever the environment."""
    assert len(interpolate(raw, Surroundings({"A": "1", "CREDENTIALS_DIRECTORY": "/"})).wrong) == 1


def test_missing_variable() -> None:
    """An unset variable without a default is missing, and its placeholder stays."""
    done = interpolate("x${NOPE}", Surroundings({}))
    assert (
        done.text,
        done.missing,
        done.wrong,
    ) == ("x${NOPE}", [("variable NOPE is not set", "set NOPE, or write ${NOPE:-default}")], [])


def test_file_beside_the_spec(tmp_path: Path) -> None:
    """A relative path starts at the spec's folder; one line break at the end goes."""
    (tmp_path / "password").write_text("pa ss\n\n")
    assert text_of("${file:password}", tmp_path) == "pa ss\n"


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there is missing; so is a folder."""
    around = Surroundings({}, tmp_path)
    assert [len(interpolate(raw, around).missing) for raw in ("${file:nope}", "${file:.}")] == [1, 1]


def test_file_too_big(tmp_path: Path) -> None:
    """A file over the cap is wrong."""
    (tmp_path / "big").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    assert len(interpolate("${file:big}", Surroundings({}, tmp_path)).wrong) == 1


def test_file_not_utf8(tmp_path: Path) -> None:
    """A file that is not text is wrong."""
    (tmp_path / "binary").write_bytes(b"\xff")
    assert len(interpolate("${file:binary}", Surroundings({}, tmp_path)).wrong) == 1


def test_credential(tmp_path: Path) -> None:
    """A credential is a file in systemd's folder."""
    (tmp_path / "db").write_text("secret\n")
    assert text_of("${credential:db}", CREDENTIALS_DIRECTORY=str(tmp_path)) == "secret"


def test_credential_of_a_folder(tmp_path: Path) -> None:
    """Our unit loads a whole folder, which puts a word before each name; one that is given by its name comes first."""
    (tmp_path / "stockifyd_db").write_text("secret")
    assert "secret" == text_of("${credential:db}", CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "db").write_text("other")
    assert "other" == text_of("${credential:db}", CREDENTIALS_DIRECTORY=str(tmp_path))


def test_credential_that_is_not_there(tmp_path: Path) -> None:
    """The hint says where its file belongs."""
    [(fact, hint)] = interpolate("${credential:db}", Surroundings({"CREDENTIALS_DIRECTORY": str(tmp_path)})).missing
    assert ("there is no such file" in fact, "put a file db into /etc/stockifyd/credentials" in hint) == (True, True)


def test_credential_without_systemd() -> None:
    """Without the folder a credential is missing, and the hint names the unit's setting."""
    missing = interpolate("${credential:db}", Surroundings({})).missing
    assert missing[0][1] == "give the unit LoadCredential=db:PATH"
