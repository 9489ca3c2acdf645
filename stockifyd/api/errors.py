"""What a component may raise, named by what the runtime then does.

StockifydError
├── Retry        the same batch again, after a jittered, growing pause; capped, then as Unavailable
├── Unavailable  the far side is away: the breaker opens, the source is paused, retried for ever, nothing is dropped;
│                out of `Source.read`, again and again without a message between: the pipeline fails, a new process may help
├── Reject       this data can never be written: its message becomes a dead letter, its neighbours go on
├── Drift        the far side changed shape or rights: the pipeline halts and tells the operator
└── Fenced       another owner took our partitions: forget what is in flight, claim again
Anything else is a bug in the component: three tries, then the pipeline halts; no offset moves.
"""


class StockifydError(Exception):
    """Base of all. `reason` is one line, lower case, without row data or secrets; `hint` is printed below it."""

    def __init__(self, reason: str, *, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


class Retry(StockifydError):
    """The same batch may succeed a moment later (a deadlock, a serialization failure)."""


class Unavailable(StockifydError):
    """The far side cannot be reached, or is too sick to work; it is tried again for ever."""


class Drift(StockifydError):
    """The far side is not what the spec says (a column dropped, a right revoked); an operator must act."""


class Fenced(StockifydError):
    """A partition is not ours any more, or not where we left it."""


class Reject(StockifydError):
    """Nothing of this call was made durable, because of a row.

    `table` and `row` name it, if known: that row's message is taken out and the rest is written again. Without them
    the runtime halves the batch until the message is found. `code` is the far side's own (an SQLSTATE).
    """

    def __init__(self, reason: str, *, table: str = "", row: int | None = None, code: str = "", hint: str = "") -> None:
        super().__init__(reason, hint=hint)
        self.table, self.row, self.code = table, row, code
