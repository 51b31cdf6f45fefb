"""The API's addresses, in a namespace of their own (leaderboard/urls.py)."""

from leaderboard.api.site import api

urlpatterns, _, _ = api.urls
