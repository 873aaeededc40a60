"""What a body refers to, by each of the ways in which it can be said, and where that is."""

import pytest

from connectors.confluence.references import Target
from connectors.confluence.storage import mentioned, rendered

SITE = "https://wiki.example.com/"


def html(storage: str) -> str:
    return rendered(storage, site_url=SITE, space="ENG", names={}).html


def told(storage: str) -> list[tuple[str, Target]]:
    return [(each.relation, each.target) for each in rendered(storage, site_url=SITE, space="ENG", names={}).references]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        (
            '<a href="/pages/viewpage.action?pageId=77">x</a>',
            Target(kind="url", name="/pages/viewpage.action?pageId=77", content_id="77"),
        ),
        ('<a href="http://other.test/">x</a>', Target(kind="url", name="http://other.test/")),
        (
            '<a href="https://wiki.example.com/people/7" data-account-id="7">Ann</a>',
            Target(kind="user", name="7", by="account_id"),
        ),
        (
            '<ac:link><ri:content-entity ri:content-id="88" /></ac:link>',
            Target(kind="page", name="88", content_id="88"),
        ),
        ('<ac:link><ri:blog-post ri:content-title="News" /></ac:link>', Target(kind="page", name="News")),
        ('<ac:link><ri:space ri:space-key="HR" /></ac:link>', Target(kind="space", name="HR", space="HR")),
        ('<ac:link><ri:attachment ri:filename="a.pdf" /></ac:link>', Target(kind="attachment", name="a.pdf")),
    ],
)
def test_a_link_is_told_as_what_it_names(link: str, target: Target) -> None:
    assert told(link) == [("links_to", target)]


@pytest.mark.parametrize("link", ['<a href="#top">x</a>', '<a href="mailto:a@example.org">x</a>', "<a>x</a>"])
def test_what_leads_to_no_place_of_its_own_is_no_reference(link: str) -> None:
    assert told(link) == []


@pytest.mark.parametrize(
    ("target", "url"),
    [
        (Target(kind="url", name="https://other.test/a b"), "https://other.test/a b"),
        (Target(kind="page", name="88", content_id="88"), f"{SITE}pages/viewpage.action?pageId=88"),
        (Target(kind="page", name="To do"), f"{SITE}display/ENG/To%20do"),
        (Target(kind="page", name="Pay", space="HR"), f"{SITE}display/HR/Pay"),
        (Target(kind="space", name="HR"), f"{SITE}display/HR"),
        (Target(kind="attachment", name="a.pdf"), ""),
        (Target(kind="user", name="7", by="account_id"), ""),
    ],
)
def test_where_it_is(target: Target, url: str) -> None:
    assert target.url(site_url=SITE, space="ENG") == url


@pytest.mark.parametrize(
    ("attribute", "by"), [("ri:account-id", "account_id"), ("ri:userkey", "user_key"), ("ri:username", "username")]
)
def test_an_account_is_mentioned_by_any_of_its_names(attribute: str, by: str) -> None:
    target = Target(kind="user", name="ann", by=by)
    assert mentioned(f'<ac:link><ri:user {attribute}="ann" /></ac:link>') == {target}
    assert target.account().names == ("ann",)


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("<ac:link><ac:link-body>kept <em>text</em></ac:link-body></ac:link>", "kept <em>text</em>"),
        (
            '<ac:link><ri:url ri:value="https://a.test/?x=1&amp;y=%22&quot;" /></ac:link>',
            '<a href="https://a.test/?x=1&amp;y=%22&quot;">https://a.test/?x=1&amp;y=%22"</a>',
        ),
        ('<ac:image><ri:attachment ri:filename="plan.png" /></ac:image>', '<img alt="plan.png">'),
        ("<ac:image />", ""),
        (
            '<ac:macro ac:name="jira"><ac:parameter ac:name="key">OPS-7</ac:parameter></ac:macro>',
            "<p>OPS-7</p>",
        ),
        (
            '<ac:macro ac:name="jira"><ac:parameter ac:name="jqlQuery">project = OPS</ac:parameter></ac:macro>',
            "<p>project = OPS</p>",
        ),
        ("<ac:adf-extension><ac:adf-fallback><p>old</p></ac:adf-fallback></ac:adf-extension>", "<div><p>old</p></div>"),
    ],
)
def test_what_says_less_is_shown_by_what_it_says(storage: str, expected: str) -> None:
    assert html(storage) == expected
