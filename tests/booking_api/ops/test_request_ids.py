"""Ids of requests whose caller has given none."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from booking_api.ops.request_ids import IDS_AT_ONCE, RandomIds, choose_request_id


def test_no_id_is_given_twice_however_many_ask() -> None:
    ids = RandomIds()
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: ids.take(), range(3 * IDS_AT_ONCE)))

    assert len(set(taken)) == len(taken)
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in taken)


def test_a_forked_process_has_ids_of_its_own() -> None:
    ids = RandomIds()
    ids.take()
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, ids.take().encode())
        os._exit(0)
    os.waitpid(child, 0)

    childs = os.read(readable, 100).decode()
    os.close(readable)
    os.close(writable)

    assert childs not in {ids.take() for _ in range(IDS_AT_ONCE)}


def test_a_callers_id_is_kept_where_it_is_sane() -> None:
    assert choose_request_id("trace-1") == "trace-1"
    assert re.fullmatch("[0-9a-f]{32}", choose_request_id("a b"))
    assert re.fullmatch("[0-9a-f]{32}", choose_request_id(None))
