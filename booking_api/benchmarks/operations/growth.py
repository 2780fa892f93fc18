"""How the cost of a list, and of the exams on offer, grows with what they are of, to 5 000.

What `catalogue.py` measures of the same kind are points of the same curves. The old system is not
asked for the longest lists: those that it does not finish are in the catalogue.
"""

from __future__ import annotations

from functools import partial

from booking_api.benchmarks.operations.catalogue import (
    STUDENTS,
    Operation,
    make_available,
    make_list,
)

LISTED = (1_000, 5_000)
OFFERED = (1, 500, 1_000, 2_000, 5_000)

GROWING: tuple[Operation, ...] = (
    *(
        Operation(
            name=f"list, {bookings:,} bookings",
            make=partial(make_list, bookings),
            world=STUDENTS,
            times=3,
            systems=("batched", "cached"),
        )
        for bookings in LISTED
    ),
    *(
        Operation(
            name=f"available, {exams:,} exams",
            make=partial(make_available, exams, "osce", False, bookings=0),
            world=f"{exams} exams",
            times=3,
            systems=("naive", "batched", "cached"),
        )
        for exams in OFFERED
    ),
)
