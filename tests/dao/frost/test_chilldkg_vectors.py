"""Every published vector of ChillDKG: valid runs, refused inputs, blame and investigation, recovery."""

from collections.abc import Callable
from typing import Any

import pytest

from overlay.dao.frost import chilldkg, errors
from overlay.dao.frost.chilldkg import DKGOutput, SessionParams
from tests.dao.frost.published import Vector, pick, unhex, unhex_all
from tests.dao.frost.published import chilldkg as vectors


def params_of(case: Vector) -> SessionParams:
    return SessionParams(unhex_all(case["params"]["hostpubkeys"]), case["params"]["t"])


def output_of(published: Vector) -> DKGOutput:
    return DKGOutput(
        unhex(published["secshare"]),
        bytes.fromhex(published["threshPk"]),
        tuple(unhex_all(published["pubshares"])),
    )


def first_state(case: Vector) -> chilldkg.ParticipantState1:
    state1, pmsg1 = chilldkg.participant_step1(
        bytes.fromhex(case["hostseckey"]), params_of(case), bytes.fromhex(case["random"])
    )
    assert pmsg1 == bytes.fromhex(case["pmsg1"])
    return state1


def second_step(case: Vector, state1: chilldkg.ParticipantState1) -> tuple[chilldkg.ParticipantState2, bytes]:
    seckey, cmsg1, aux = (bytes.fromhex(case[name]) for name in ("hostseckey", "cmsg1", "auxRand"))
    return chilldkg.participant_step2(seckey, state1, cmsg1, aux)


def expect_error(case: Vector, act: Callable[[], object]) -> None:
    """Check the type of the error, and the participants that it names."""
    expected = case["expectedError"]
    types: dict[str, type[Exception]] = {"ValueError": ValueError}
    error_type = types.get(expected["type"]) or getattr(errors, expected["type"])
    with pytest.raises(error_type) as caught:
        act()
    names = {"participantId": "participant", "participantId1": "first", "participantId2": "second"}
    for field, attribute in names.items():
        if field in expected:
            assert getattr(caught.value, attribute) == expected[field]


@pytest.mark.parametrize("case", vectors("hostpubkey_gen", "validTestCases"))
def test_host_public_keys_come_out_as_published(case: Vector) -> None:
    assert chilldkg.hostpubkey_gen(bytes.fromhex(case["hostseckey"])).hex().upper() == case["expectedHostpubkey"]


@pytest.mark.parametrize("case", vectors("hostpubkey_gen", "errorTestCases"))
def test_bad_host_secret_keys_are_refused(case: Vector) -> None:
    expect_error(case, lambda: chilldkg.hostpubkey_gen(bytes.fromhex(case["hostseckey"])))


@pytest.mark.parametrize("case", vectors("params_hash", "validTestCases"))
def test_parameters_hash_as_published(case: Vector) -> None:
    assert chilldkg.params_hash(params_of(case)) == bytes.fromhex(case["expectedParamsHash"])


@pytest.mark.parametrize("case", vectors("params_hash", "errorTestCases"))
def test_bad_parameters_are_refused(case: Vector) -> None:
    expect_error(case, lambda: chilldkg.params_hash(params_of(case)))


def step1(case: Vector) -> bytes:
    seckey, random = bytes.fromhex(case["hostseckey"]), bytes.fromhex(case["random"])
    return chilldkg.participant_step1(seckey, params_of(case), random)[1]


@pytest.mark.parametrize("case", vectors("participant_step1", "validTestCases"))
def test_first_messages_come_out_as_published(case: Vector) -> None:
    assert step1(case) == bytes.fromhex(case["expectedPmsg1"])


@pytest.mark.parametrize("case", vectors("participant_step1", "errorTestCases"))
def test_the_first_step_refuses_what_it_must(case: Vector) -> None:
    expect_error(case, lambda: step1(case))


@pytest.mark.parametrize("case", vectors("participant_step2", "validTestCases"))
def test_second_messages_come_out_as_published(case: Vector) -> None:
    assert second_step(case, first_state(case))[1] == bytes.fromhex(case["expectedPmsg2"])


@pytest.mark.parametrize("case", vectors("participant_step2", "errorTestCases"))
def test_the_second_step_refuses_what_it_must(case: Vector) -> None:
    # A case may replace the host secret key of step 2 alone.
    own_key = next(c.values[0] for c in vectors("participant_step2", "validTestCases") if same_group(c, case))
    state1 = first_state(case | {"hostseckey": own_key["hostseckey"]})
    expect_error(case, lambda: second_step(case, state1))


def same_group(parameter: Any, case: Vector) -> bool:
    return bool(parameter.values[0]["pmsg1"] == case["pmsg1"])


