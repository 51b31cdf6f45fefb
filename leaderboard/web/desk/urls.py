"""Addresses of the desk, below /organisers/."""

from django.urls import path

from leaderboard.web.desk import acts, equal_entries, front, health, hosts

urlpatterns = [
    path("", front.desk, name="desk"),
    path("panel/", front.desk_panel, name="desk_panel"),
    path("acts/<slug:name>/", acts.act, name="act"),
    path("hosts/", hosts.hosts, name="desk_hosts"),
    path("hosts/<slug:name>/", hosts.host, name="desk_host"),
    path("health/", health.health, name="health"),
    path("health/panel/", health.health_panel, name="health_panel"),
    path("equal-entries/", equal_entries.equal_entries, name="equal_entries"),
    path("equal-entries/<int:pk>/", equal_entries.equality_entries, name="equality"),
]
