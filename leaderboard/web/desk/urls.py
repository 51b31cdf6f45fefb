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
from leaderboard.web.desk import acts, equal_entries, front, health, messages, people, teams

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
    path("teams/", teams.teams, name="desk_teams"),
    path("teams/doubles/", teams.likely_doubles, name="desk_doubles"),
    path("teams/doubles/<int:pk>/", teams.likely_double, name="desk_double"),
    path("teams/of/<slug:slug>/", teams.team, name="desk_team"),
    path("people/", people.people, name="desk_people"),
    path("people/<int:pk>/", people.person, name="desk_person"),
    path("messages/", messages.announcements, name="desk_messages"),
    path("messages/new/", messages.new_announcement, name="desk_message_new"),
    path("messages/<int:pk>/", messages.announcement, name="desk_message"),
    path("messages/<int:pk>/edit/", messages.edit_announcement, name="desk_message_edit"),
    path("messages/<int:pk>/mail/", messages.announcement_mail, name="desk_message_mail"),
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
