"""Addresses of the desk, below /organisers/."""

from django.urls import path

from leaderboard.web.desk import (
    acts,
    cases,
    equal_entries,
    front,
    health,
    hosts,
    phase,
    phases,
    record,
    rescorings,
    runs,
)

urlpatterns = [
    path("", front.desk, name="desk"),
    path("panel/", front.desk_panel, name="desk_panel"),
    path("acts/<slug:name>/", acts.act, name="act"),
    path("runs/", runs.runs, name="desk_runs"),
    path("runs.csv", runs.runs_csv, name="desk_runs_csv"),
    path("runs/<int:pk>/", runs.run, name="desk_run"),
    path("rescoring/", rescorings.rescorings, name="rescorings"),
    path("rescoring/<int:pk>/", rescorings.rescoring, name="rescoring"),
    path("phases/", phases.desk_phases, name="desk_phases"),
    path("phases/new/", phases.desk_phase_new, name="desk_phase_new"),
    path("phases/<slug:slug>/", phase.desk_phase, name="desk_phase"),
    path("hosts/", hosts.hosts, name="desk_hosts"),
    path("hosts/<slug:name>/", hosts.host, name="desk_host"),
    path("health/", health.health, name="health"),
    path("health/panel/", health.health_panel, name="health_panel"),
    path("equal-entries/", equal_entries.equal_entries, name="equal_entries"),
    path("equal-entries/<int:pk>/", equal_entries.equality_entries, name="equality"),
    path("record/", record.record, name="record"),
    path("record/record.<slug:form>", record.record_export, name="record_export"),
    path("cases/", cases.case_sets, name="desk_cases"),
    path("cases/<slug:name>/", cases.case_set, name="desk_case_set"),
    path("cases/<slug:name>/pictures/<int:pk>.png", cases.picture, name="desk_case_picture"),
]
