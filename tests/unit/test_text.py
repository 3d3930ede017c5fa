"""Texts: cut between characters, shown without harm, and rid of what nobody can see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts import text as texts

GUARDED = st.text(
    st.sampled_from("ab \u200b\u200c\u200d\u202e\u2066\ufe0f\U0001f469\u0915\u094d\u0628\U000e0041")
)


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("abcd efg", 6, "abcd…"),
        ("abc😀😀", 6, "abc😀…"),
        ("abcd😀😀", 6, "abcd…"),
        ("abcde\u0301fg", 6, "abcd…"),
        ("ab👩\u200d💻cd", 6, "ab…"),
        ("a" + "\u0301" * 100, 50, "a" + "\u0301" * 16 + "…"),
    ],
)
def test_texts_are_cut_between_characters(text: str, limit: int, cut: str) -> None:
    """No surrogate pair, accent or joined emoji is cut in half; a pathological one is cut nevertheless."""
    assert texts.cut(text, limit) == cut


@pytest.mark.parametrize(
    "character",
    [
        *"\u00ad\u200b\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\U000e0001\U000e0041\U000e007f"
    ],
)
def test_what_nobody_can_see_does_not_survive(character: str) -> None:
    """Direction overrides, empty spaces, marks and tags are gone from any place, and their numbers are noted."""
    for text in (f"{character}ab", f"a{character}b", f"ab{character * 3}", f"a\U0001f469{character}b"):
        visible, note = texts.visible(text)
        assert visible == text.replace(character, "")
        assert note
        assert note.startswith(f"U+{ord(character):04X} (")


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f4bb was here",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0915\u094d\u200d\u0937",
        "\u05e9\u200f!",
        "1\ufe0f\u20e3",
    ],
    ids=["woman at a computer", "heart on fire", "rainbow flag", "Persian", "Devanagari", "Hebrew", "keycap"],
)
def test_what_a_script_or_an_emoji_needs_stays(text: str) -> None:
    """Joiners inside emoji and between letters that they join or part, variation selectors and marks stay."""
    assert texts.visible(text) == (text, None)


@pytest.mark.parametrize(
    "text", ["a\u200db", "a\u200cb", "\u200d\U0001f4bb", "\U0001f469\u200d", "\U0001f469\u200da"]
)
def test_a_joiner_that_joins_nothing_goes(text: str) -> None:
    """Between Latin letters, and at one side of an emoji only, a joiner is only invisible."""
    assert not {"\u200c", "\u200d"} & set(texts.visible(text)[0])


@given(GUARDED | st.text())
def test_a_visible_text_is_left_alone(text: str) -> None:
    """What came out once comes out again, without a word."""
    visible, _ = texts.visible(text)
    assert texts.visible(visible) == (visible, None)


@pytest.mark.parametrize(
    "ends", ["\u200b", "\ufeff", "\u00a0", "\u202e", "\u2060", "\u00ad", "\u200d", " \u200b\t"]
)
def test_ends_are_trimmed_with_a_note(ends: str) -> None:
    """White space goes silently as ever, what nobody can see with its number; the inside is not touched."""
    trimmed, note = texts.trimmed(f"{ends}a {ends}b{ends}")
    assert trimmed == f"a {ends}b"
    unseen = ends.strip(" \t")
    assert note
    assert f"U+{ord(unseen):04X}" in note
    assert texts.trimmed(" a b\n") == ("a b", None)
    assert texts.trimmed(ends)[0] == ""


@given(st.text())
def test_trimming_takes_from_the_ends_only(text: str) -> None:
    """What is kept is a part of the text, and has nothing more to trim."""
    trimmed, _ = texts.trimmed(text)
    assert trimmed in text
    assert texts.trimmed(trimmed) == (trimmed, None)


@given(st.text(st.characters()) | GUARDED)
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    """A value in an answer or a log is short, can be sent, and turns no direction."""
    shown = texts.shown(text)
    assert shown.encode()
    assert len(shown) <= 600
    assert not {"\n", "\r", "\u2028", "\u202e", "\u2066", "\u200b", "\U000e0041"} & set(shown)
