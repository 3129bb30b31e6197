"""Walk through a latent space in a browser.

`axes` are directions to look along; `references` name codes; `portraits` are photos that come in; `session`
answers everything that the page asks, in plain Python; `app` puts it on the web behind `guard`; `static/` is
the page.
"""
