"""HTTP only: parse the request, make one call into a service, render a template."""
