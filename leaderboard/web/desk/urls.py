"""Addresses of the desk, below /organisers/."""

from django.urls import path

from leaderboard.web.desk import acts, cases, equal_entries, front, health

urlpatterns = [
    path("", front.desk, name="desk"),
    path("panel/", front.desk_panel, name="desk_panel"),
    path("acts/<slug:name>/", acts.act, name="act"),
    path("health/", health.health, name="health"),
    path("health/panel/", health.health_panel, name="health_panel"),
    path("equal-entries/", equal_entries.equal_entries, name="equal_entries"),
    path("equal-entries/<int:pk>/", equal_entries.equality_entries, name="equality"),
    path("cases/", cases.case_sets, name="desk_cases"),
    path("cases/<slug:name>/", cases.case_set, name="desk_case_set"),
    path("cases/<slug:name>/pictures/<int:pk>.png", cases.picture, name="desk_case_picture"),
]
