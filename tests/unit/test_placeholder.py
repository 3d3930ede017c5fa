"""What a sender's template engine left unfilled differs from text that only mentions braces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.alerts.placeholder import unfilled


@pytest.mark.parametrize(
    "text",
    [
        *(
            "{{alert.title}}",
            "{{ .CommonLabels.alertname }}",
            "{{{body}}}",
            "{{#each alerts}}",
            "{{ alert['name'] }}",
        ),
        *(
            "${severity}",
            "${alert.name}",
            "#{title}",
            "${{ inputs.title }}",
            "{% if title %}",
            "<%= title %>",
        ),
        *(
            "$result.description$",
            "$name$",
            "$alert.title",
            "$(title)",
            "%(title)s",
            "%{[rule][name]}",
            "%name%",
        ),
        *("@{triggerBody()?['title']}", "@triggerBody()?['title']", "[[title]]", "<title>", "<<rule name>>"),
        *(
            "{title}",
            "{rule name}",
            "{0}",
            "{EVENT.NAME}",
            "{$MACRO}",
            "*UNKNOWN*",
            "<no value>",
            "[no value]",
        ),
    ],
)
def test_a_placeholder_alone_is_unfilled(text: str) -> None:
    """The forms of the template engines that senders use, alone and between blanks, are named as they stand."""
    assert unfilled(text) == text
    assert unfilled(f"  {text}\n") == text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("{{user}} signed in from a new country", "{{user}}"),
        ("[{{severity}}] LSASS was read", "{{severity}}"),
        ("$result.host$: LSASS was read", "$result.host$"),
        ("={{ $json.title }}", "{{ $json.title }}"),
        ("Problem: {EVENT.NAME}", "{EVENT.NAME}"),
        ("{EVENT.NAME} on {HOST.NAME}", "{EVENT.NAME}"),
        ("{title} - {severity}", "{title}"),
        ("New alert {{ name }} (#{{ id }})", "{{ name }}"),
        ("$trigger$ on $host$", "$trigger$"),
        ("{{alert.description}}\n" + "More words. " * 200, "{{alert.description}}"),
    ],
)
def test_the_first_placeholder_is_named(text: str, first: str) -> None:
    """A text that begins with a placeholder, or that says nothing else, gives the first one."""
    assert unfilled(text) == first


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "Alert", "High", "LSASS was read", "[x]", "*", "100% of 50%", "Costs $5 and $6"),
        *(
            "LSASS was read on {{host}}",
            "powershell -c ${env:TEMP}\\a.ps1",
            "rule $name$ was changed by an admin",
        ),
        *(
            "function () {{ return 1 }}",
            "{{7*7}} was posted",
            "${jndi:ldap://x/a} in a header",
            "{}",
            '{"a": 1}',
        ),
        *("%TEMP%\\evil.exe was started", "$IPC$ share was opened", "[[ -f /etc/shadow ]] was run"),
        *("<script> in a form", "<b>LSASS was read</b>", "<br>", "@{DeviceId=1; ReportId=2}", "@admin"),
        "{4fa5dd22-930c-5893-8805-e82ef7775c64}",
    ],
)
def test_a_text_that_only_mentions_one_is_filled(text: str) -> None:
    """Code, paths, markup, printed maps and GUIDs are what they are."""
    assert unfilled(text) is None


@given(st.text(alphabet="{}$%#@[]<>()._ ax1\n", max_size=1_500))
def test_what_is_named_stands_in_the_text(text: str) -> None:
    """Whatever the text, what is named is a part of it."""
    assert (unfilled(text) or "") in text
