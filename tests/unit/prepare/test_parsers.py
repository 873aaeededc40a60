"""Each format: its words, its structure, its own title, and its own ways to fail."""

import io
from email.message import EmailMessage

import docx
import pytest

from headwater.content.media_types import MediaType
from streams.prepare.errors import EmptyDocumentError, HeavyDocumentError, LimitExceededError, MalformedDocumentError
from streams.prepare.pages import join_ranges, load_range
from streams.prepare.parsed import BlockKind, ParsedText
from streams.prepare.parsing import parse_document, read_pages
from tests.support.pdf import pdf_of


def kinds(parsed: ParsedText) -> list[tuple[BlockKind, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def markdown(source: str) -> ParsedText:
    return parse_document(source.encode(), name="page.md")


def page(body: str, head: str = "") -> ParsedText:
    return parse_document(f"<!DOCTYPE html><html lang='de'><head>{head}</head><body>{body}</body></html>".encode())


def test_markdown_keeps_its_source_and_knows_its_structure() -> None:
    parsed = markdown(
        "---\ntitle: Leave &amp; rest\nlang: en\n---\n\n# Taking *leave*\n\nAsk\nfirst.\n\n- one\n  more\n- two\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nls\n\npwd\n```\n\n---\n\n[x]: http://example.org\n"
    )
    assert parsed.title == "Leave & rest"
    assert parsed.language == "en"
    assert kinds(parsed) == [
        (BlockKind.HEADING, "# Taking *leave*"),
        (BlockKind.PARAGRAPH, "Ask\nfirst."),
        (BlockKind.LIST_ITEM, "- one\n  more"),
        (BlockKind.LIST_ITEM, "- two"),
        (BlockKind.TABLE, "| a | b |\n|---|---|\n| 1 | 2 |"),
        (BlockKind.CODE, "```sh\nls\n\npwd\n```"),
        (BlockKind.PARAGRAPH, "---"),
        (BlockKind.PARAGRAPH, "[x]: http://example.org"),
    ]
    assert parsed.blocks[0].heading == "Taking leave"


def test_markdown_title_is_its_first_top_heading_when_the_front_matter_has_none() -> None:
    assert markdown("---\nlayout: page\n---\n## Sub\n\n# Top\n\nText\n").title == "Top"


@pytest.mark.parametrize("front", ["title: a: b: c", "- just\n- a list", "title: [unclosed"])
def test_broken_front_matter_costs_only_itself(front: str) -> None:
    parsed = markdown(f"---\n{front}\n---\n\n# Title\n\nText\n")
    assert parsed.title == "Title"
    assert parsed.text.startswith("# Title")


def test_a_page_of_front_matter_alone_keeps_it_as_text() -> None:
    parsed = markdown("---\ntitle: Old page\nredirect_to: /new/\n---\n")
    assert (parsed.title, parsed.text) == ("Old page", "title: Old page\nredirect_to: /new/\n")


def test_html_is_what_a_reader_sees() -> None:
    parsed = page(
        "<nav>Menu</nav><h1>Tea</h1><script>evil()</script><p>At <b>four</b><br>or five.</p><p hidden>secret</p>"
        "<p style='display: none'>hidden</p><ul><li>one<ul><li>deep</li></ul></li></ul><ol start=3><li>three</li></ol>"
        "<pre>a\n  b</pre><img alt='A cup'>",
        head="<title>Tea time</title><style>p{}</style>",
    )
    assert (parsed.title, parsed.language) == ("Tea time", "de")
    assert kinds(parsed) == [
        (BlockKind.HEADING, "Tea"),
        (BlockKind.PARAGRAPH, "At four\nor five."),
        (BlockKind.LIST_ITEM, "- one"),
        (BlockKind.LIST_ITEM, "  - deep"),
        (BlockKind.LIST_ITEM, "3. three"),
        (BlockKind.CODE, "a\n  b"),
        (BlockKind.PARAGRAPH, "A cup"),
    ]


def test_html_tables_repeat_cells_that_span() -> None:
    parsed = page(
        "<table><tr><th>Year</th><th colspan=2>Sales</th></tr><tr><td rowspan=2>2025</td><td>1</td><td>2</td></tr>"
        "<tr><td>3</td><td>4</td></tr></table>"
    )
    assert parsed.text.split("\n") == [
        "| Year | Sales | Sales |",
        "| --- | --- | --- |",
        "| 2025 | 1 | 2 |",
        "| 2025 | 3 | 4 |",
    ]


def test_html_in_another_encoding_is_read_as_it_declares() -> None:
    source = "<html><head><meta charset='windows-1251'></head><body><p>Привет</p></body></html>"
    assert parse_document(source.encode("cp1251")).text == "Привет"


@pytest.mark.parametrize("body", ["", "<script>x</script>", "<p hidden>x</p>"])
def test_html_without_words_is_empty(body: str) -> None:
    with pytest.raises(EmptyDocumentError):
        page(body)


def nested(depth: int) -> bytes:
    return f"<html><body>{'<div>' * depth}deep{'</div>' * depth}after</body></html>".encode()


def test_nested_html_loses_nothing_silently() -> None:
    assert parse_document(nested(280)).text == "deep\n\nafter"
    with pytest.raises(MalformedDocumentError, match="too deep"):
        parse_document(nested(50_000))


def test_text_has_paragraphs() -> None:
    parsed = parse_document("One\r\nline.\r\n\r\n \r\nTwo.\r\n".encode("utf-16"))
    assert kinds(parsed) == [(BlockKind.PARAGRAPH, "One\nline."), (BlockKind.PARAGRAPH, "Two.")]
    assert parsed.media_type == MediaType.TEXT


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_becomes_one_table(delimiter: str) -> None:
    source = 'name,"town, state"\nAnn,"Bonn,\nNRW"\n\nBob,Kiel\n'.replace(",", delimiter)
    parsed = parse_document(source.encode(), name="people.csv")
    assert parsed.blocks[0].kind is BlockKind.TABLE
    assert parsed.text.count("\n") == 3
    assert "Bob" in parsed.text


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    return message


def test_email_has_headers_body_and_the_names_of_attachments() -> None:
    message = mail(
        Subject="Größe", From="Ann <a@example.org>", To="b@example.org", Date="Mon, 2 Nov 2026 10:00:00 +0000"
    )
    message.set_content("Plain words.")
    message.add_alternative("<h2>Rich</h2><p>Rich words.</p>", subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="plan.pdf")
    parsed = parse_document(message.as_bytes())
    assert parsed.title == "Größe"
    assert parsed.text == (
        "Subject: Größe\nFrom: Ann <a@example.org>\nTo: b@example.org\nDate: Mon, 02 Nov 2026 10:00:00 +0000"
        "\n\nRich\n\nRich words.\n\nAttachments: plan.pdf"
    )


def test_email_with_an_empty_rich_part_shows_its_plain_one() -> None:
    message = mail(Subject="s", From="a@example.org")
    message.set_content("Plain words.")
    message.add_alternative("<img src='x'>", subtype="html")
    assert "Plain words." in parse_document(message.as_bytes()).text


def word_file(build: docx.document.Document) -> bytes:
    buffer = io.BytesIO()
    build.save(buffer)
    return buffer.getvalue()


def test_docx_has_headings_lists_tables_and_a_title() -> None:
    document = docx.Document()
    document.core_properties.title = "The plan"
    document.add_heading("Plan", level=1)
    document.add_paragraph("Begin here.")
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Number")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ["a", "b", "c", "d"], strict=True):
        cell.text = text
    parsed = parse_document(word_file(document))
    assert parsed.title == "The plan"
    assert kinds(parsed) == [
        (BlockKind.HEADING, "Plan"),
        (BlockKind.PARAGRAPH, "Begin here."),
        (BlockKind.LIST_ITEM, "- first"),
        (BlockKind.LIST_ITEM, "1. second"),
        (BlockKind.TABLE, "| a | b |\n| --- | --- |\n| c | d |"),
    ]


def test_docx_without_words_is_empty() -> None:
    with pytest.raises(EmptyDocumentError):
        parse_document(word_file(docx.Document()))


def test_a_damaged_docx_is_malformed() -> None:
    document = docx.Document()
    document.add_paragraph("words " * 2000)
    data = bytearray(word_file(document))
    at = data.index(b"word/document.xml") + 60
    data[at : at + 40] = bytes(40)
    with pytest.raises(MalformedDocumentError, match="save the file again"):
        parse_document(bytes(data))


def test_a_pdf_has_pages() -> None:
    parsed = parse_document(pdf_of(["First page.", "Second page."]))
    assert [(block.page, parsed.text[block.start : block.end]) for block in parsed.blocks] == [
        (1, "First page."),
        (2, "Second page."),
    ]


def test_a_pdf_without_words_is_empty() -> None:
    with pytest.raises(EmptyDocumentError, match="OCR"):
        parse_document(pdf_of([""]))


def test_a_pdf_above_the_page_limit_names_limit_and_remedy() -> None:
    pages = pdf_of(["One.", "Two.", "Three."])
    assert "Three." in parse_document(pages, max_pages=3).text
    with pytest.raises(
        LimitExceededError, match=r"content: the PDF has 3 pages, more than 2: .*limits\.max_pages.*limits\.tenants"
    ):
        parse_document(pages, max_pages=2)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_page_ranges_join_to_the_same_text_as_the_whole(count: int) -> None:
    data = pdf_of([f"Page {number} says this." for number in range(7)])
    ranges = [
        read_pages(data, first=first, count=count, declared=None, name="a.pdf", max_pages=9)
        for first in range(0, 7, count)
    ]
    loaded = [load_range(each.dump()) for each in ranges if each is not None]
    assert {each.total for each in loaded} == {7}
    assert join_ranges(loaded) == parse_document(data, name="a.pdf")


def test_what_has_no_pages_is_not_read_by_pages() -> None:
    assert read_pages(b"Just words.", first=0, count=2, declared=None, name="a.txt", max_pages=9) is None


def test_a_pdf_of_many_pages_is_heavy() -> None:
    data = pdf_of(["One.", "Two.", "Three."])
    with pytest.raises(HeavyDocumentError):
        parse_document(data, heavy_pages=2)
    assert parse_document(data, heavy_pages=3).text.startswith("One.")


def test_a_damaged_pdf_is_malformed() -> None:
    with pytest.raises(MalformedDocumentError, match="damaged"):
        parse_document(b"%PDF-1.7\nnothing else")
