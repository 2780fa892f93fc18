"""Background work never slows people: it leaves them threads and connections, and waits its turn.

How the budget serves people first is in `test_limits.py`, how calls are shared in
`test_coalesce.py`; here the client as a whole, its work under way counted, not timed.
"""

from __future__ import annotations

from tests.hubspot_sync.stage import raised_stage

IDS = [str(number) for number in range(1_001, 3_001)]


def test_people_find_threads_and_connections_however_much_background_work_is_under_way() -> None:
    """Of sixteen connections, background work may hold eight, and its own thread one more; three
    are the desk's."""
    with raised_stage(pool_size=16) as stage:
        stage.enter("recount", IDS, background=True)
        for _ in range(9):
            stage.wait_for_call()
        stage.enter("alice", IDS[:300])
        for _ in range(3):
            stage.wait_for_call()
        people = [stage.asked(number)[0] for number in (10, 11, 12)]
        stage.answer(40)

    assert sorted(people) == ["1001", "1101", "1201"]
    assert len(stage.results["recount"].found) == 2_000
