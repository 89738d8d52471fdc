"""A page of the report as a reader meets it: its elements, and its text in order."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements, their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.text, self.inside = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("script", "style", "title") and data.strip():
            self.text.append(" ".join(data.split()))
