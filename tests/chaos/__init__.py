"""`./dev chaos --rounds N --seed S`: runs under random disturbances must end as if nothing had happened.

`services` starts the whole server on services of its own (database, broker, engine, two small disks) in a temporary
folder; `disturbances` plans what fails when, from the seed alone, and does it; `rounds` hands in, disturbs, and waits;
`verdict` looks for anything that is lost, doubled, stuck, wrongly charged or left behind.
"""
