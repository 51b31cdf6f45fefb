"""The organisers' desk: what waits for a person, and every act by which people run the challenge.

An act is a decision that is made elsewhere (journey.decisions, hosts.registry, people.teams, ...) together with what a
page or a command line has to know of it: on what it acts, what it asks for, who may do it. `acting` carries acts out,
or plays them and takes them back to show what they would change; `acts` lists them all, a module for each kind of
thing. Pages (web.desk) and `manage.py act` both go through it, so that neither can do what the other can't.
"""
