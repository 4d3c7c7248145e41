"""A judged scorer of somebody's own, named `tests.labelling.own_judge:Polite` in suites."""

from harness.records import Case, Completion, Message, Score, record


@record
class Polite:
    """Whether the answer is polite.

    What stands here is for programmers.
    """

    standard: str = "that of a good shop"

    def question(self, case: Case, completion: Completion) -> tuple[Message, ...]:
        return ({"role": "user", "content": f"Polite, by {self.standard}? {completion.text}"},)

    def read(self, case: Case, completion: Completion, reply: Completion) -> Score:
        return Score(value=float(reply.text == "yes"), reason=reply.text)


@record
class Wordless:
    def question(self, case: Case, completion: Completion) -> tuple[Message, ...]:
        return ()

    def read(self, case: Case, completion: Completion, reply: Completion) -> Score:
        return Score(value=None, reason="?")
