"""Storage format as a reader sees it: structure is kept, what other places hold is not taken in."""

import pytest

from connectors.confluence.markup import DEEPEST
from connectors.confluence.references import Target
from connectors.confluence.storage import document, mentioned, rendered
from streams.prepare.parsers.html import parse_html

SITE = "https://wiki.example.com/"
ANN = Target(kind="user", name="712020:ee", by="account_id")


def html(storage: str) -> str:
    return rendered(storage, site_url=SITE, space="ENG", names={ANN: "Ann"}).html


def macro(called: str, inner: str = "", /, **parameters: str) -> str:
    given = "".join(f'<ac:parameter ac:name="{key}">{value}</ac:parameter>' for key, value in parameters.items())
    return f'<ac:structured-macro ac:name="{called}" ac:schema-version="1">{given}{inner}</ac:structured-macro>'


def rich(inner: str) -> str:
    return f"<ac:rich-text-body>{inner}</ac:rich-text-body>"


def page(title: str) -> str:
    return f'<ac:link><ri:page ri:content-title="{title}" /></ac:link>'


USER = '<ri:user ri:account-id="712020:ee" />'
FILE = '<ri:attachment ri:filename="a.pdf" />'


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("<h2>Plan</h2><p>A&nbsp;&amp; B &lt;C&gt;</p>", "<h2>Plan</h2><p>A\xa0&amp; B &lt;C&gt;</p>"),
        (
            '<table class="x"><colgroup><col /></colgroup><tr><th>H</th><td colspan="2">1</td></tr></table>',
            '<table><tr><th>H</th><td colspan="2">1</td></tr></table>',
        ),
        (
            macro("code", "<ac:plain-text-body><![CDATA[if a < b && c: <b>]]></ac:plain-text-body>", language="py"),
            "<pre><code>if a &lt; b &amp;&amp; c: &lt;b&gt;</code></pre>",
        ),
        (
            macro("code", "<ac:plain-text-body><![CDATA[a]]]]><![CDATA[>b]]></ac:plain-text-body>", title="Loop"),
            "<p><strong>Loop</strong></p><pre><code>a]]&gt;b</code></pre>",
        ),
        (
            macro("info", rich("<p>Mind <em>this</em></p>"), title="Note"),
            "<p><strong>Note</strong></p><div><p>Mind <em>this</em></p></div>",
        ),
        (macro("expand", rich(macro("tip", rich("<p>deep</p>")))), "<div><div><p>deep</p></div></div>"),
        (f"<p>{macro('status', title='DONE', colour='Green')}</p>", "<p>DONE</p>"),
        (macro("toc") + macro("children") + macro("recently-updated", rich("<p>x</p>")), ""),
        (macro("excerpt", rich("<p>secret</p>"), hidden="true"), ""),
        (macro("of-some-vendor", rich("<p>kept</p>")), "<div><p>kept</p></div>"),
        (
            '<ac:link><ri:user ri:account-id="712020:ee" /></ac:link>, <ac:link><ri:user ri:userkey="k" /></ac:link>',
            "@Ann, @somebody",
        ),
        (
            '<ac:link><ri:page ri:content-title="To do" ri:space-key="HR" /></ac:link>',
            '<a href="https://wiki.example.com/display/HR/To%20do">To do</a>',
        ),
        (
            (
                '<ac:link><ri:page ri:content-title="B" /><ac:plain-text-link-body><![CDATA[see <B>]]>'
                "</ac:plain-text-link-body></ac:link>"
            ),
            '<a href="https://wiki.example.com/display/ENG/B">see &lt;B&gt;</a>',
        ),
        ('<ac:image ac:alt="a plan"><ri:attachment ri:filename="plan.png" /></ac:image>', '<img alt="a plan">'),
        (
            (
                "<ac:task-list><ac:task><ac:task-id>7</ac:task-id><ac:task-status>complete</ac:task-status>"
                "<ac:task-body>ship</ac:task-body></ac:task><ac:task><ac:task-status>incomplete</ac:task-status>"
                "<ac:task-body>rest</ac:task-body></ac:task></ac:task-list>"
            ),
            "<ul><li>[x] ship</li><li>[ ] rest</li></ul>",
        ),
        ('<p><time datetime="2024-11-19" /></p>', "<p>2024-11-19</p>"),
        ('<ac:emoticon ac:name="tick" ac:emoji-fallback="✅" />', "✅"),
        (
            "<ac:layout><ac:layout-section><ac:layout-cell><p>a</p></ac:layout-cell></ac:layout-section></ac:layout>",
            "<div><div><div><p>a</p></div></div></div>",
        ),
        (
            (
                '<ac:adf-extension><ac:adf-node type="panel"><ac:adf-attribute key="t">note</ac:adf-attribute>'
                "<ac:adf-content><p>once</p></ac:adf-content></ac:adf-node><ac:adf-fallback><p>once</p></ac:adf-fallback>"
                "</ac:adf-extension>"
            ),
            "<div><p>once</p></div>",
        ),
        (
            f"<p>by {macro('profile', user=USER)} and {macro('profile-picture', User=USER)}</p>",
            "<p>by @Ann and @Ann</p>",
        ),
        (macro("profile", user=USER), "<p>@Ann</p>"),
        (
            macro("widget", url='<ri:url ri:value="https://youtu.be/x?a=1&amp;b=2" />', width="400"),
            '<p><a href="https://youtu.be/x?a=1&amp;b=2">https://youtu.be/x?a=1&amp;b=2</a></p>',
        ),
        (
            macro("iframe", src="https://charts.example.com/7", title="Sales", height="300"),
            '<p><a href="https://charts.example.com/7">Sales</a></p>',
        ),
        (
            macro("of-some-vendor", first=page("A"), second=page("B"), title="Both", mode="dark"),
            (
                '<p>Both <a href="https://wiki.example.com/display/ENG/A">A</a> '
                '<a href="https://wiki.example.com/display/ENG/B">B</a></p>'
            ),
        ),
        (macro("of-some-vendor", user=USER, title="Owner"), "<p>Owner @Ann</p>"),
        (macro("of-some-vendor", theme="dark", note="http is a protocol"), ""),
        (macro("drawio", diagramName="flow.drawio", diagramDisplayName="Flow"), "<p>Flow</p>"),
        (macro("multimedia", name='<ri:attachment ri:filename="demo.mp4" />'), "<p>demo.mp4</p>"),
        (f"<li>{macro('view-file', name=FILE)} {macro('status', title='OLD')}</li>", "<li>a.pdf OLD</li>"),
        (f"<td>{macro('status', title='A')}{macro('status', title='B')}</td>", "<td>A B</td>"),
        (macro("jira", key="ABC-1", server="JIRA"), "<p>ABC-1</p>"),
        (macro("status", colour="Green"), ""),
        (
            '<ac:link><ri:user ri:userkey="k" /><ac:link-body>Lee</ac:link-body></ac:link>',
            "@Lee",
        ),
        ('<ac:link ac:anchor="Risks" />', "Risks"),
        ('<ac:link><ri:shortcut ri:key="jira" ri:parameter="ABC-1" /></ac:link>', "ABC-1"),
        ('<td><ac:emoticon ac:name="tick" /></td>', "<td>:tick:</td>"),
        ('<p onclick="x()">a<script>alert(1)</script><style>p{}</style></p>', "<p>a</p>"),
        ("<p>a<br />b</p><hr />", "<p>a<br>b</p><hr>"),
        (
            f"<div>{macro('status', title='A')}</div><blockquote>{macro('status', title='B')}</blockquote>",
            "<div><p>A</p></div><blockquote><p>B</p></blockquote>",
        ),
        ("<p>never <strong>closed", "<p>never <strong>closed</strong></p>"),
    ],
)
def test_it_is_what_a_reader_sees(storage: str, expected: str) -> None:
    assert html(storage) == expected


