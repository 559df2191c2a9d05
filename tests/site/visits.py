"""A visit to a page: the browser's window, and all that went wrong in it."""

VIEWS = {  # name: (width, height, colour scheme)
    "light": (1360, 900, "light"),
    "dark": (1360, 900, "dark"),
    "phone": (390, 844, "light"),
}


class Visit:
    """An open page, and what went wrong on it."""

    def __init__(self, context, host: str) -> None:
        self.page = context.new_page()
        self.troubles: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self.note_console)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.note_request(request.url, host))
        self.page.on("requestfailed", lambda request: self.troubles.append(request.url))
        self.page.on("response", self.note_response)

    def note_console(self, message) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console: {message.text}")

    def note_request(self, url: str, host: str) -> None:
        self.requests.append(url)
        if not url.startswith((host, "data:", "blob:")):
            self.troubles.append(f"another host: {url}")

    def note_response(self, response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")
