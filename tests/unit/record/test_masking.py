"""Masking by value, in texts and in streams."""

import base64
import json
from collections.abc import Callable

import pytest

from runpod_deploy.record.masking import Masker, StreamMasker, _spans


def test_a_value_is_hidden_everywhere_in_data() -> None:
    """Strings in lists, mappings and keys lose the value; other types stay."""
    masker = Masker(["hunter22"])

    assert masker.data({"hunter22": ["a hunter22", 3, None, True], "b": ("hunter22",)}) == {
        "***": ["a ***", 3, None, True],
        "b": ["***"],
    }


@pytest.mark.parametrize("value", ["", "1", "abc", "   a   ", "\n\n\n"])
def test_what_is_too_short_to_tell_is_shown(value: str) -> None:
    """A value of less than four telling characters does not hide the log."""
    assert Masker([value]).text("1 a abc b") == "1 a abc b"


def test_the_lines_of_a_file_are_hidden_one_by_one() -> None:
    """A key file printed with indentation is still hidden."""
    masker = Masker(["-----BEGIN-----\nAAAABBBB\n}\n"])

    assert masker.text("  AAAABBBB\n }") == "  ***\n }"


def test_the_values_of_lines_that_set_variables_are_hidden() -> None:
    """As written and as a shell reads them; what tells nothing, as `true`, hides nothing."""
    file = (
        "# keys\r\nexport A='it s'\r\nB = \"two2\" # the second\r\nC=three\r\nD=x\nE=true\nF='op\n"
    )
    shown = Masker([file]).text("it s|two2|three|x|true|'op|keys")

    assert shown == "***|***|***|x|true|'op|keys"


def test_overlapping_secrets_leave_nothing() -> None:
    """Where two secrets overlap, the whole of both is hidden."""
    assert Masker(["abcdef", "efghij"]).text("<abcdefghij>") == "<***>"


def test_a_secret_within_another_is_hidden_with_it() -> None:
    """The longer one leaves no rest."""
    assert Masker(["pass", "password1"]).text("password1 pass") == "*** ***"


def test_secrets_side_by_side_are_two_masks() -> None:
    """Occurrences that only touch are hidden each by its own mask."""
    assert Masker(["abcd"]).text("abcdabcd") == "******"


def test_a_value_is_hidden_inside_json_text() -> None:
    """A secret with quotes, line ends and accents is hidden in a JSON document."""
    secret = 'a"b\n\u00e9\\d'
    masker = Masker([secret])

    assert masker.text(json.dumps({"k": secret})) == '{"k": "***"}'
    assert masker.text(json.dumps({"k": secret}, ensure_ascii=False)) == '{"k": "***"}'


@pytest.mark.parametrize("written", ["'it'\"'\"'s me'", "'it'\\''s me'"])
def test_a_value_is_hidden_as_shells_quote_it(written: str) -> None:
    """Both ways to write a quote within single quotes are known."""
    assert Masker(["it's me"]).text(f"export K={written}") == "export K='***'"


def test_bytes_outside_utf8_are_hidden_in_a_stream() -> None:
    """A value from the environment that is not UTF-8 is found as the bytes it was."""
    stream = StreamMasker(Masker([b"se\xffcret".decode("utf-8", "surrogateescape")]))

    assert stream.feed(b"<se\xffcret>") + stream.flush() == b"<***>"


def test_a_lone_high_surrogate_is_no_obstacle() -> None:
    """A value that no encoding knows can be added and is hidden in texts."""
    masker = Masker(["\ud800abcd"])

    assert masker.text("<\ud800abcd>") == "<***>"
    assert StreamMasker(masker).feed(b"abc.") == b"abc."


def test_a_value_added_later_is_hidden_from_then_on() -> None:
    """A stream that is under way learns of new values."""
    masker = Masker()
    stream = StreamMasker(masker)
    before = stream.feed(b"hunter22 ")
    masker.add("hunter22")

    assert (before, stream.feed(b"hunter22 ")) == (b"hunter22 ", b"*** ")


def test_a_secret_cut_in_two_is_hidden() -> None:
    """Nothing of the first half is shown before the second half has come."""
    stream = StreamMasker(Masker(["hunter22"]))

    assert [stream.feed(b"pw: hun"), stream.feed(b"ter22!"), stream.flush()] == [
        b"pw: ",
        b"***!",
        b"",
    ]


def test_a_beginning_that_comes_to_nothing_is_shown_at_the_end() -> None:
    """What was held back is given out by flush, once."""
    stream = StreamMasker(Masker(["hunter22"]))

    assert [stream.feed(b"hun"), stream.flush(), stream.flush()] == [b"", b"hun", b""]


def test_a_mask_does_not_wait_for_what_may_follow() -> None:
    """A complete secret whose end may begin another one is shown as masked at once."""
    stream = StreamMasker(Masker(["abab"]))

    assert [stream.feed(b"abab"), stream.feed(b"ab"), stream.feed(b"ac"), stream.flush()] == [
        b"***",
        b"",
        b"ac",
        b"",
    ]


VALUE = "tok/en +$\u00e9'1"


@pytest.mark.parametrize(
    "written",
    [
        "tok%2Fen%20%2B%24%C3%A9%271",
        "tok/en%20%2B%24%C3%A9%271",
        "tok%2fen+%2b%24%c3%a9%271",
        "tok/en\\ +\\$\u00e9\\'1",
    ],
)
def test_a_value_is_hidden_as_urls_and_printf_q_write_it(written: str) -> None:
    """Percent signs in both cases, with and without slashes, forms, and `printf %q` hide nothing."""
    assert Masker([VALUE]).text(f"curl ?k={written}&x") == "curl ?k=***&x"


@pytest.mark.parametrize("before", ["", "u", "u:", "us:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_is_hidden_within_base64(before: str, encode: Callable[[bytes], bytes]) -> None:
    """Wherever it stands in what was encoded, its own characters are gone."""
    text = encode(f"{before}{VALUE}{VALUE}\n".encode()).decode()
    shown = Masker([VALUE]).text(text)

    assert shown.count("***") == 2
    assert len(shown.replace("***", "")) <= 4 + 4 + 4


def test_a_long_value_is_hidden_in_lines_of_base64() -> None:
    """`base64` breaks its lines; the break does not save the secret."""
    secret = "".join(map(str, range(90)))
    text = base64.encodebytes(f"{secret}\n".encode()).decode()

    assert Masker([f"{secret}\n"]).text(text).startswith("***")
    assert not any(line in Masker([secret]).text(text) for line in text.splitlines()[:-1])


def test_the_line_break_after_a_value_stays() -> None:
    """Files and commands end with one; the log keeps its lines, and JSON text hides it as well."""
    assert Masker(["hunter22\n"]).text("a hunter22\nb\n") == "a ***\nb\n"
    assert Masker(["hunter22\n"]).text('"hunter22\\n"') == '"***"'


def test_a_masker_does_not_show_its_values() -> None:
    """The representation tells only how many there are."""
    assert repr(Masker(["hunter22"])) == "Masker(1 values)"


def test_a_secret_that_repeats_itself_costs_no_quadratic_time() -> None:
    """The number of occurrences looked at does not grow with each overlap."""

    class Counting(bytes):
        calls = 0

        def rfind(self, *arguments: object) -> int:
            type(self).calls += 1
            return super().rfind(*arguments)

    masker = Masker(["a" * 100])

    assert _spans(Counting(b"a" * 10_000), masker.needles()) == [(0, 10_000)]
    assert Counting.calls < 250