@pytest.mark.parametrize("case", vectors("participant_finalize", "validTestCases"))
def test_participants_finish_as_published(case: Vector) -> None:
    state2, pmsg2 = second_step(case, first_state(case))
    output, recovery_data = chilldkg.participant_finalize(state2, bytes.fromhex(case["cmsg2"]))
    assert pmsg2 == bytes.fromhex(case["pmsg2"])
    assert output == output_of(case["expectedOutput"]["dkgOutput"])
    assert recovery_data == bytes.fromhex(case["expectedOutput"]["recoveryData"])


@pytest.mark.parametrize("case", vectors("participant_finalize", "errorTestCases"))
def test_participants_refuse_a_bad_certificate(case: Vector) -> None:
    state2, _ = second_step(case, first_state(case))
    expect_error(case, lambda: chilldkg.participant_finalize(state2, bytes.fromhex(case["cmsg2"])))


@pytest.mark.parametrize("case", vectors("participant_investigate", "errorTestCases"))
def test_an_investigation_finds_the_published_culprit(case: Vector) -> None:
    cmsg1 = case["cmsg1Pool"][case["cmsg1Index"]]
    with pytest.raises(errors.UnknownFaultyParticipantOrCoordinatorError) as caught:
        second_step(case | {"cmsg1": cmsg1}, first_state(case))

    def investigate() -> None:
        raise chilldkg.participant_investigate(caught.value, bytes.fromhex(case["cinvMsg"]))

    expect_error(case, investigate)


def coordinator_step1(case: Vector) -> tuple[chilldkg.CoordinatorState, bytes]:
    pmsgs1 = unhex_all(case["pmsgs1"]) if "pmsgs1" in case else pick(unhex_all(case["pmsg1Pool"]), case["pmsg1Indices"])
    return chilldkg.coordinator_step1(pmsgs1, params_of(case))


@pytest.mark.parametrize("case", vectors("coordinator_step1", "validTestCases"))
def test_the_coordinator_sums_first_messages_as_published(case: Vector) -> None:
    assert coordinator_step1(case)[1] == bytes.fromhex(case["expectedCmsg1"])


@pytest.mark.parametrize("case", vectors("coordinator_step1", "errorTestCases"))
def test_the_coordinator_refuses_bad_first_messages(case: Vector) -> None:
    expect_error(case, lambda: coordinator_step1(case))


@pytest.mark.parametrize("case", vectors("coordinator_finalize", "validTestCases"))
def test_the_coordinator_finishes_as_published(case: Vector) -> None:
    state, cmsg1 = coordinator_step1(case)
    pmsgs2 = pick(unhex_all(case["pmsg2Pool"]), case["pmsg2Indices"])
    cmsg2, output, recovery_data = chilldkg.coordinator_finalize(state, pmsgs2)
    assert cmsg1 == bytes.fromhex(case["cmsg1"])
    assert cmsg2 == bytes.fromhex(case["expectedOutput"]["cmsg2"])
    assert output == output_of(case["expectedOutput"]["dkgOutput"])
    assert recovery_data == bytes.fromhex(case["expectedOutput"]["recoveryData"])


@pytest.mark.parametrize("case", vectors("coordinator_finalize", "errorTestCases"))
def test_the_coordinator_refuses_bad_signatures(case: Vector) -> None:
    state, _ = coordinator_step1(case)
    pmsgs2 = pick(unhex_all(case["pmsg2Pool"]), case["pmsg2Indices"])
    expect_error(case, lambda: chilldkg.coordinator_finalize(state, pmsgs2))


@pytest.mark.parametrize("case", vectors("coordinator_investigate", "validTestCases"))
def test_investigation_messages_come_out_as_published(case: Vector) -> None:
    cinvs = chilldkg.coordinator_investigate(unhex_all(case["pmsgs1"]), params_of(case))
    assert cinvs == unhex_all(case["expectedCinvMsgs"])


def recovered(case: Vector) -> tuple[DKGOutput, SessionParams]:
    recovery_data = bytes.fromhex(case["recoveryData"])
    if case["hostseckey"] is None:
        return chilldkg.coordinator_recover(recovery_data)
    return chilldkg.participant_recover(bytes.fromhex(case["hostseckey"]), recovery_data)


@pytest.mark.parametrize("case", vectors("recover", "validTestCases"))
def test_outputs_are_recovered_as_published(case: Vector) -> None:
    output, params = recovered(case)
    assert output == output_of(case["expectedOutput"]["dkgOutput"])
    assert params == params_of(case["expectedOutput"])


@pytest.mark.parametrize("case", vectors("recover", "errorTestCases"))
def test_bad_recovery_data_is_refused(case: Vector) -> None:
    expect_error(case, lambda: recovered(case))
