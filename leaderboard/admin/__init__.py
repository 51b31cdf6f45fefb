"""The organisers' last resort: rows to edit where they are policy, to read where they are history.

Nothing here changes a state by itself: actions go through the pipeline like everybody else's wishes. Whatever is
decided here is recorded (core.audit): who, what, before, after, and the reason that was given. `bases` holds what the
admins have in common; the others register the models of the package that they are named for.
"""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from leaderboard.admin import case_sets, challenge, hosts, mail, pauses, people, record, references, site, submissions

__all__ = ["case_sets", "challenge", "hosts", "mail", "pauses", "people", "record", "references", "site", "submissions"]


def _to_the_sites_page(_request: HttpRequest, **_more: Any) -> HttpResponse:
    return redirect("account_change_password")


admin.site.disable_action("delete_selected")  # one by one, each with its reason
# The site's own form, which counts failed tries.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# The site's own page, which asks once more who it is, tells by mail, and is recorded.
admin.site.password_change = _to_the_sites_page  # type: ignore[assignment, method-assign]
admin.site.site_header = "ReXGrounding Challenge: organisers"
admin.site.site_title = "ReXGrounding Challenge"
