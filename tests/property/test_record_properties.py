"""What holds of the record for every input: masking, folding, reading."""

import json
import shlex
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from record_cases import open_journal, validator
from runpod_deploy.record.event_lines import encode_event, parse_event
from runpod_deploy.record.events import EVENT_TYPES, HEAD, Event
from runpod_deploy.record.journal import read_events
from runpod_deploy.record.manifest import wall_time
from runpod_deploy.record.masking import MASK, SHORTEST, Masker, StreamMasker
from runpod_deploy.record.run import Run, RunState, fold, step
from runpod_deploy.record.spending import accrued_usd

# Few letters, so that secrets overlap, repeat and contain one another.
WORDS = st.text(alphabet="ab*", min_size=SHORTEST, max_size=7)
STREAMS = st.lists(st.text(alphabet="ab*c", max_size=9).map(str.encode), max_size=12)
# Control characters, quotes, line ends of every kind, a letter outside ASCII, a lone surrogate.
TEXT = st.sampled_from("ab '\"\\\n\r\t\0\x1b\x85\x9b\u2028\u00e9\U0001f600\udc80")
TEXTS = st.text(TEXT, max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=4,
)
# How long an example takes depends on what else the machine does.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FIELDS = sorted({key for kind in EVENT_TYPES.values() for key in kind.fields})
STAMPS = st.sampled_from(["2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00Z", "", "soon"])
IDS = st.sampled_from(["p1", "p2", "p3"])
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(),
    "number": st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "array": st.lists(TEXTS, max_size=3),
    "null": st.none(),
}


