"""SECURITY.md promises nothing that no test holds:
each promise names the tests that would fail without it."""

import re
from typing import Final

import pytest
from tests.support.server import ROOT

PROMISE: Final = re.compile(r"^- \*\*(.+?)\*\*", re.MULTILINE)
HELD_BY: Final[dict[str, tuple[str, ...]]] = {
    "Money.": (
        "property/test_money.py::test_every_verb_and_every_refusal_comes_about_in_a_run_by_a_seed",
        "integration/test_races.py::test_one_payment_64_times_at_once_is_one_transfer",
        "integration/test_crash.py::test_killed_at_random_moments",
        "integration/test_money_old_ids.py::test_what_was_refunded_is_not_refunded_again_when_its_id_comes_back",
    ),
    "Privacy between users.": (
        "integration/test_conversation.py::test_another_ones_conversation_is_not_there_for_any_kind_of_frame",
        "unit/test_rules_secrets.py::test_what_one_learns_does_not_depend_on_what_another_has",
        "integration/test_presence.py::test_who_was_removed_hears_no_more_and_is_heard_of_no_more",
    ),
    "Accounts.": (
        "unit/test_rules_people.py::test_handles_that_look_alike",
        "integration/test_sessions.py::test_a_revoked_session_closes_its_sockets_within_a_second",
        "unit/test_logins.py::test_who_never_came_back_is_not_told_from_nobody",
        "unit/test_logins.py::test_a_login_hashes_anew_and_ends_no_other",
    ),
    "A hostile client costs a bounded amount.": (
        "integration/test_hostile.py::test_floods_cost_bounded_memory",
        "integration/test_paces.py::test_a_new_connection_brings_no_new_pace",
        "integration/test_tls.py::test_handshakes_that_do_not_begin_or_end_are_counted_and_cut",
        "contract/test_read_plans.py::test_",
    ),
    "What comes in is read strictly.": (
        "integration/test_hostile_http.py::test_json_that_breaks_the_rules",
        "conformance/test_utf8.py::test_no_frame_is_read_with_them_and_the_code_is_the_same_wherever_they_are",
        "unit/test_rules_people.py::test_a_name_that_would_act_on_a_list_is_refused_at_every_door",
    ),
    "Web pages.": (
        "integration/test_hostile_http.py::test_only_listed_origins_and_no_origin_may_open_a_socket",
        "integration/test_proxies.py::test_people_talk_and_pay_and_nobody_else_gets_to_the_operator",
    ),
    "Logs": (
        "integration/test_reload.py::test_the_log_tells_who_did_what_by_ids_alone",
        "unit/test_tracebacks.py::test_a_traceback_has_places_and_no_values",
    ),
    "The data directory": (
        "integration/test_directory.py::test_one_server_on_one_directory_whatever_happens_to_its_files",
        "integration/test_cli.py::test_",
        "integration/test_verify_running.py::test_what_the_check_copies_lies_in_the_data_directory_alone",
    ),
    "Tampering shows.": (
        "property/test_verify_edits.py::test_every_column_of_every_table_is_checked_or_said_not_to_be",
        "property/test_verify_edits.py::test_a_flipped_bit_in_a_page_of_any_kind_is_found_or_changes_nothing",
    ),
}


def test_every_promise_has_its_tests_and_no_test_a_promise_that_is_gone() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    promised = text.partition("## What is promised")[2].partition("## What is not promised")[0]
    assert PROMISE.findall(promised) == list(HELD_BY)


@pytest.mark.parametrize("test", [test for tests in HELD_BY.values() for test in tests])
def test_what_holds_a_promise_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}" in (ROOT / "tests" / path).read_text("utf-8")
