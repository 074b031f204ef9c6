"""Views of a Zope site."""

from Products.Five.browser import BrowserView


class Hello(BrowserView):
    def __call__(self):
        return f"hello, {self.request.get('name', 'you')}"


class Boom(BrowserView):
    def __call__(self):
        raise ValueError("boom")