def test_an_included_page_is_a_link_for_its_readers_may_be_others() -> None:
    included = macro(
        "include", '<ac:parameter ac:name=""><ac:link><ri:page ri:content-title="Pay" /></ac:link></ac:parameter>'
    )
    found = rendered(included, site_url=SITE, space="HR", names={})
    assert found.html == '<p>Includes: <a href="https://wiki.example.com/display/HR/Pay">Pay</a></p>'
    assert [(each.relation, each.target.name) for each in found.references] == [("includes", "Pay")]


def test_what_is_referred_to_is_told_once() -> None:
    link = '<a href="https://x.atlassian.net/wiki/spaces/ENG/pages/196760/Project+Plan">plan</a>'
    found = rendered(
        f'{link}{link}<ac:link><ri:user ri:account-id="712020:ee" /></ac:link>', site_url=SITE, space="", names={}
    )
    assert [(each.relation, each.target.content_id or each.target.name) for each in found.references] == [
        ("links_to", "196760"),
        ("mentions", "712020:ee"),
    ]
    assert mentioned('<ac:link><ri:user ri:account-id="712020:ee" /></ac:link>') == {ANN}


def test_what_a_macro_without_a_body_names_is_referred_to() -> None:
    shown = macro("of-some-vendor", user=USER, page=page("Plan"), address="https://example.com/", width="1")
    found = rendered(shown + macro("children", page=page("Other")), site_url=SITE, space="ENG", names={})
    assert [(each.relation, each.target.name) for each in found.references] == [
        ("mentions", "712020:ee"),
        ("links_to", "Plan"),
        ("links_to", "https://example.com/"),
    ]
    assert mentioned(shown) == {ANN}


def test_a_page_that_nests_without_end_is_read() -> None:
    deep = "<div>" * 5_000 + "end"
    assert html(deep).count("<div>") >= DEEPEST
    assert "end" in html(deep)


def test_the_platforms_parser_finds_title_sections_tables_and_code() -> None:
    body = html(
        "<h2>Plan</h2><table><tbody><tr><td>a</td></tr></tbody></table>"
        + macro("noformat", "<ac:plain-text-body>x = 1</ac:plain-text-body>")
    )
    parsed = parse_html(document("R & D", [body]))
    assert parsed.title == "R & D"
    assert {"Plan", "x = 1"} <= set(parsed.text.splitlines())
