"""Options: secrets are never printed, types are found, and what does not fit is named."""
# what is expected stands first in an assert

import copy
import pickle
from typing import Annotated, Any, Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from stockifyd.api import Batch, Config, Secret, Sink, Transform, config_type, configure

VALUE = "hunter2-hunter2"


class Account(Config, frozen=True):
    user: str
    password: Secret


class SinkOptions(Config, frozen=True):
    account: Account
    tables: dict[str, str] = {}  # noqa: RUF012  # msgspec copies it
    batch_max_rows: Annotated[int, Meta(ge=1)] = 100

    def __post_init__(self) -> None:
        if "secret" in self.tables:
            raise ValueError("a table may not be called 'secret'")


class Plain(Sink[SinkOptions]):
    """A sink."""

    type = "plain"

    async def write(self, batch: Batch) -> None: ...


class Child(Plain):
    """A sink that inherits its options."""

    type = "child"


class Other(Config, frozen=True):
    width: float = 5.0


C = TypeVar("C", bound=Config)


class Base(Transform[C], Generic[C]):
    """A base class that leaves its options open."""

    def apply(self, batch: Batch) -> Batch:
        return batch


class Leaf(Base[Other]):
    """A transform that closes them."""

    type = "leaf"


class NoBrackets(Sink):  # type: ignore[type-arg]
    """A sink whose author forgot the brackets."""

    type = "no_brackets"

    async def write(self, batch: Batch) -> None: ...


def options(**changes: Any) -> dict[str, Any]:
    return {"account": {"user": "me", "password": VALUE}, **changes}


@pytest.mark.parametrize(
    "shown",
    [
        repr,
        str,
        "{}".format,
        "{!r}".format,
        "{!s}".format,
        "%s".__mod__,
        "%r".__mod__,
        lambda s: f"{s}",
        lambda s: f"{[s]}",
        lambda s: f"{s:}",
    ],
)
def test_a_secret_prints_as_stars(shown: Any) -> None:
    """However it is printed, a secret is ***."""
    assert (True, False) == ("***" in shown(Secret(VALUE)), VALUE in shown(Secret(VALUE)))


@given(st.text(min_size=4))
def test_no_secret_text_is_printed(text: str) -> None:
    """Not for any text."""
    assert "***" == repr(Secret(text)) == str(Secret(text))


def test_options_do_not_print_their_secrets() -> None:
    """A Struct that holds a secret prints stars in its place."""
    config = configure(Plain, options())
    assert (True, False) == ("password=***" in repr(config), VALUE in repr(config))


def test_a_secret_reveals_itself_when_asked() -> None:
    """`reveal` gives the value back."""
    config = configure(Plain, options())
    assert isinstance(config, SinkOptions)
    assert VALUE == config.account.password.reveal()


@pytest.mark.parametrize("bad", [{"account": {"user": 7, "password": VALUE}}, {"account": {"user": "me", "password": [VALUE]}}])
def test_errors_do_not_print_secrets(bad: dict[str, Any]) -> None:
    """What msgspec says of options that do not fit holds no value."""
    with pytest.raises(msgspec.ValidationError) as caught:
        configure(Plain, bad)
    assert VALUE not in str(caught.value)


def test_a_secret_of_another_type_says_where_and_what_to_do() -> None:
    """A password of digits is a number in YAML: a finding with its path, not a crash."""
    with pytest.raises(msgspec.ValidationError, match=r"Expected `str`, got `int`: put it in quotes - at `\$.account.password`"):
        configure(Plain, {"account": {"user": "me", "password": 1234}})


def test_secrets_are_not_written_as_json() -> None:
    """An encoder that knows nothing of secrets refuses them; it does not write them."""
    with pytest.raises(TypeError):
        msgspec.json.encode(configure(Plain, options()))


def test_a_secret_does_not_leave_by_pickle() -> None:
    """A secret refuses to be pickled: it would be readable among the bytes."""
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(Secret(VALUE))


def test_a_secret_can_be_copied() -> None:
    """A deep copy of options, inside the process, keeps the value."""
    assert Secret(VALUE) == copy.deepcopy(Secret(VALUE))


def test_secrets_are_equal_by_value() -> None:
    """A reload of an unchanged spec finds equal options; of a changed password, others."""
    assert (True, False) == (Secret("a") == Secret("a"), Secret("a") == Secret("b"))
    assert {Secret("a")} == {Secret("a"), Secret("a")}


def test_a_secret_is_no_string() -> None:
    """It is not equal to its text: no comparison tells it by accident."""
    assert Secret(VALUE) != VALUE


@pytest.mark.parametrize(("component", "expected"), [(Plain, SinkOptions), (Child, SinkOptions), (Leaf, Other)])
def test_the_options_type_is_between_the_brackets(component: type[Any], expected: type[Config]) -> None:
    """Also where a base class names it, or leaves it open for a subclass to close."""
    assert expected is config_type(component)


def test_forgotten_brackets_are_told() -> None:
    """The error says what to write."""
    with pytest.raises(TypeError, match=r"NoBrackets: write its options in brackets, e\.g\. Sink\[NoBracketsOptions\]"):
        config_type(NoBrackets)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"account": {"user": "me"}}, r"missing required field `password` - at `\$.account`"),
        (options(tabels={}), "unknown field `tabels`"),
        (options(batch_max_rows=0), r">= 1 - at `\$.batch_max_rows`"),
        (options(batch_max_rows="9"), r"Expected `int`, got `str` - at `\$.batch_max_rows`"),
        (options(tables={"secret": "x"}), "a table may not be called 'secret'"),
    ],
)
def test_what_does_not_fit_is_named(bad: dict[str, Any], said: str) -> None:
    """An error names the option's path and what is wrong with it."""
    with pytest.raises(msgspec.ValidationError, match=said):
        configure(Plain, bad)


def test_options_are_frozen() -> None:
    """Nobody changes options after they were read."""
    config = configure(Leaf, {})
    with pytest.raises(AttributeError):
        config.width = 7.0  # type: ignore[attr-defined]