@st.composite
def written_fields(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Fields of an event as the closed list wants them; ids come from a few, so that they meet."""
    kind = EVENT_TYPES[name]
    fields: dict[str, Any] = {}
    for key, types in kind.fields.items():
        if key in kind.values:
            fields[key] = draw(st.sampled_from(kind.values[key]))
        elif key in {"op_id", "pod_id", "name", "label", "step"}:
            fields[key] = draw(IDS)
        elif key == "outcome":
            fields[key] = draw(st.sampled_from(["created", "gone", "leaked", "stopped", "none"]))
        else:
            fields[key] = draw(st.one_of([VALUES[one] for one in types.split("|")]))
    return fields


@st.composite
def good_events(draw: st.DrawFn) -> Event:
    """An event of the closed list."""
    name = draw(st.sampled_from(list(EVENT_TYPES)))
    return Event(event=name, ts_utc=draw(STAMPS), seq=1, fields=draw(written_fields(name)))


@st.composite
def foreign_events(draw: st.DrawFn) -> Event:
    """An event with a known or unknown name and whatever fields."""
    name = draw(st.sampled_from([*EVENT_TYPES, "sandwich_made", "lunch_intended", "lunch_settled"]))
    fields = draw(st.dictionaries(st.sampled_from(FIELDS), JSON | IDS, max_size=6))
    return Event(event=name, ts_utc=draw(STAMPS | TEXTS), fields=fields)


def covered(secrets: list[str], text: str) -> str:
    """Mask by the definition, slowly: hide each character that belongs to an occurrence."""
    spans = sorted(
        (at, at + len(secret))
        for secret in secrets
        for at in range(len(text))
        if text.startswith(secret, at)
    )
    shown, done = "", 0
    for start, end in spans:
        if start >= done:
            shown += text[done:start] + MASK
        done = max(done, end)
    return shown + text[done:]


@unhurried
@given(st.lists(WORDS, min_size=1, max_size=4), STREAMS)
@example(["abab"], [b"ab", b"abab", b"c"])
@example(["aaaa", "aab*"], [b"aaa", b"a", b"ab", b"*"])
def test_any_cut_of_a_stream_masks_like_the_whole(secrets: list[str], pieces: list[bytes]) -> None:
    """However a stream is cut, the output is that of masking it whole, by the definition."""
    masker = Masker(secrets)
    stream = StreamMasker(masker)
    whole = b"".join(pieces).decode()

    shown = b"".join([*(stream.feed(piece) for piece in pieces), stream.flush()])

    assert covered(secrets, whole) == shown.decode()
    assert covered(secrets, whole) == masker.text(whole)


@unhurried
@given(st.lists(WORDS, min_size=1, max_size=3), STREAMS)
def test_only_the_beginning_of_a_secret_is_held_back(
    secrets: list[str], pieces: list[bytes]
) -> None:
    """After each piece the held bytes are the longest end that begins a secret, and no more."""
    stream = StreamMasker(Masker(secrets))
    seen = b""
    for piece in pieces:
        stream.feed(piece)
        seen += piece
        beginnings = {secret[:size].encode() for secret in secrets for size in range(len(secret))}
        longest = max(len(one) for one in beginnings if seen.endswith(one))
        assert longest == len(stream._held)


@unhurried
@given(st.text(TEXT, min_size=SHORTEST, max_size=20))
@example('it\'s "quoted"\nand\tgoes on \\ caf\u00e9')
@example("''''")
def test_a_secret_is_hidden_as_json_and_shells_write_it(secret: str) -> None:
    """JSON in both encodings and both ways of shell quoting are masked like the value itself.

    Line breaks that it ends with are not part of it.
    """
    masker = Masker([secret])
    escaped = secret.replace("'", "'\\''")

    for written in (
        f"'{secret}'",
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        shlex.quote(secret),
        f"'{escaped}'",
    ):
        assert masker.text(written).strip("'\"\n") == MASK


@unhurried
@given(st.lists(good_events() | foreign_events(), max_size=12))
def test_every_prefix_folds(events: list[Event]) -> None:
    """Any events, of any writer, in any order, fold step by step without an exception."""
    run = Run()
    for count, one in enumerate(events, 1):
        run = step(run, one)
        assert run == fold(events[:count])
    assert run.pod is None or run.pod in run.pods.values()
    assert accrued_usd(run, "2026-03-01T14:00:00Z", 1.0) >= 0
    assert (wall_time(run, "2026-03-01T14:00:00Z") or 0) >= 0


@unhurried
@given(st.lists(good_events(), max_size=12), st.integers(0, 12))
def test_unknown_events_change_nothing(events: list[Event], at: int) -> None:
    """An event that is not known can stand anywhere."""
    unknown = Event(event="sandwich_made", ts_utc="2026-03-01T12:00:00Z", fields={"op_id": "p1"})

    assert fold(events) == fold([*events[:at], unknown, *events[at:]])


@unhurried
@given(st.lists(good_events(), max_size=12))
def test_the_state_is_what_was_said_last(events: list[Event]) -> None:
    """The state is that of the last start or change; only a final one has an end."""
    expected = RunState.NEW
    for one in events:
        if one.event == "run_started":
            expected = RunState.WORKING
        elif one.event == "state_changed":
            expected = RunState(one["state"])
    run = fold(events)

    assert expected is run.state
    assert run.ended_at is None or run.state.final


@unhurried
@given(st.lists(good_events(), max_size=12))
def test_an_intent_is_open_until_it_is_settled(events: list[Event]) -> None:
    """Open are the op_ids whose last event of a pair is the intent."""
    last: dict[str, str] = {}
    for one in events:
        if one.event.endswith(("_intended", "_settled")):
            last[one["op_id"]] = one.event

    assert {op for op, name in last.items() if name.endswith("_intended")} == set(
        fold(events).open_intents
    )


@unhurried
@given(foreign_events())
def test_a_line_reads_back(one: Event) -> None:
    """What JSON can say of an event is the same after writing and reading, head apart."""
    try:
        raw = encode_event(one)
    except ValueError:
        return
    again = parse_event(raw)

    assert again is not None
    assert (one.event, one.ts_utc, dict(one.fields)) == (
        again.event,
        again.ts_utc,
        dict(again.fields),
    )


@unhurried
@given(st.binary(max_size=60) | JSON.map(lambda data: json.dumps(data).encode()))
def test_no_line_upsets_the_reader(raw: bytes) -> None:
    """Any bytes are an event or are not; neither is an error."""
    one = parse_event(raw)

    assert one is None or set(HEAD) <= set(one)


@unhurried
@given(st.data())
def test_whatever_the_journal_writes_validates(data: st.DataObject) -> None:
    """Any event that the list allows, texts however hostile, is a valid line and reads back."""
    name = data.draw(st.sampled_from(list(EVENT_TYPES)))
    fields = data.draw(written_fields(name))
    with tempfile.TemporaryDirectory() as folder:
        journal = open_journal(Path(folder))
        written = journal.write(name, **fields)
        journal.close()
        (again,) = read_events(journal.path)

    assert written == again
    validator("event").validate(again.line())
