"""How large anything may be: what does not fit is two things."""

import ast
from typing import Final

from tests.house.sources import ALL, functions, sources

FILE_LINES_MAX: Final = 400
FUNCTION_LINES_MAX: Final = 40
LINE_COLUMNS_MAX: Final = 110
GENERATED: Final = ("protocol/tuppence_protocol/currencies.py",)
"""Tables that a program wrote."""
LONG_FILES: Final = frozenset(
    {
        "tests/contract/test_sqlite.py",
        "tests/integration/test_money.py",
        "tests/integration/test_money_races.py",
        "tests/integration/test_sdk_fake.py",
        "tests/integration/test_sdk_money.py",
        "tests/integration/test_shipped_bugs.py",
        "tests/integration/test_surroundings.py",
        "tests/unit/test_cards.py",
        "tests/unit/test_exchange_rates.py",
        "tests/unit/test_rules_asked.py",
        "tests/unit/test_rules_hold.py",
        "tests/unit/test_rules_limits.py",
        "tests/unit/test_rules_wallets.py",
        "tests/unit/test_terminal_money.py",
    }
)
"""What is being made smaller still."""
LONG_FUNCTIONS: Final = frozenset(
    {
        "benchmarks/claiming.py claim",
        "benchmarks/parts/statement.py _rows",
        "tests/contract/test_sqlite.py test_transfers_made_before_their_entries_are_kept_and_found",
        "tests/contract/test_store.py batch",
        "tests/integration/test_cli.py test_backup_under_load_restores_to_the_same_money_under_a_new_epoch",
        "tests/integration/test_cli.py test_refusals_and_exit_codes",
        "tests/integration/test_cli.py test_the_same_commands_with_and_without_a_running_server",
        "tests/integration/test_fuzz.py test_mutated_frames_and_bodies",
        "tests/integration/test_hostile.py test_slow_peers_are_cut",
        "tests/integration/test_hostile.py test_unusual_but_legal_frames_work",
        "tests/integration/test_hostile_http.py test_json_that_breaks_the_rules",
        "tests/integration/test_money.py test_an_offer_from_hold_to_refund_as_both_see_it",
        "tests/integration/test_money.py test_resume_brings_every_kind_of_event_once_and_byte_for_byte",
        "tests/integration/test_money.py test_the_sweep_ends_what_is_due_and_tells_both",
        "tests/integration/test_money_races.py test_accept_against_cancel_against_the_sweep",
        "tests/integration/test_resume.py test_a_stop_answers_what_is_under_way_and_says_goodbye",
        "tests/integration/test_shipped_bugs.py busy",
        "tests/integration/test_shipped_bugs.py test_a_question_with_several_predicates_misses_nothing",
        "tests/property/model/sends.py send",
        "tests/unit/test_outbox.py test_whoever_joins_or_falls_behind_hears_the_last_of_everything_that_has_only_a_present",
        "tests/unit/test_rules_pay.py test_where_several_refusals_apply_the_first_of_the_catalogue_is_told",
    }
)
"""As above, as path and name."""
WIDE_FILES: Final = ("server", "protocol", "clients", "tests", "benchmarks")
"""As above."""


def test_no_file_is_longer_than_one_reads() -> None:
    found = {path for path, text in sources(*ALL).items() if text.count("\n") > FILE_LINES_MAX}
    assert found - set(GENERATED) - LONG_FILES == set()


def test_no_function_is_longer_than_one_sees() -> None:
    found = {
        f"{path} {function.name}"
        for path, text in sources(*ALL).items()
        for function in functions(ast.parse(text))
        if function.end_lineno is not None and function.end_lineno - function.lineno >= FUNCTION_LINES_MAX
    }
    assert found - LONG_FUNCTIONS == set()


def test_no_line_is_wider_than_the_page() -> None:
    wide = {
        path: [n for n, line in enumerate(text.splitlines(), 1) if len(line) > LINE_COLUMNS_MAX]
        for path, text in sources(*ALL).items()
        if not path.startswith(WIDE_FILES)
    }
    assert {path: lines for path, lines in wide.items() if lines} == {}
