"""The cast with a token each: a client of the API for each person."""

import json
from typing import Any

import pytest
from django.test import Client

from leaderboard.models import ApiToken, User
from leaderboard.people import tokens
from tests.leaderboard.web.conftest import people

__all__ = ["people"]


class ApiClient:
    """What a person's program sends, by a token with these scopes."""

    def __init__(self, person: User | None = None, *scopes: str) -> None:
        self.token, self.text, self._client = None, "", Client()
        if person:
            self.token, self.text = tokens.issue(
                person, name=f"program {person.api_tokens.count()}", scopes=scopes or ApiToken.Scope.values
            )

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.text:
            headers.setdefault("Authorization", f"Bearer {self.text}")
        data = "" if body is None else json.dumps(body)
        return self._client.generic(method, f"/api/v1{path}", data, content_type="application/json", headers=headers)

    def get(self, path: str, **headers: str) -> Any:
        """The JSON of an answer that is to be one."""
        answer = self("GET", path, **headers)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def api():
    return ApiClient
