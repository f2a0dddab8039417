"""How the client speaks HTTP: problems become `ClientProblem`, lost event streams are taken up again."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from app.core.events import Event

CONNECTION_TRIES = 3
SECONDS_BETWEEN_TRIES = 0.25
TIMEOUT = httpx2.Timeout(30, read=600, write=600)  # an upload is answered when it was hashed and checked


class ClientProblem(Exception):
    """The service refused, or could not be reached. `status` is 0 where there was no answer at all."""

    def __init__(self, title: str, detail: str, *, code: str, status: int = 0) -> None:
        super().__init__(f"{title}. {detail}")
        self.title = title
        self.detail = detail
        self.code = code
        self.status = status


class HttpConnection:
    def __init__(self, url: str, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        transport = httpx2.HTTPTransport(retries=CONNECTION_TRIES)
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=TIMEOUT, transport=transport)

    def close(self) -> None:
        self._http.close()

    def send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        answer = self.send_any(method, path, **request)
        _refuse_problems(answer)
        return answer

    def send_any(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Also an answer that is a problem."""
        with self._answering():
            return self._http.request(method, path, **request)

    @contextmanager
    def streaming(self, path: str) -> Iterator[httpx2.Response]:
        with self._answering(), self._http.stream("GET", path) as answer:
            _refuse_problems(answer)
            yield answer

    def events(self, path: str, after: int) -> Iterator[Event]:
        """Until `done`; goes on where it was after a lost connection."""
        losses = 0
        while losses < CONNECTION_TRIES:
            try:
                for event in self._stream_events(path, after):
                    losses, after = 0, event.id
                    yield event
            except httpx2.TransportError:
                losses += 1
                time.sleep(losses * SECONDS_BETWEEN_TRIES)
            else:
                return
        raise _unreachable(str(self._http.base_url))

    def _stream_events(self, path: str, after: int) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        with self._http.stream("GET", path, headers=headers) as answer:
            _refuse_problems(answer)
            for message in httpx2.EventSource(answer):
                if message.event == "done":
                    return
                yield Event.model_validate_json(message.data, extra="ignore")

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TransportError as error:
            raise _unreachable(str(self._http.base_url)) from error


def _refuse_problems(answer: httpx2.Response) -> None:
    if answer.is_success:
        return
    answer.read()
    try:
        problem = answer.json()
        title, detail, code = problem["title"], problem["detail"], problem["code"]
    except (ValueError, KeyError, TypeError):
        title, code = f"The answer was {answer.status_code}", "no_problem_details"
        detail = "It is none of modelpress's own: look at the address and at what stands in front of the service."
    raise ClientProblem(title, detail, code=code, status=answer.status_code)


def _unreachable(url: str) -> ClientProblem:
    detail = (
        f"Nothing answers at {url}. Start the service with `modelpress serve`, or give another address before the "
        "command: `modelpress --url ADDRESS compress ...`."
    )
    return ClientProblem("The service can't be reached", detail, code="unreachable")
